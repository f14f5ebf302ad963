"""Looking up lines without wearing out a secrets backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, a_line

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard.errors import LinesUnavailable
from airflow_openai_realtime.switchboard.line_directory import MOST_UNKNOWN_NAMES, LineDirectory
from airflow_openai_realtime.switchboard.lines import Line
from airflow_openai_realtime.switchboard.settings import SwitchboardSettings


class Backend:
    """Lines that count how often they are asked for."""

    def __init__(self) -> None:
        self.lines: dict[str | None, Line] = {"support": a_line()}
        self.asked: list[str | None] = []
        self.failure: Exception | None = None

    def find(self, name: str | None) -> Line | None:
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure
        return self.lines.get(name)


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


async def test_strangers_with_many_names_are_held_off_while_known_lines_go_on(
    directory: LineDirectory, backend: Backend, seconds: Seconds
) -> None:
    await directory.find("support")
    seconds.now += 31
    refused = 0
    for number in range(100):
        try:
            assert await directory.find(f"name-{number}") is None
        except LinesUnavailable:
            refused += 1
    assert refused == 80
    assert len(backend.asked) == 21
    assert await directory.find("support") == a_line()


async def test_unknown_names_do_not_fill_the_memory(directory: LineDirectory, seconds: Seconds) -> None:
    for number in range(MOST_UNKNOWN_NAMES + 50):
        seconds.now += 0.1
        await directory.find(f"name-{number}")
    assert len(directory._unknown) == MOST_UNKNOWN_NAMES


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
