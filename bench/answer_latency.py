"""
How long a phone rings before a trigger answers: from the ring at OpenAI to the accept request there.

A standalone switchboard and the simulator (as OpenAI) in processes of their own; in this process, as in a triggerer of
Airflow, many waiters in one event loop that share one feed. Between them real sockets. Airflow itself has no part in an
answer by a trigger, so it is not here.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from airflow_openai_realtime.api.client import AsyncCallsClient
from airflow_openai_realtime.api.endpoints import endpoints_for
from airflow_openai_realtime.api.session import parse_session
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.answering import Answering
from airflow_openai_realtime.calls.feed import CallFeed
from airflow_openai_realtime.calls.waiting import wait_for_call
from airflow_openai_realtime.simulator.control import SimulatorControl
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.settings import SimulatorSettings
from airflow_openai_realtime.switchboard.client import AsyncSwitchboardClient
from airflow_openai_realtime.switchboard.matching import CallMatch
from airflow_openai_realtime.switchboard.tokens import derived_token

#: Waiters that want other calls, as the tasks of other DAGs do.
OTHERS = 500
#: Calls that come one by one, and their pause in seconds.
SINGLE_CALLS = 60
PAUSE_SECONDS = 0.15
#: Calls that come at once: so many within so many seconds, so many times.
BURST_CALLS = 20
BURST_SECONDS = 2.0
BURSTS = 5

LONGEST_WAIT_SECONDS = 15.0
OUR_NUMBER = "+14155550100"
INSTRUCTIONS = "You answer the phone of a shop. The caller's number is {caller_number}. Answer briefly and kindly."


def measure() -> dict[str, float]:
    """Percentiles in milliseconds, one call at a time and in bursts, and how many calls were not answered."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _simulator() as simulator,
        _switchboard(simulator.url, f"sqlite:///{Path(folder) / 'calls.db'}") as switchboard_url,
    ):
        simulator.webhooks.add(f"{switchboard_url}/webhook")
        return asyncio.run(_measure(simulator, switchboard_url))


async def _measure(simulator: SimulatorControl, switchboard_url: str) -> dict[str, float]:
    async with _triggerer(simulator.url, switchboard_url) as answer:
        await _rounds(simulator, answer, calls=3, rounds=1, pause_seconds=0.5)  # not counted: what the first calls load
        alone = await _rounds(simulator, answer, calls=SINGLE_CALLS, rounds=1, pause_seconds=PAUSE_SECONDS)
        pause = BURST_SECONDS / BURST_CALLS
        async with _others(answer):
            idle = await _rounds(simulator, answer, calls=SINGLE_CALLS, rounds=1, pause_seconds=PAUSE_SECONDS)
            burst = await _rounds(simulator, answer, calls=BURST_CALLS, rounds=BURSTS, pause_seconds=pause)
    figures = {"answer_trigger_alone": alone, "answer_trigger": idle, "answer_trigger_burst": burst}
    return {
        name: value
        for prefix, (waits, unanswered) in figures.items()
        for name, value in (
            (f"{prefix}_p50_ms", _percentile(waits, 50)),
            (f"{prefix}_p99_ms", _percentile(waits, 99)),
            (f"{prefix}_unanswered", float(unanswered)),
        )
    }


async def _rounds(
    simulator: SimulatorControl, answer: Any, *, calls: int, rounds: int, pause_seconds: float
) -> tuple[list[float], int]:
    """Waits from ring to accept in milliseconds, and how many calls were not answered."""
    waits: list[float] = []
    for _ in range(rounds):
        # Each a new task: one that has had a call would be given the same again.
        answering = [asyncio.create_task(answer(f"task {uuid.uuid4()}")) for _ in range(calls)]
        await asyncio.sleep(0.3)
        rung = await asyncio.to_thread(_ring, simulator, calls, pause_seconds)
        await asyncio.wait(answering, timeout=LONGEST_WAIT_SECONDS)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        waits += await asyncio.to_thread(_waits, simulator, set(rung))
    return waits, calls * rounds - len(waits)


def _ring(simulator: SimulatorControl, calls: int, pause_seconds: float) -> list[str]:
    """Let calls come in evenly."""
    begun = time.monotonic()
    made = []
    for number in range(calls):
        time.sleep(max(0.0, begun + number * pause_seconds - time.monotonic()))
        script = PhoneScript.answers(talks_for_seconds=1.0)
        made.append(simulator.call_in(f"+1415556{number:04}", OUR_NUMBER, script=script))
    return made


def _waits(simulator: SimulatorControl, call_ids: set[str]) -> list[float]:
    """How long each call rang until it was accepted, by the simulator's clock."""
    entries = simulator.log.entries
    rang = {entry.call_id: entry.at for entry in entries if entry.kind == "openai.ringing"}
    accepted = {entry.call_id: entry.at for entry in entries if entry.kind == "openai.accepted"}
    return [(accepted[each] - rang[each]).total_seconds() * 1000 for each in call_ids if each in accepted]


def _percentile(waits: list[float], percent: int) -> float:
    return statistics.quantiles(waits, n=100, method="inclusive")[percent - 1] if len(waits) > 1 else float("nan")


# -- the parts --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _triggerer(openai_url: str, switchboard_url: str) -> AsyncIterator[Any]:
    """What one process of the triggerer shares; gives a function that waits for one call and answers it."""
    settings = SimulatorSettings()
    api = ApiSettings(api_key=settings.api_key, endpoints=endpoints_for(base_url=f"{openai_url}/v1"))
    plan = AnswerPlan.of(parse_session(instructions=INSTRUCTIONS), 600, {"caller_number": "from_number"})
    feed = CallFeed(AsyncSwitchboardClient(switchboard_url, derived_token(settings.webhook_secret)))

    async with AsyncCallsClient(api) as calls:

        async def answer(claimant: str, to: str = OUR_NUMBER, seconds: float = 60.0) -> None:
            taker = Answering(plan, calls, feed.client, claimant, lambda line: None)
            match = CallMatch(to=to)
            await wait_for_call(
                feed, match=match, claimant=claimant, seconds=seconds, report=lambda line: None, taker=taker
            )

        try:
            yield answer
        finally:
            await feed.close()


@asynccontextmanager
async def _others(answer: Any) -> AsyncIterator[None]:
    """Five hundred waiters more, whose calls do not come."""
    others = [
        asyncio.create_task(answer(f"other{number}", to=f"+4930{number:04}*", seconds=600.0))
        for number in range(OTHERS)
    ]
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def _simulator() -> Iterator[SimulatorControl]:
    arguments = ["-m", "airflow_openai_realtime.simulator", "--port", "0", "--calls-per-second", "0", "--quiet"]
    with _process(arguments, {}, "simulator: listening on ") as url, SimulatorControl(url) as control:
        yield control


@contextmanager
def _switchboard(openai_url: str, store_url: str) -> Iterator[str]:
    settings = SimulatorSettings()
    environment = {
        "OPENAI_API_KEY": settings.api_key,
        "OPENAI_WEBHOOK_SECRET": settings.webhook_secret,
        "OPENAI_REALTIME_BASE_URL": f"{openai_url}/v1",
    }
    arguments = ["-m", "airflow_openai_realtime.switchboard", "--port", "0", "--store-url", store_url]
    with _process(arguments, environment, "switchboard: listening on ") as url:
        yield url


@contextmanager
def _process(arguments: list[str], environment: dict[str, str], ready: str) -> Iterator[str]:
    """A program of ours that says where it listens."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**kept, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(ready):
                yield line.split()[-1]
                return
        raise RuntimeError(f"{' '.join(arguments)} did not start")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
