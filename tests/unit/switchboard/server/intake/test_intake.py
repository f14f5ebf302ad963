"""Storing deliveries together, and answering each only after the commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from tests.unit.switchboard.support import a_call, until

from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.switchboard.server.intake.intake import IntakeWriter
from airflow_openai_realtime.switchboard.server.store import NewCall, Store
from airflow_openai_realtime.switchboard.server.store.order_taking import Stored
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


class Watched:
    """A store whose commits can be held back and made to fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.batches: list[int] = []
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.poison: str | None = None
        self.failure: Exception | None = None

    def __call__(self, new: Sequence[NewCall]) -> Stored:
        self.batches.append(len(new))
        assert self.may_commit.wait(60)
        if self.failure is not None:
            raise self.failure
        if any(call.call_id == self.poison for call in new):
            raise ValueError(self.poison)
        return Stored(self._store.calls.add(new))


@pytest.fixture
def watched(sqlite_store: Store) -> Watched:
    return Watched(sqlite_store)


@pytest.fixture
def told() -> list[str]:
    return []


def writer(watched: Watched, told: list[str], **settings: float) -> IntakeWriter:
    def tell(new: Sequence[NewCall], stored: Stored) -> None:
        assert {(call.line, call.call_id) for call in new} == stored.added
        told.extend(call.call_id for call in new)

    return IntakeWriter(watched, SwitchboardSettings(**settings), tell)  # type: ignore[arg-type]


async def test_what_arrives_during_a_commit_goes_into_the_next_one(watched: Watched, told: list[str]) -> None:
    intake = writer(watched, told)
    watched.may_commit.clear()
    waiting = [asyncio.ensure_future(intake.take(a_call(number))) for number in range(50)]
    await until(lambda: watched.batches)
    late = [asyncio.ensure_future(intake.take(a_call(number))) for number in range(50, 80)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting + late)
    watched.may_commit.set()
    assert await asyncio.gather(*waiting, *late) == [True] * 80
    assert watched.batches == [50, 30]
    assert len(told) == 80
    await intake.close()


async def test_nothing_is_answered_before_it_is_committed(
    watched: Watched, told: list[str], sqlite_store: Store
) -> None:
    intake = writer(watched, told)
    assert await intake.take(a_call(1))
    assert sqlite_store.calls.find("support", "rtc_1").state == "ringing"
    assert told == ["rtc_1"]
    await intake.close()


async def test_the_same_call_many_times_at_once_is_new_once(watched: Watched, told: list[str]) -> None:
    intake = writer(watched, told)
    answers = await asyncio.gather(*(intake.take(a_call(1)) for _ in range(100)))
    assert sorted(answers) == [False] * 99 + [True]
    assert told == ["rtc_1"]
    assert not await intake.take(a_call(1))
    await intake.close()


async def test_a_batch_is_not_larger_than_allowed(watched: Watched, told: list[str]) -> None:
    intake = writer(watched, told, intake_batch_limit=20)
    await asyncio.gather(*(intake.take(a_call(number)) for number in range(50)))
    assert watched.batches == [20, 20, 10]
    await intake.close()


async def test_a_store_that_is_away_fails_everything_that_waits_at_once(watched: Watched, told: list[str]) -> None:
    intake = writer(watched, told)
    watched.failure = StoreUnavailable("away")
    results = await asyncio.gather(*(intake.take(a_call(number)) for number in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert watched.batches == [5]
    watched.failure = None
    assert await intake.take(a_call(1))
    await intake.close()


async def test_one_call_that_cannot_be_stored_does_not_cost_the_others_theirs(
    watched: Watched, told: list[str]
) -> None:
    intake = writer(watched, told)
    watched.poison = "rtc_3"
    results = await asyncio.gather(*(intake.take(a_call(number)) for number in range(6)), return_exceptions=True)
    assert [result is True for result in results] == [True, True, True, False, True, True]
    assert isinstance(results[3], StoreUnavailable)
    await intake.close()


async def test_a_queue_that_is_full_refuses(watched: Watched, told: list[str]) -> None:
    intake = writer(watched, told, intake_queue_limit=2)
    watched.may_commit.clear()
    waiting = [asyncio.ensure_future(intake.take(a_call(number))) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too many"):
        await intake.take(a_call(3))
    watched.may_commit.set()
    assert await asyncio.gather(*waiting) == [True, True]
    await intake.close()


async def test_a_store_that_hangs_is_not_waited_for_longer_than_allowed(watched: Watched, told: list[str]) -> None:
    intake = writer(watched, told, intake_timeout_seconds=0.05)
    watched.may_commit.clear()
    with pytest.raises(StoreUnavailable, match="in time"):
        await intake.take(a_call(1))
    watched.may_commit.set()
    await intake.close()


async def test_closing_writes_what_still_waits(watched: Watched, told: list[str], sqlite_store: Store) -> None:
    intake = writer(watched, told, intake_batch_limit=1)
    waiting = [asyncio.ensure_future(intake.take(a_call(number))) for number in range(5)]
    await asyncio.sleep(0)
    await intake.close()
    assert await asyncio.gather(*waiting) == [True] * 5
