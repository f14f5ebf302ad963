"""Looking up lines without wearing out a secrets backend."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, a_line

from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.exceptions import ConfigurationError, LinesUnavailable, TooManyLookups
from airflow_openai_realtime.switchboard.server.intake.line_directory import MOST_UNPROVEN_NAMES, LineDirectory
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings


class Backend:
    """Lines that count how often they are asked for; any spelling in capitals finds one, as in the environment."""

    is_in_memory = False

    def __init__(self) -> None:
        self.lines: dict[str | None, Line] = {"support": a_line()}
        self.asked: list[str | None] = []
        self.failure: Exception | None = None
        self.listed: set[str] = set()
        self.listings = 0
        self.slow: threading.Event | None = None

    def listed_names(self) -> set[str]:
        self.listings += 1
        return self.listed

    def find(self, name: str | None) -> Line | None:
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure
        if self.slow is not None and name is not None and name.startswith("name-"):
            assert self.slow.wait(60)
        return self.lines.get(name and name.lower())


class Seconds:
    """A monotonic clock that tests move."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def directory(backend: Backend, seconds: Seconds) -> AsyncIterator[LineDirectory]:
    made = LineDirectory(backend, SwitchboardSettings(), monotonic=seconds)
    yield made
    made.close()


async def test_a_line_is_read_once_in_a_while(directory: LineDirectory, backend: Backend, seconds: Seconds) -> None:
    for _ in range(3):
        assert await directory.find("support") == a_line()
    assert backend.asked == ["support"]
    seconds.now += 30
    await directory.find("support")
    assert backend.asked == ["support", "support"]


async def test_many_who_ask_at_once_cause_one_look(directory: LineDirectory, backend: Backend) -> None:
    await asyncio.gather(*(directory.find("support") for _ in range(50)))
    assert backend.asked == ["support"]


async def test_an_unknown_name_is_remembered_for_a_while_too(directory: LineDirectory, backend: Backend) -> None:
    for _ in range(3):
        assert await directory.find("nobody") is None
    assert backend.asked == ["nobody"]


async def test_a_name_that_no_line_can_have_is_not_looked_up(directory: LineDirectory, backend: Backend) -> None:
    assert await directory.find("../x") is None
    assert await directory.find("x" * 1000) is None
    assert backend.asked == []


async def flood(directory: LineDirectory, count: int = 100) -> int:
    """Ask for names without a line, as strangers do; how many were refused."""
    refused = 0
    for number in range(count):
        try:
            assert await directory.find_asked(f"name-{number}") is None
        except TooManyLookups:
            refused += 1
    return refused


async def test_strangers_with_many_names_are_held_off_while_a_line_that_was_proved_goes_on(
    directory: LineDirectory, backend: Backend, seconds: Seconds
) -> None:
    await directory.find_asked("support")
    directory.proved("support")
    seconds.now += 31
    assert await flood(directory) == 80
    assert len(backend.asked) == 21
    assert await directory.find_asked("support") == a_line()


async def test_lines_that_can_be_listed_and_the_default_one_are_found_in_a_flood(
    directory: LineDirectory, backend: Backend, seconds: Seconds
) -> None:
    backend.lines |= {"listed": a_line(), None: a_line()}
    backend.listed = {"listed"}
    await flood(directory)
    assert await directory.find_asked("listed") == a_line()
    assert await directory.find_asked(None) == a_line()
    assert backend.listings == 1
    backend.lines["new"] = a_line()
    backend.listed.add("new")
    with pytest.raises(TooManyLookups):
        await directory.find_asked("new")
    seconds.now += 5
    await flood(directory)
    assert await directory.find_asked("new") == a_line()


async def test_what_the_switchboard_itself_asks_for_is_found_in_a_flood(directory: LineDirectory) -> None:
    await flood(directory)
    assert await directory.find("support") == a_line()


async def test_a_backend_that_is_slow_for_strangers_is_not_for_others(
    directory: LineDirectory, backend: Backend
) -> None:
    backend.slow = threading.Event()
    waiting = [asyncio.ensure_future(directory.find_asked(f"name-{number}")) for number in range(15)]
    try:
        assert await asyncio.wait_for(directory.find("support"), 60) == a_line()
    finally:
        backend.slow.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(each, TooManyLookups) for each in found) == 15 - 8


async def test_a_listing_that_fails_makes_nothing_worse(
    directory: LineDirectory, backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> set[str]:
        raise OSError("no database")

    monkeypatch.setattr(backend, "listed_names", fail)
    assert await directory.find_asked("support") == a_line()
    assert "line.listing_failed error=OSError" in caplog.text


async def test_names_that_strangers_make_up_do_not_fill_the_memory_or_push_lines_out(
    directory: LineDirectory, backend: Backend, seconds: Seconds
) -> None:
    await directory.find_asked("support")
    directory.proved("support")
    spellings = ["".join(letters) for letters in itertools.product(*zip("support", "SUPPORT", strict=True))]
    for number in range(MOST_UNPROVEN_NAMES + 50):
        seconds.now += 0.1
        await directory.find_asked(spellings[number] if 0 < number < len(spellings) else f"name-{number}")
    assert directory.remembered_names == MOST_UNPROVEN_NAMES + 1
    assert await flood(directory, 200) > 0
    assert await directory.find_asked("support") == a_line()


async def test_a_lone_line_of_a_standalone_switchboard_answers_to_any_name_without_a_limit_or_a_memory() -> None:
    directory = LineDirectory(StaticLines([a_line()]), SwitchboardSettings())
    for number in range(200):
        assert await directory.find_asked(f"name-{number}") == a_line()
    assert directory.remembered_names == 0
    directory.close()


async def test_a_line_is_read_again_after_a_wrong_signature_but_not_all_the_time(
    directory: LineDirectory, backend: Backend, seconds: Seconds
) -> None:
    await directory.find("support")
    backend.lines["support"] = replaced = a_line(secret=OTHER_SECRET)
    assert await directory.reread("support") == a_line()
    seconds.now += 5
    assert await directory.reread("support") == replaced
    for _ in range(100):
        await directory.reread("support")
    assert len(backend.asked) == 2


async def test_a_line_that_was_deleted_is_gone_after_a_while(
    directory: LineDirectory, backend: Backend, seconds: Seconds
) -> None:
    await directory.find("support")
    backend.lines.clear()
    seconds.now += 30
    assert await directory.find("support") is None


async def test_a_line_that_is_known_outlives_a_backend_that_fails(
    directory: LineDirectory, backend: Backend, seconds: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    await directory.find("support")
    backend.failure = OSError("vault is sealed: token s.123")
    seconds.now += 60
    assert await directory.find("support") == a_line()
    assert "lookup_failed" in caplog.text
    assert "s.123" not in caplog.text
    seconds.now += 600
    with pytest.raises(LinesUnavailable):
        await directory.find("support")


async def test_a_line_that_cannot_be_used_is_as_good_as_unknown_and_the_log_says_why(
    directory: LineDirectory, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.failure = ConfigurationError("line support: webhook_secret is missing")
    assert await directory.find("support") is None
    assert "webhook_secret is missing" in caplog.text
