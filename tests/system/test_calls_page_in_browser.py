"""
The Calls page in the UI of a real Airflow, in a headless Chromium.

``CALLS_PAGE_SCREENSHOTS`` is a folder where pictures are left for people to look at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from demo.stage import Stage
from tests.system import browser as chromium
from tests.system.browser import Browser

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls.line_settings import api_settings_from_fields
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.switchboard.client.conversation_requests import append_entries, open_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, get_call, report_accepted
from airflow_openai_realtime.ui import path_of_call

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(chromium.installed() is None, reason="there is no Chromium on this machine"),
]

LINE = "openai_realtime_default"
DAG_ID = "example_answer_call"
CALLER, OUR_NUMBER = "+14155550321", "+14155550187"
HOSTILE = "<script>parent.hacked = 1</script><img src=x onerror='parent.hacked = 2'> <b>bold</b>"
TEXT_COLOURS = {"light": "rgb(24, 24, 27)", "dark": "rgb(244, 244, 245)"}
SIZES = {"desktop": (1440, 900), "tablet": (768, 1024), "phone": (375, 812)}


@pytest.fixture(scope="module")
def run_id(stage: Stage) -> str:
    """A run to which calls belong; its DAG is paused, so nothing runs."""
    stage.airflow.wait_for_dag(DAG_ID)
    return stage.airflow.trigger(DAG_ID)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser that has not complained when the test is over."""
    with chromium.running() as browser:
        browser.size(*SIZES["desktop"])
        yield browser
        assert browser.run("return window.hacked") is None
        assert [said for said in browser.complaints if "openai-realtime-calls" in said] == []


@pytest.fixture
def call_id(stage: Stage, run_id: str) -> Iterator[str]:
    """A live call that a task has accepted, in which something was said, as a task would have written it."""
    yield a_live_call(stage, run_id)
    # Other tests find no calls that are still open.
    stage.simulator.phones.hang_up(CALLER)


def a_live_call(stage: Stage, run_id: str) -> str:
    simulator = stage.simulator
    call_id = simulator.call_in(CALLER, OUR_NUMBER, script=PhoneScript.answers(talks_for_seconds=600))
    owner = f"{DAG_ID}/{run_id}/answer/-1"
    settings = api_settings_from_fields(password=simulator.api_key, host=simulator.openai_base_url, extra={})
    with stage.switchboard() as switchboard, CallsClient(settings) as openai:
        switchboard.send(announce_accept(call_id, owner, 600))
        openai.send(accept_call(call_id, {"instructions": "Be kind."}))
        switchboard.send(report_accepted(call_id, owner))
        generation = switchboard.send(open_conversation(call_id, owner)).generation
        switchboard.send(append_entries(call_id, generation, [*told()]))
    return call_id


def told() -> Iterator[TimelineEntry]:
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("note", {"what": "attached", "model": "gpt-realtime-2.1"}),
        ("agent", {"text": "Good morning. What can I do for you?"}),
        ("caller", {"text": HOSTILE}),
        ("key", {"key": "2"}),
        ("tool_call", {"name": "find_slot", "arguments": '{"day": "Friday"}', "tool_call_id": "fc_1"}),
        ("tool_result", {"name": "find_slot", "status": "ok", "output": "9 to 11", "tool_call_id": "fc_1"}),
        ("usage", {"of": "response", "usage": {"total_tokens": 4321, "input_tokens": 4321}}),
        ("note", {"what": "stood_by", "lease": "1", "gap_seconds": 2.4}),
        ("note", {"what": "asked", "name": "book_slot", "arguments": '{"at": "<b>9</b>"}', "tool_call_id": "fc_2"}),
        ("note", {"what": "stood_down", "lease": "1"}),
    ]
    for number, (kind, body) in enumerate(bodies):
        yield TimelineEntry(f"{kind}:{number}", kind, datetime.now(timezone.utc), body)


def row_of(call_id: str) -> str:
    """Selects the row of a call."""
    return f"tr:has(a[href='#/{LINE}/{call_id}'])"


