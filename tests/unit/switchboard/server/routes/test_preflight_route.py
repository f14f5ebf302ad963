"""What the switchboard knows before a phone is dialed, over the private API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, START, Clock, Switchboard, a_line, running

from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.switchboard.client.switchboard_requests import preflight, report_checks_passed
from airflow_openai_realtime.switchboard.server.process.passed_checks import KEPT_SECONDS, MOST_CHECKS, PassedChecks
from airflow_openai_realtime.switchboard.server.store import Store

LATER = START + timedelta(hours=3)


async def test_the_first_start_of_a_run_is_kept_for_its_line_alone(switchboard: Switchboard) -> None:
    async with switchboard.client() as client, switchboard.client(line="sales", secret=OTHER_SECRET) as other:
        first = await client.asend(preflight([], run=("dag", "nine", START)))
        again = await client.asend(preflight([], run=("dag", "nine", LATER)))
        another_run = await client.asend(preflight([], run=("dag", "ten", LATER)))
        another_line = await other.asend(preflight([], run=("dag", "nine", LATER)))
    assert [known.first_started_at for known in (first, again, another_run, another_line)] == [
        START,
        START,
        LATER,
        LATER,
    ]


async def test_tasks_that_start_together_are_told_one_start(store: Store, clock: Clock) -> None:
    starts = {store.attempts.first_start("support", "dag", "nine", START + timedelta(seconds=n)) for n in range(5)}
    assert starts == {START}


async def test_a_check_that_passed_is_known_to_the_line(switchboard: Switchboard) -> None:
    async with switchboard.client() as client, switchboard.client(line="sales", secret=OTHER_SECRET) as other:
        assert (await client.asend(preflight(["a", "b"]))).passed == frozenset()
        await client.asend(report_checks_passed(["a"]))
        assert (await client.asend(preflight(["a", "b"]))).passed == {"a"}
        assert (await other.asend(preflight(["a", "b"]))).passed == frozenset()
        assert (await client.asend(preflight(["a"]))).first_started_at is None


def test_a_check_is_made_again_after_some_minutes() -> None:
    seconds = 0.0
    checks = PassedChecks(lambda: seconds)
    checks.add("support", ["a"])
    seconds = KEPT_SECONDS - 1
    assert checks.among("support", ["a"]) == ["a"]
    seconds = KEPT_SECONDS
    assert checks.among("support", ["a"]) == []


def test_the_memory_of_checks_is_bounded() -> None:
    checks = PassedChecks(lambda: 0.0)
    checks.add("support", (str(number) for number in range(MOST_CHECKS + 5)))
    assert checks.among("support", ["0", "4", "5", str(MOST_CHECKS + 4)]) == ["5", str(MOST_CHECKS + 4)]


async def test_a_line_without_a_usable_secret_is_told_before_a_phone_rings(sqlite_store: Store, clock: Clock) -> None:
    broken = a_line(secret="whsec_!not-base64")
    async with (
        running(sqlite_store, StaticLines([broken]), clock) as switchboard,
        switchboard.client(secret="whsec_!not-base64") as client,
    ):
        (problem,) = (await client.asend(preflight([]))).problems
    assert "webhook secret" in problem
    assert "not-base64" not in problem


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/preflight", {"run": {"dag_id": "", "run_id": "r", "started_at": START.isoformat()}}, "dag_id"),
        ("/v1/preflight", {"run": {"dag_id": "d", "run_id": "r" * 251, "started_at": START.isoformat()}}, "run_id"),
        ("/v1/preflight", {"run": {"dag_id": "d", "run_id": "r", "started_at": "2026-11-30T09:00:00"}}, "started_at"),
        *(
            ("/v1/preflight", {"run": {"dag_id": "d", "run_id": "r", "started_at": at}}, "started_at")
            for at in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "1e300")
        ),
        ("/v1/preflight", {"checks": ["a\x00"]}, "checks"),
        ("/v1/preflight", {"checks": ["a"] * 21}, "checks"),
        ("/v1/preflight/passed", {"checks": []}, "checks"),
        ("/v1/preflight/passed", {"checks": ["x" * 101]}, "checks"),
    ],
)
async def test_what_cannot_be_used_is_named(
    switchboard: Switchboard, path: str, body: dict[str, Any], named: str
) -> None:
    assert named in await switchboard.refusal("POST", path, body)
