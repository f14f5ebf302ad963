"""
What people read and do on the Calls page, in a headless Chromium; the page runs over a real socket, without Airflow.

``CALLS_PAGE_SCREENSHOTS`` is a folder where pictures are left for people to look at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.responses import HTMLResponse
from tests.system import browser as chromium
from tests.system.browser import Browser
from tests.unit.switchboard.support import Clock
from tests.unit.ui.support import ALL, DIALED, PREFIX, PageWorld, User, owner

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.exceptions import ServiceUnavailable
from airflow_openai_realtime.states import Witness
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.testing.served_app import ServedApp

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(chromium.installed() is None, reason="there is no Chromium on this machine"),
]

HEBREW = "\u05e9\u05dc\u05d5\u05dd, \u05d0\u05e0\u05d9 \u05e8\u05d5\u05e6\u05d4 \u05dc\u05d3\u05d1\u05e8 (123)."
ARABIC_CONTACT = "\u0645\u062d\u0645\u062f/42"
SIZES = {"wide": (1440, 900), "tablet": (768, 1024), "phone": (375, 812)}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PageWorld]:
    """A store, and a user who may do everything."""
    store = Store(f"sqlite:///{tmp_path / 'calls.db'}")
    store.prepare()
    world = PageWorld(store, clock=Clock(datetime.now(timezone.utc)))
    world.user = User({"campaign": ALL}, {"support": ALL})
    yield world
    world.http.close()
    store.close()


@pytest.fixture
def site(world: PageWorld) -> Iterator[str]:
    """Address of the page, on a socket."""
    app = FastAPI()
    app.mount(PREFIX, world.page)
    with ServedApp(app) as served:
        yield f"{served.url}{PREFIX}/"


# What Airflow's UI does when the frame of a plugin has loaded, since 3.3.2: https://github.com/apache/airflow/pull/72196
AIRFLOWS_FRAME = f"""<!doctype html><link rel="icon" href="data:,">
<iframe style="width: 100%; height: 90vh" src="{PREFIX}/"></iframe><script>
document.querySelector("iframe").addEventListener("load", async (loaded) => {{
  const {{ pathname, hash }} = loaded.target.contentWindow.location;
  await null;
  history.replaceState({{ idx: 0 }}, "", `/plugin{PREFIX}${{pathname}}${{hash}}`);
}});
</script>"""


@pytest.fixture
def framed(world: PageWorld) -> Iterator[str]:
    """Address of the page in a frame, on a socket."""
    app = FastAPI()
    app.mount(PREFIX, world.page)
    app.get(f"/plugin{PREFIX}{{rest:path}}")(lambda rest: HTMLResponse(AIRFLOWS_FRAME))
    with ServedApp(app) as served:
        yield f"{served.url}/plugin{PREFIX}"


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser that has complained of nothing but what a test expects when the test is over."""
    with chromium.running() as browser:
        browser.size(*SIZES["wide"])
        yield browser
        assert browser.complaints == []


def row(call_id: str, line: str = "support") -> str:
    return f"tr:has(a[href='#/{line}/{call_id}'])"


def text_of(browser: Browser, selector: str) -> str:
    found = browser.wait_for(
        f"return page.querySelector({selector!r})?.innerText.replaceAll(/\\s+/g, ' ').trim()", selector
    )
    return str(found)


def picture(browser: Browser, name: str) -> None:
    folder = os.environ.get("CALLS_PAGE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")


def a_busy_morning(world: PageWorld) -> None:
    """Calls and attempts of every kind."""
    start = world.clock()
    world.clock.at = start - timedelta(minutes=20)
    world.settle(world.dial("ann"), "busy")
    world.clock.move(40)
    world.settle(world.dial("bob", attempt=2), "no_answer")
    world.clock.move(40)
    reached = world.dial("eve")
    world.clock.move(6)
    world.come_in(1, reached)
    world.accept(1)
    world.talk(1, None, "Good morning.")
    world.clock.move(75)
    world.end(1, "hung_up")
    world.store.attempts.reserve("support", "spring", "zoe", 1, DIALED, world.clock(), owner())
    world.clock.move(60)
    world.ring(2)
    world.clock.move(8)
    world.accept(2, "order:day")
    world.clock.move(30)
    world.end(2, "max_duration")
    world.clock.at = start - timedelta(seconds=50)
    rings = world.dial(ARABIC_CONTACT)
    world.come_in(3, rings)
    world.accept(3)
    world.clock.at = start - timedelta(seconds=4)
    world.dial("max")
    world.ring(4)
    world.clock.at = start


