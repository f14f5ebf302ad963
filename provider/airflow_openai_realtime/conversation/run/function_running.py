"""
Run functions of a DAG author for the model: in the triggerer, with a time limit, and never twice.

An error is reported to the model in words, to the log in one line (function, type of error and place, without its text,
which may quote the caller), and in full in the call's timeline.

Synchronous code runs beside the event loop, but not in the loop's own thread pool: a function that never returns would
occupy one of its few threads permanently, and the triggerer looks up host names in that pool.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from airflow_openai_realtime.api.untrusted import tame
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.timeline.entries import LONGEST_TEXT
from airflow_openai_realtime.conversation.author_functions import CALL_PARAMETER, arguments_model, load_object
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import FunctionSpec

T = TypeVar("T")

#: Most threads at once; the limit is reached mainly by functions that never return.
MOST_THREADS = 64

_slots = threading.Semaphore(MOST_THREADS)
LONGEST_OUTPUT = LONGEST_TEXT

_FAILED = "This did not work. Tell the caller that it cannot be done at the moment, and do not try it again."
_TIMED_OUT = "This took too long. It may have worked or not: do not try it again, and tell the caller so."
_UNUSABLE = "This was done, but its answer cannot be read. Do not try it again."


async def run_function(spec: FunctionSpec, arguments: str, call: SwitchboardCall) -> ToolAnswer:
    """
    Run a function once.

    :param spec: The function and its time limit.
    :param arguments: JSON text from the model, untrusted.
    :param call: The call, passed to a function with a parameter ``call``.
    :return: The answer for the model. Nothing is raised, whatever the function does.

    Retries: none.
    """
    try:
        given = json.loads(arguments or "{}")
        if not isinstance(given, dict):
            raise ValueError("no object")
        given = tame(given)
    except (ValueError, RecursionError):
        return ToolAnswer("bad_arguments", "The arguments must be a JSON object. Call it again with one.")
    # Importing may be slow, and so may checking the arguments with the author's own types.
    work = asyncio.ensure_future(_run(spec, given, call))
    try:
        done, _ = await asyncio.wait([work], timeout=spec.timeout_seconds)
    finally:
        # Not awaited: a coroutine may ignore its cancellation.
        work.cancel()
        work.add_done_callback(_forget)
    if not done:
        return ToolAnswer("timed_out", _TIMED_OUT, f"took longer than {spec.timeout_seconds:g} s")
    if work.cancelled():
        return ToolAnswer("failed", _FAILED, "was cancelled")
    error = work.exception()
    return _failure(error) if error is not None else work.result()


async def _run(spec: FunctionSpec, given: Mapping[str, Any], call: SwitchboardCall) -> ToolAnswer:
    prepared = await run_in_thread(functools.partial(_prepare, spec, given, call))
    if isinstance(prepared, ToolAnswer):
        return prepared
    is_coroutine = inspect.iscoroutinefunction(inspect.unwrap(prepared.func))
    value = prepared() if is_coroutine else await run_in_thread(prepared)
    if inspect.isawaitable(value):
        try:
            value = await value
        except (SystemExit, KeyboardInterrupt) as error:
            # These would end the triggerer.
            raise RuntimeError(type(error).__name__) from error
    return _answer_of(value)


def _prepare(
    spec: FunctionSpec, given: Mapping[str, Any], call: SwitchboardCall
) -> functools.partial[Any] | ToolAnswer:
    """Import the function and check its arguments."""
    function: Callable[..., Any] = load_object(spec.path)
    try:
        checked = arguments_model(function, spec.name).model_validate(given)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        told = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in errors[:10])
        return ToolAnswer("bad_arguments", f"The arguments do not fit. {told}. Correct them, and call it again.")
    values = {name: getattr(checked, name) for name in checked.model_fields_set}
    if spec.wants_call:
        values[CALL_PARAMETER] = call.to_dict()
    return functools.partial(function, **values)


def _answer_of(value: Any) -> ToolAnswer:
    if isinstance(value, str):
        text = value
    else:
        try:
            text = to_json(value, inf_nan_mode="null").decode()
        except (PydanticSerializationError, ValueError, RecursionError):
            return ToolAnswer("unusable", _UNUSABLE, f"returned a {type(value).__name__}, which is not of JSON values")
    if len(text) > LONGEST_OUTPUT:
        return ToolAnswer("ok", text[:LONGEST_OUTPUT] + " … (cut)", "returned a text that was cut for the model")
    return ToolAnswer("ok", text)


def _failure(error: BaseException) -> ToolAnswer:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    log = f"failed with {type(error).__name__}{place}"
    return ToolAnswer("failed", _FAILED, log, {"error": f"{type(error).__name__}: {error}"[:1000]})


def _forget(work: asyncio.Future[Any]) -> None:
    """Retrieve the result of work that is no longer awaited, so that asyncio logs no warning."""
    if not work.cancelled():
        work.exception()


class TooManyThreads(RuntimeError):
    """The limit of functions that run at once is reached."""


async def run_in_thread(work: Callable[[], T]) -> T:
    """
    Run work in a thread of its own. When the await is cancelled, the thread goes on and its result is dropped.

    :param work: Called without arguments, with the context variables of the caller.
    :raises TooManyThreads: The limit is reached; the work was not begun.
    """
    if not _slots.acquire(blocking=False):
        raise TooManyThreads(f"{MOST_THREADS} functions run already")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(work)
        except BaseException as raised:
            # Errors that would end the program, or that a future rejects, become an ordinary failure.
            is_plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
            error = raised if is_plain else RuntimeError(type(raised).__name__)
        finally:
            _slots.release()
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed, so the result is not awaited
            return

    threading.Thread(target=run, name="call-function", daemon=True).start()
    return await done
