from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from datetime import date, datetime, timezone
from typing import Any

import pytest
from tests.unit.conversation import tool_samples

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec
from airflow_openai_realtime.conversation.run import function_running as under_test
from airflow_openai_realtime.conversation.run.function_running import TooManyThreads, run_function, run_in_thread

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
CALL = SwitchboardCall("rtc_1", "l", "accepted", NOW, NOW, from_number="+14155550123")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    tool_samples.ran.clear()
    tool_samples.released.clear()
    yield
    tool_samples.released.set()


async def ran(name: str, arguments: str = "{}", **others: Any) -> ToolAnswer:
    spec = FunctionSpec(name, f"tests.unit.conversation.tool_samples.{name}", **others)
    return await run_function(spec, arguments, CALL)


async def test_a_function_is_run_in_a_thread_of_its_own_with_checked_arguments() -> None:
    answer = await ran("look_up", '{"order": "7"}')
    assert (answer.status, answer.output, answer.log) == ("ok", '{"order":7,"kind":"new"}', "")
    assert tool_samples.ran == [(7, "new", "call-function")]


async def test_a_function_gets_no_name_that_airflow_reads_as_its_own() -> None:
    assert (await ran("note", '{"about": {"__type": "Connection", "text": "a\\u202eb"}}')).status == "ok"
    assert tool_samples.ran == [{"x__type": "Connection", "text": "ab"}]


async def test_a_coroutine_function_is_run_in_the_event_loop() -> None:
    answer = await ran("book", '{"day": "2026-11-23", "item": {"name": "pizza", "amount": 2}}')
    assert answer.output == "booked Monday"
    assert tool_samples.ran == [(date(2026, 11, 23), tool_samples.Item(name="pizza", amount=2))]


async def test_a_function_that_returns_something_to_wait_for_is_waited_for() -> None:
    assert (await ran("gives_awaitable")).output == "booked Monday"


async def test_a_function_that_wants_the_call_gets_it() -> None:
    assert (await ran("who_calls", wants_call=True)).output == "+14155550123"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{}", "order: Field required"),
        ('{"order": 1, "kind": "other"}', "kind: Input should be 'new' or 'old'"),
        ('{"order": 1, "extra": 2}', "extra: Extra inputs are not permitted"),
        ('{"order": 1', "must be a JSON object"),
        ("[1]", "must be a JSON object"),
        ("[" * 10_000, "must be a JSON object"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: str, told: str) -> None:
    answer = await ran("look_up", arguments)
    assert answer.status == "bad_arguments"
    assert told in answer.output
    assert tool_samples.ran == []


async def test_no_arguments_at_all_are_an_empty_object() -> None:
    assert (await ran("gives_much", "")).status == "ok"


async def test_a_function_that_fails_is_told_in_words_and_the_log_does_not_quote_the_caller() -> None:
    answer = await ran("fails", '{"secret": "Herr Meier"}')
    assert answer.status == "failed"
    assert "did not work" in answer.output
    assert "failed with KeyError at " in answer.log
    assert "tool_samples.py:" in answer.log
    assert "Meier" not in answer.log + answer.output
    assert "Meier" in answer.detail["error"]


@pytest.mark.parametrize("name", ["stops", "exits", "exits_later"])
async def test_a_function_that_raises_what_ends_programs_ends_nothing(name: str) -> None:
    assert (await ran(name)).status == "failed"


@pytest.mark.parametrize("name", ["never_returns", "never_ends"])
async def test_a_function_that_never_returns_is_given_up(name: str) -> None:
    answer = await ran(name, timeout_seconds=0.1)
    assert (answer.status, answer.log) == ("timed_out", "took longer than 0.1 s")
    assert "do not try it again" in answer.output
    tool_samples.released.set()
    await asyncio.sleep(0.1)


async def test_an_answer_that_is_no_json_is_no_failure_of_what_was_done() -> None:
    answer = await ran("gives_no_json")
    assert (answer.status, answer.log) == ("unusable", "returned a object, which is not of JSON values")


async def test_a_long_answer_is_cut() -> None:
    answer = await ran("gives_much")
    assert len(answer.output) == 10_008
    assert answer.output.endswith("… (cut)")


async def test_a_function_that_cannot_be_imported_here_fails() -> None:
    spec = FunctionSpec("gone", "tests.unit.conversation.tool_samples.gone")
    answer = await run_function(spec, "{}", CALL)
    assert (answer.status, "ImportError" in answer.log) == ("failed", True)


async def test_a_cancelled_wait_cancels_the_function() -> None:
    task = asyncio.ensure_future(ran("never_ends", timeout_seconds=30))
    await asyncio.sleep(0.1)
    tool_samples.released.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- threads -----------------------------------------------------------------------------------------------------------


async def test_so_many_threads_run_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_slots", threading.Semaphore(1))
    first = asyncio.ensure_future(run_in_thread(lambda: tool_samples.released.wait(10)))
    await asyncio.sleep(0)
    with pytest.raises(TooManyThreads):
        await run_in_thread(lambda: None)
    tool_samples.released.set()
    await first
    await run_in_thread(lambda: None)


async def test_work_runs_in_a_thread_of_its_own_with_the_context_of_the_caller() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    name.set("ann")
    threads_used = [await run_in_thread(threading.current_thread) for _ in range(2)]
    assert await run_in_thread(name.get) == "ann"
    assert threading.main_thread() not in threads_used
    assert threads_used[0] is not threads_used[1]
    assert all(each.daemon for each in threads_used)


@pytest.mark.parametrize(
    ("raised", "found"),
    [
        (KeyError("gone"), KeyError),
        (StopIteration(), RuntimeError),
        (SystemExit(3), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
    ],
)
async def test_whatever_work_raises_is_raised_where_it_is_waited_for(
    raised: BaseException, found: type[Exception]
) -> None:
    def fails() -> None:
        raise raised

    with pytest.raises(found) as error:
        await run_in_thread(fails)
    if found is RuntimeError:
        assert str(error.value) == type(raised).__name__


async def test_a_slot_is_free_again_whether_the_work_failed_or_was_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_test, "_slots", threading.Semaphore(1))
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 // 0)
    begun = threading.Event()

    def works() -> None:
        begun.set()
        tool_samples.released.wait(30)

    waiting = asyncio.ensure_future(run_in_thread(works))
    await asyncio.to_thread(begun.wait, 30)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(TooManyThreads, match="64 functions run already"):
        await run_in_thread(lambda: None)
    tool_samples.released.set()
    while True:  # the thread goes on until its work is done
        try:
            assert await run_in_thread(lambda: "free") == "free"
            break
        except TooManyThreads:
            await asyncio.sleep(0.01)