def test_a_placed_call_is_read_as_a_call_to_somebody(browser: Browser, world: PageWorld, site: str) -> None:
    a_busy_morning(world)
    browser.open(site)
    told = text_of(browser, row("rtc_1"))
    assert " out " in told
    assert "+1***0144 eve spring · attempt 1" in told
    assert " hung up " in told
    assert " in +1***0123 +1***0199 " in text_of(browser, row("rtc_2"))
    browser.click(f"{row('rtc_1')} a[data-part=open]")
    browser.wait_for("return page.body.innerText.includes('Call to eve (+1***0144)')", "the call")
    facts = text_of(browser, ".facts")
    assert "Contact eve" in facts
    assert "Campaign spring" in facts
    assert "Attempt 1" in facts


def test_people_who_were_not_reached_have_rows_and_addresses(browser: Browser, world: PageWorld, site: str) -> None:
    a_busy_morning(world)
    browser.open(site)
    browser.wait_for_element(row("rtc_1"))
    rows = browser.run("return [...page.querySelectorAll('.calls-recent tbody tr')].map((row) => row.innerText)")
    told = [" ".join(each.split()) for each in rows]
    assert any("ann" in each and "not reached" in each and "busy" in each for each in told)
    assert any("bob" in each and "attempt 2" in each and "no answer" in each for each in told)
    assert any("zoe" in each and "not dialed" in each for each in told)
    live = browser.run("return [...page.querySelectorAll('.calls-live tbody tr')].map((row) => row.innerText)")
    assert any("max" in each and "phone rings" in each for each in live)
    browser.run("[...page.querySelectorAll('a[data-part=open]')].find((a) => a.ariaLabel.includes('bob')).click()")
    browser.wait_for("return page.body.innerText.includes('Call to bob')", "the attempt")
    assert "The call never came in." in browser.text()
    assert "no answer" in text_of(browser, ".facts")


def test_the_address_of_an_attempt_leads_to_its_call_once_there_is_one(
    browser: Browser, world: PageWorld, site: str
) -> None:
    attempt = world.dial("ann")
    browser.open(f"{site}#/attempt/support/{attempt.attempt_id}")
    browser.wait_for("return page.body.innerText.includes('The call has not come in yet.')", "the attempt")
    world.come_in(1, attempt)
    browser.wait_for("return location.hash === '#/support/rtc_1'", "the call's own address")
    browser.wait_for("return page.body.innerText.includes('Call to ann')", "the call")


def test_a_hang_up_that_fails_says_so_until_it_is_dismissed_and_one_that_works_says_so_too(
    browser: Browser, world: PageWorld, site: str
) -> None:
    world.ring(1)
    world.accept(1)
    world.backend.problem = ServiceUnavailable("OpenAI answered 503", call_id="rtc_1", status=503)
    browser.open(site)
    browser.click(f"{row('rtc_1')} button")
    browser.click("#confirm-yes")
    browser.wait_for_element(".message-failed")
    asked = "performance.getEntriesByType('resource').filter((each) => each.name.endsWith('/api/calls')).length"
    before = browser.run(f"return {asked}")
    browser.wait_for(f"return {asked} >= {before} + 2", "two more questions of the page")
    assert "not hung up: OpenAI answered 503" in text_of(browser, "#messages")
    picture(browser, "hang-up-failed")
    world.backend.problem = None
    browser.click(f"{row('rtc_1')} button")
    browser.click("#confirm-yes")
    browser.wait_for_element(".message-done")
    assert text_of(browser, "#messages").startswith("Hung up the call from +1***0123.")
    browser.wait_for_element(f".calls-recent {row('rtc_1')}")
    browser.run("page.querySelector('.message button').focus()")
    browser.press("Enter")
    browser.wait_for("return page.querySelector('#messages').children.length === 0", "the message to go")
    browser.complaints[:] = [said for said in browser.complaints if "502" not in said]  # the browser's own line