def wait_for_row(browser: Browser, call_id: str) -> str:
    script = f'return page.querySelector("{row_of(call_id)}")?.innerText.replaceAll(/\\s+/g, " ")'
    return str(browser.wait_for(script, f"the row of {call_id}"))


def picture(browser: Browser, name: str) -> None:
    folder = os.environ.get("CALLS_PAGE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")


def test_the_page_is_in_the_navigation_and_shows_a_live_call(stage: Stage, browser: Browser, call_id: str) -> None:
    browser.open(stage.airflow.url)
    browser.click("a[href$='/plugin/openai-realtime-calls']")
    row = wait_for_row(browser, call_id)
    assert "+1***0321 +1***0187" in row
    assert " talking " in row
    assert DAG_ID in row
    assert CALLER[-7:] not in browser.text()


def test_one_call_shows_what_was_said_as_text(stage: Stage, browser: Browser, call_id: str) -> None:
    browser.open(stage.airflow.url + path_of_call(LINE, call_id))
    browser.wait_for_element(".entry-caller")
    assert browser.run("return page.querySelector('.entry-caller .what').innerText.trim()") == HOSTILE
    assert browser.run("return page.querySelectorAll('.timeline script, .timeline img, .timeline b').length") == 0
    text = browser.text()
    for part in (
        "Good morning.",
        "find_slot",
        "9 to 11",
        "4,321",
        "+1***0321",
        "talking",
        "switchboard listens",
        "<b>9</b>",
    ):
        assert part in text
    with stage.switchboard() as switchboard:
        generation = switchboard.send(open_conversation(call_id, "somebody/else/goes_on/-1")).generation
        entry = TimelineEntry("agent:99", "agent", datetime.now(timezone.utc), {"text": "One moment, please."})
        switchboard.send(append_entries(call_id, generation, [entry]))
    browser.wait_for("return page.body.innerText.includes('One moment, please.')", "what was said meanwhile")
    assert browser.run("return page.querySelectorAll('.entry-caller').length") == 1


def test_hanging_up_from_the_keyboard(stage: Stage, browser: Browser, call_id: str) -> None:
    browser.open(f"{stage.airflow.url}/plugin/openai-realtime-calls")
    wait_for_row(browser, call_id)
    browser.run(f'page.querySelector("{row_of(call_id)} button").focus()')
    browser.press("Enter")
    browser.wait_for("return page.querySelector('dialog').open", "the question")
    assert "+1***0321" in browser.run("return page.querySelector('dialog').innerText")
    assert browser.run("return page.activeElement.innerText") == "Keep it"
    browser.press("Escape")
    browser.wait_for("return !page.querySelector('dialog').open", "the question to be withdrawn")
    assert stage.simulator.log.call(call_id=call_id).ended_by is None
    browser.press("Enter")
    browser.wait_for("return page.querySelector('dialog').open", "the question")
    browser.press("Tab")
    assert browser.run("return page.activeElement.innerText") == "Hang up"
    browser.press("Enter")
    browser.wait_for_element(f".calls-recent {row_of(call_id)}")
    assert stage.simulator.log.call(call_id=call_id).ended_by == "api_hangup"
    assert "hung up" in wait_for_row(browser, call_id)
    with stage.switchboard() as switchboard:
        assert switchboard.send(get_call(call_id)).end_reason == "hung_up"


def test_a_link_leads_airflow_to_the_dag_run(stage: Stage, browser: Browser, call_id: str, run_id: str) -> None:
    browser.open(f"{stage.airflow.url}/plugin/openai-realtime-calls")
    wait_for_row(browser, call_id)
    browser.click(f"{row_of(call_id)} a[data-part=run]")
    browser.wait_for(f"return location.pathname === '/dags/{DAG_ID}/runs/{run_id}'", "Airflow's page of the run")
    browser.wait_for("return document.querySelector('iframe') === null", "the page to be left")
    browser.wait_for(f"return document.body.innerText.includes('{run_id}')", "the run")


