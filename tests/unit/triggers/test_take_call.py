"""The trigger that waits for a call which a standing order has answered, as Airflow keeps and runs it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.inbound import feed as feeds
from airflow_openai_realtime.inbound import waiting
from airflow_openai_realtime.triggers import killing, pacing
from airflow_openai_realtime.triggers.take_call import TakeCallTrigger

MATCH = CallMatch(from_number="+1415*").to_dict()


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def trigger(**changes: Any) -> TakeCallTrigger:
    given: dict[str, Any] = {
        "openai_realtime_conn_id": "line_a",
        "order": "day",
        "match": MATCH,
        "claimant": "d/r/t/-1",
    }
    return TakeCallTrigger(**{**given, "deadline": 2_000_000_000.0, "connections": "sealed text", **changes})


def test_it_is_made_again_from_json() -> None:
    path, kwargs = trigger().serialize()
    assert path == "airflow_openai_realtime.triggers.take_call.TakeCallTrigger"
    assert TakeCallTrigger(**json.loads(json.dumps(kwargs))).serialize() == (path, kwargs)


def test_one_that_an_older_release_stored_has_no_connections() -> None:
    _, kwargs = trigger().serialize()
    del kwargs["connections"]
    assert TakeCallTrigger(**kwargs).connections is None


def test_what_is_sealed_does_not_show() -> None:
    assert "sealed text" not in repr(trigger())
    assert "connections=sealed" in repr(trigger())
    assert "None" in repr(trigger(connections=None))


def test_the_constructor_never_raises() -> None:
    TakeCallTrigger(None, None, None, None, None)  # type: ignore[arg-type]


class Waiting:
    """The feed and the waiting, which say what a test wants."""

    def __init__(self, patch: pytest.MonkeyPatch, answer: Any) -> None:
        self.asked: dict[str, Any] = {}
        self._answer = answer

        @asynccontextmanager
        async def feed(address: Any) -> AsyncIterator[Any]:
            yield SimpleNamespace(client="client", address=address)

        async def line(_: Any) -> Any:
            return SimpleNamespace(switchboard="address")

        patch.setattr(feeds, "shared_feed", feed)
        patch.setattr(waiting, "wait_for_call", self._wait)
        patch.setattr("airflow_openai_realtime.hooks.realtime.RealtimeHook.aline", line)

    async def _wait(self, feed: Any, **asked: Any) -> Any:
        self.asked = asked
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def fired(live: TakeCallTrigger) -> list[Any]:
    return [event.payload async for event in live.run()]


@pytest.mark.parametrize(
    ("answer", "payload"),
    [
        (
            SimpleNamespace(status="accepted", call=SimpleNamespace(call_id="rtc_1")),
            {"status": "accepted", "call_id": "rtc_1"},
        ),
        (SimpleNamespace(status="timeout", call=None), {"status": "timeout", "call_id": None}),
        (SwitchboardRefused("the token was refused"), {"status": "error", "message": "the token was refused"}),
    ],
)
async def test_it_fires_once_and_says_how_the_waiting_ended(
    monkeypatch: pytest.MonkeyPatch, answer: Any, payload: dict[str, Any]
) -> None:
    Waiting(monkeypatch, answer)
    assert await fired(trigger()) == [payload]


async def test_it_waits_for_its_order_and_match_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.time()
    world = Waiting(monkeypatch, SimpleNamespace(status="timeout", call=None))
    await fired(trigger(deadline=begun + 1000))
    assert 1000 - (time.time() - begun) <= world.asked["seconds"] <= 1000
    assert world.asked["owner"] == "d/r/t/-1"


async def test_an_error_that_is_none_of_ours_is_the_triggerers(monkeypatch: pytest.MonkeyPatch) -> None:
    Waiting(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await fired(trigger())


async def test_killed_it_ends_a_call_of_its_own_only(monkeypatch: pytest.MonkeyPatch) -> None:
    kills: list[tuple[Any, ...]] = []

    class Kill:
        def __init__(self, hook: Any, task: Any, owner: str, report: Any, *, match: Any) -> None:
            kills.append((hook.openai_realtime_conn_id, owner, match))

        async def carry_out(self) -> None:
            kills.append(("carried out",))

    monkeypatch.setattr(killing, "Kill", Kill)
    await trigger().on_kill()
    assert kills == [("line_a", "d/r/t/-1", CallMatch.from_dict(MATCH)), ("carried out",)]
