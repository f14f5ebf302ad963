"""``GET /v1/metrics``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
from tests.unit.switchboard.support import (
    OTHER_SECRET,
    SECRET,
    Clock,
    Switchboard,
    a_line,
    running,
    until,
)

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.switchboard.client.conversation_requests import open_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    report_accepted,
    report_ended,
)
from airflow_openai_realtime.switchboard.server.store import Store

LINE = re.compile(r'openai_realtime_(\w+)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)+)\} (-?[0-9.e+-]+|[+-]Inf|NaN)')

PAGE = (Path(__file__).resolve().parents[5] / "docs" / "switchboard.md").read_text()


async def scraped(switchboard: Switchboard, line: str = "support", secret: str = SECRET) -> dict[str, float]:
    """Name and own labels of each value (without line and worker), after checking the format of all of it."""
    headers = {"Authorization": f"Bearer {derived_token(secret)}", "OpenAI-Realtime-Line": line}
    answer = await switchboard.http.get("/v1/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    found = {}
    for text in answer.text.splitlines():
        if text.startswith("# "):
            assert re.fullmatch(r"# (HELP openai_realtime_\w+ .+|TYPE openai_realtime_\w+ (gauge|counter))", text)
            continue
        parts = LINE.fullmatch(text)
        assert parts, text
        labels = dict(re.findall(r'(\w+)="([^"]*)"', parts[2]))
        assert labels.pop("line") == line
        assert labels.pop("worker", str(os.getpid())) == str(os.getpid())
        key = parts[1] + "".join(f" {name}={value}" for name, value in labels.items())
        assert key not in found, "said twice"
        found[key] = float(parts[3])
    return found


async def test_what_happened_is_counted(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    await switchboard.deliver(1)
    await switchboard.deliver(2)
    await switchboard.deliver(3, body=b'{"type": "other"}')
    await switchboard.deliver(4, body=b"[]")
    await switchboard.deliver(5, secret=OTHER_SECRET)
    await switchboard.deliver(6, path="/webhook/nobody")
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60))
        switchboard.clock.move(0.2)
        await client.asend(report_accepted("rtc_1", "me"))
    await switchboard.http.get("/v1/status")
    await switchboard.http.get("/v1/status", headers={"Authorization": "Bearer wrong"})
    switchboard.clock.move(4)
    found = await scraped(switchboard)
    expected = {
        "calls state=ringing": 1,
        "calls state=accepted": 1,
        "oldest_ringing_seconds": 4.2,
        "ring_to_answer_last_hour_seconds_bucket le=0.1": 0,
        "ring_to_answer_last_hour_seconds_bucket le=0.25": 1,
        "ring_to_answer_last_hour_seconds_bucket le=+Inf": 1,
        "ring_to_answer_last_hour_seconds_count": 1,
        "deliveries_total result=new": 2,
        "deliveries_total result=duplicate": 1,
        "deliveries_total result=ignored": 1,
        "deliveries_total result=unusable": 1,
        "rejections_total reason=bad_signature": 1,
        "refusals_total reason=wrong_token": 1,
        "strangers_total reason=unknown_line": 1,
        "strangers_total reason=no_token": 1,
        "calls_over_last_hour state=ended reason=max_duration": 0,
        "waiting_polls": 0,
        "intake_waiting": 0,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["ring_to_answer_last_hour_seconds_sum"] == 0.2


async def test_what_the_reaper_did_is_counted(switchboard: Switchboard) -> None:
    """No server answers hang-ups here: each try fails."""
    await switchboard.deliver(1)
    await switchboard.deliver(2)
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60))
        await client.asend(report_accepted("rtc_1", "me"))
        switchboard.clock.move(61)
        await switchboard.service.reaper.sweep.once()
        await switchboard.service.reaper.sweep.settled()
    found = await scraped(switchboard)
    assert found["reaper_actions_total action=missed"] == 1
    assert found["reaper_actions_total action=try_failed"] == 1
    switchboard.clock.move(3700)
    await switchboard.service.reaper.sweep.once()
    await switchboard.service.reaper.sweep.settled()
    found = await scraped(switchboard)
    assert found["reaper_actions_total action=hang_up_failed"] == 1


async def test_what_the_standby_did_is_counted(switchboard: Switchboard) -> None:
    """No server answers where the standby attaches: it tries until the call is over."""
    await switchboard.deliver(1)
    standby = switchboard.service.standby
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "me", 60))
        await client.asend(report_accepted("rtc_1", "me"))
        await client.asend(open_conversation("rtc_1", "me", "p1"))
        await until(lambda: standby.sweep.last_at is not None)
        assert (await scraped(switchboard))["standby_calls"] == 0
        switchboard.clock.move(2)
        await until(lambda: standby.listening_to("support"))
        found = await scraped(switchboard)
        assert (found["standby_calls"], found["standby_actions_total action=began"]) == (1, 1)
        assert found["standby_last_look_age_seconds"] <= 2
        assert (await scraped(switchboard, "sales", OTHER_SECRET))["standby_calls"] == 0
        await client.asend(report_ended("rtc_1", "hung_up"))
        await until(lambda: not standby.listening_to("support"))
    found = await scraped(switchboard)
    assert (found["standby_calls"], found["standby_actions_total action=over"]) == (0, 1)


async def test_a_line_sees_nothing_of_another(switchboard: Switchboard) -> None:
    await switchboard.deliver(1, path="/webhook/sales", secret=OTHER_SECRET)
    await switchboard.deliver(2, path="/webhook/sales")
    found = await scraped(switchboard)
    assert found["calls state=ringing"] == 0
    assert not any(key.startswith(("deliveries", "rejections")) for key in found)
    other = await scraped(switchboard, "sales", OTHER_SECRET)
    assert (other["calls state=ringing"], other["rejections_total reason=bad_signature"]) == (1, 1)


async def test_each_metric_is_in_the_documentation(switchboard: Switchboard) -> None:
    names = {key.split()[0].removesuffix("_bucket") for key in await scraped(switchboard)}
    missing = {name for name in names if not name.endswith(("_sum", "_count")) and f"`{name}" not in PAGE}
    assert missing == {"info"}


async def test_labels_hold_nothing_personal(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    async with switchboard.client() as client:
        await client.asend(announce_accept("rtc_1", "claimant-4155550123", 60))
        await client.asend(report_ended("rtc_1", "called back +14155550123"))
    headers = {"Authorization": f"Bearer {derived_token(SECRET)}"}
    text = (await switchboard.http.get("/v1/metrics", headers=headers)).text
    assert 'reason="other"} 1' in text
    assert not any(word in text for word in ("415555", "rtc_1", "claimant", "wh_1", SECRET, derived_token(SECRET)))


async def test_every_worker_says_the_same_of_the_store(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/both.db"
    async with (
        running(Store(url), StaticLines([a_line()]), clock) as one,
        running(Store(url), StaticLines([a_line()]), clock) as two,
    ):
        await one.deliver(1)
        await two.deliver(2)
        first, second = await scraped(one), await scraped(two)
    of_store = {key for key in first if key.startswith(("calls", "oldest", "ring_to"))}
    assert len(of_store) > 20
    assert {key: first[key] for key in of_store} == {key: second[key] for key in of_store}


async def test_deliveries_that_cannot_be_stored_are_counted_too(switchboard: Switchboard, sqlite_store: Store) -> None:
    sqlite_store.database.ready = False
    answer: httpx.Response = await switchboard.deliver(1)
    sqlite_store.database.ready = True
    assert answer.status_code == 503
    assert (await scraped(switchboard))["deliveries_total result=not_stored"] == 1