def test_what_is_said_from_right_to_left_reads_from_right_to_left(
    browser: Browser, world: PageWorld, site: str
) -> None:
    attempt = world.dial(ARABIC_CONTACT)
    world.come_in(1, attempt)
    world.accept(1)
    generation = world.talk(1, None, HEBREW)
    english = TimelineEntry("agent:1", "agent", world.clock(), {"text": "Hello."})
    world.store.conversations.append("support", "rtc_1", generation, [english], world.clock())
    browser.open(f"{site}#/support/rtc_1")
    browser.wait_for_element(".entry-agent")
    said, answered = (f"page.querySelector('.entry-{who} .what')" for who in ("caller", "agent"))
    assert browser.run(f"return getComputedStyle({said}).direction") == "rtl"
    assert browser.run(f"return getComputedStyle({answered}).direction") == "ltr"
    # A contact keeps its direction and does not turn the words beside it.
    heading = "[...page.querySelectorAll('.facts dd bdi')].find((each) => each.textContent.includes('42'))"
    assert browser.run(f"return getComputedStyle({heading}).unicodeBidi") == "isolate"
    assert text_of(browser, "h1") == f"Call to \u2068{ARABIC_CONTACT}\u2069 (+1***0144)"
    picture(browser, "right-to-left")


def test_talking_stops_when_the_triggerer_is_gone(browser: Browser, world: PageWorld, site: str) -> None:
    world.ring(1)
    world.accept(1)
    world.store.conversations.open("support", "rtc_1", owner(), world.clock(), process="triggerer-1")
    world.clock.move(42)
    world.store.conversations.save_progress("support", "triggerer-1", [], world.clock())
    world.clock.move(300)
    browser.open(site)
    assert " not heard " in text_of(browser, row("rtc_1"))
    assert text_of(browser, f"{row('rtc_1')} td[data-name=Talked]") == "42 s"
    browser.click(f"{row('rtc_1')} a[data-part=open]")
    browser.wait_for("return page.body.innerText.includes('last sign of life')", "since when")


def test_a_call_that_no_holder_attaches_to_does_not_stand_as_talking(
    browser: Browser, world: PageWorld, site: str
) -> None:
    world.ring(1)
    world.accept(1)
    world.ring(2)
    world.accept(2)
    world.end(2, Account(Witness.FOUND_GONE, "gone"))
    world.clock.move(20)
    browser.open(site)
    assert " not heard " in text_of(browser, row("rtc_1"))
    assert text_of(browser, f"{row('rtc_1')} td[data-name=Talked]") == "\u2013"
    assert text_of(browser, f"{row('rtc_2')} td[data-name=Talked]") == "\u2013"


def test_talking_stops_when_airflow_does_not_answer(browser: Browser, world: PageWorld, site: str) -> None:
    world.ring(1)
    world.accept(1)
    browser.open(site)
    browser.wait_for_element(row("rtc_1"))
    browser.command("Network.enable")
    away = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.command("Network.emulateNetworkConditions", **away)
    browser.wait_for("return page.body.innerText.includes('does not answer')", "the note")
    talked = f"page.querySelector({(row('rtc_1') + ' td[data-name=Talked]')!r}).innerText"
    # The browser's clock goes on by an hour; what is known does not.
    browser.run("const real = Date.now; Date.now = () => real() + 3600000;")
    shown = browser.run(f"await new Promise((go) => setTimeout(go, 2500)); return {talked}")
    assert shown.endswith(" s"), shown
    assert int(shown.split()[0]) < 60
    browser.complaints[:] = []  # failed requests are the browser's own lines


def test_back_keeps_the_place(browser: Browser, world: PageWorld, site: str) -> None:
    for number in range(120):
        world.ring(number, seconds_ago=number)
        world.end(number)
    browser.size(800, 600)
    browser.open(site)
    browser.wait_for_element(row("rtc_49"))
    browser.run("[...page.querySelectorAll('button')].find((each) => each.innerText === 'Older calls').click()")
    browser.wait_for_element(row("rtc_90"))
    browser.run(f"page.querySelector({row('rtc_80')!r}).scrollIntoView({{block: 'center'}})")
    browser.wait_for("return history.state?.callsListPlace?.top > 500", "the place to be kept")
    top = browser.run("return scrollY")
    browser.run(f"page.querySelector({(row('rtc_80') + ' a')!r}).focus({{preventScroll: true}})")
    browser.press("Enter")
    browser.wait_for_element(".facts div")
    browser.run("history.back()")
    browser.wait_for_element(row("rtc_80"))
    browser.wait_for(f"return Math.abs(scrollY - {top}) < 5", "the same height")
    assert browser.run("return page.activeElement.getAttribute('href')") == "#/support/rtc_80"
    # Also when the page was left altogether.
    browser.open("about:blank")
    browser.wait_for("return location.href === 'about:blank'", "another page")
    browser.run("history.back()")
    browser.wait_for_element(row("rtc_80"))
    browser.wait_for(f"return Math.abs(scrollY - {top}) < 5", "the same height")