def test_the_address_of_a_call_survives_a_reload_and_back_leads_to_the_list(
    stage: Stage, browser: Browser, call_id: str
) -> None:
    browser.open(f"{stage.airflow.url}/plugin/openai-realtime-calls")
    wait_for_row(browser, call_id)
    browser.click(f"{row_of(call_id)} a[data-part=open]")
    browser.wait_for_element(".entry-caller")
    assert browser.run("return location.hash") == f"#/{LINE}/{call_id}"
    browser.run("history.back()")
    wait_for_row(browser, call_id)
    assert browser.run("return location.pathname") == "/plugin/openai-realtime-calls"
    browser.command("Page.reload")
    wait_for_row(browser, call_id)
    browser.click(f"{row_of(call_id)} a[data-part=open]")
    browser.wait_for_element(".entry-caller")
    browser.command("Page.reload")
    browser.wait_for_element(".entry-caller")
    browser.click("a[data-part=back]")
    wait_for_row(browser, call_id)
    browser.run(f"location.hash = '#/{LINE}/{call_id}'")  # as a user who pastes an address
    browser.wait_for_element(".entry-caller")


def test_back_from_another_page_of_airflow_leads_to_the_list_as_it_was(
    stage: Stage, browser: Browser, call_id: str, run_id: str
) -> None:
    browser.open(f"{stage.airflow.url}/plugin/openai-realtime-calls")
    wait_for_row(browser, call_id)
    browser.run("page.querySelector('#filter').focus()")
    browser.command("Input.insertText", text=DAG_ID)
    browser.wait_for("return location.hash.includes('q=')", "the filter in the address")
    browser.size(800, 300)
    browser.run(f'page.querySelector("{row_of(call_id)}").scrollIntoView({{block: "start"}})')
    browser.wait_for("return history.state?.callsListPlace?.top > 0", "the place to be kept")
    top = browser.run("return page.defaultView.scrollY")
    browser.click(f"{row_of(call_id)} a[data-part=run]")
    browser.wait_for("return document.querySelector('iframe') === null", "the page to be left")
    browser.run("history.back()")
    browser.wait_for(f"return page.querySelector('#filter')?.value === '{DAG_ID}'", "the filter")
    wait_for_row(browser, call_id)
    browser.wait_for(f"return Math.abs(page.defaultView.scrollY - {top}) < 5", "the same height")
    assert browser.run("return location.pathname") == "/plugin/openai-realtime-calls"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_follows_airflow_s_theme(
    stage: Stage, browser: Browser, call_id: str, size: str, scheme: str
) -> None:
    browser.size(*SIZES[size])
    browser.prefer("dark" if scheme == "light" else "light")  # Airflow's theme counts, not the browser's
    browser.open(stage.airflow.url)
    browser.wait_for("return document.body?.innerText.length > 0", "Airflow")
    browser.run(f"localStorage.setItem('theme', '{scheme}')")
    browser.open(f"{stage.airflow.url}/plugin/openai-realtime-calls")
    wait_for_row(browser, call_id)
    check_looks(browser, scheme)
    picture(browser, f"list-{size}-{scheme}")
    browser.click(f"{row_of(call_id)} a")
    browser.wait_for_element(".entry-caller")
    check_looks(browser, scheme)
    picture(browser, f"call-{size}-{scheme}")


def check_looks(browser: Browser, scheme: str) -> None:
    browser.wait_for(f"return page.documentElement.dataset.theme === '{scheme}'", "the theme", seconds=10)
    assert browser.run("return getComputedStyle(page.body).color") == TEXT_COLOURS[scheme]
    assert browser.run("const it = page.documentElement; return it.scrollWidth - it.clientWidth") <= 0


def test_nobody_is_asked_more_often_than_every_few_seconds(stage: Stage, browser: Browser, call_id: str) -> None:
    browser.open(f"{stage.airflow.url}/openai-realtime-calls/")
    wait_for_row(browser, call_id)
    asked = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/api/calls'))"
    gaps = browser.wait_for(
        f"const at = {asked}.map((each) => each.startTime);"
        "return at.length > 3 && at.slice(1).map((each, place) => each - at[place])",
        "four questions",
    )
    assert min(gaps) >= 2900