def test_the_address_and_the_place_stay_when_airflow_s_frame_has_loaded(
    browser: Browser, world: PageWorld, framed: str
) -> None:
    for number in range(40):
        world.ring(number, seconds_ago=number)
        world.end(number)
    loaded = "page.readyState === 'complete'"
    browser.size(800, 600)
    browser.open(f"{framed}#/support/rtc_3")
    browser.wait_for_element("a[data-part=back]")
    browser.wait_for(f"return {loaded}", "the frame")
    assert browser.run("return location.href") == f"{framed}#/support/rtc_3"
    browser.click("a[data-part=back]")
    browser.wait_for_element(row("rtc_30"))
    browser.run(f"page.querySelector({row('rtc_30')!r}).scrollIntoView({{block: 'center'}})")
    browser.wait_for("return history.state?.callsListPlace?.top > 100", "the place to be kept")
    top = browser.run("return page.defaultView.scrollY")
    for _ in range(2):
        browser.open("about:blank")
        browser.wait_for("return location.href === 'about:blank'", "another page")
        browser.run("history.back()")
        browser.wait_for_element(row("rtc_30"))
        browser.wait_for(f"return {loaded} && Math.abs(page.defaultView.scrollY - {top}) < 5", "the same height")
        assert browser.run("return location.href") == f"{framed}#/"


def test_a_filter_stays_while_calls_are_looked_at_and_after_a_reload(
    browser: Browser, world: PageWorld, site: str
) -> None:
    a_busy_morning(world)
    browser.open(site)
    browser.wait_for_element(row("rtc_1"))
    browser.run("page.querySelector('#filter').focus()")
    browser.command("Input.insertText", text="spring answered eve")
    browser.wait_for("return page.querySelectorAll('tbody tr').length === 0", "no row that fits")
    assert "No call matches the filter." in browser.text()
    browser.run("page.querySelector('#filter').select()")
    browser.command("Input.insertText", text="spring EVE")
    browser.wait_for("return page.querySelectorAll('tbody tr').length === 1", "the row that fits")
    assert "1 of 5" in browser.text()
    browser.click(f"{row('rtc_1')} a[data-part=open]")
    browser.wait_for_element(".facts div")
    browser.click("a[data-part=back]")
    browser.wait_for("return page.querySelectorAll('tbody tr').length === 1", "the row that fits")
    browser.command("Page.reload")
    browser.wait_for("return page.querySelector('#filter')?.value === 'spring EVE'", "the filter")
    browser.wait_for("return page.querySelectorAll('tbody tr').length === 1", "the row that fits")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_everything_fits_the_screen(browser: Browser, world: PageWorld, site: str, size: str, scheme: str) -> None:
    a_busy_morning(world)
    browser.size(*SIZES[size])
    browser.prefer(scheme)
    browser.open(site)
    browser.wait_for_element(row("rtc_1"))
    picture(browser, f"rows-{size}-{scheme}")
    wide = "const it = page.documentElement; return it.scrollWidth - it.clientWidth"
    assert browser.run(wide) <= 0
    browser.click(f"{row('rtc_1')} a[data-part=open]")
    browser.wait_for_element(".facts div")
    picture(browser, f"placed-call-{size}-{scheme}")
    assert browser.run(wide) <= 0


def test_all_of_it_is_reached_and_named_at_the_keyboard(browser: Browser, world: PageWorld, site: str) -> None:
    a_busy_morning(world)
    browser.open(site)
    browser.wait_for_element(row("rtc_1"))
    names = []
    for _ in range(60):
        browser.press("Tab")
        name = browser.run(
            "const at = page.activeElement;"
            "return at === page.body ? '' : (at.ariaLabel ?? at.labels?.[0]?.innerText ?? at.innerText).trim()"
        )
        if name == "" or (names and name == names[0]):
            break
        names.append(name)
    assert names[0] == "Filter"
    assert any(name.endswith("the call to eve (+1***0144)") for name in names)
    assert any(name.endswith("the call to bob (+1***0144)") for name in names)
    assert any(name.startswith("Hang up the call to ") for name in names)
    unnamed = "input:not([id]), button:empty, a:empty"
    assert browser.run(f"return page.querySelectorAll({unnamed!r}).length") == 0
