"""Execute the tools of a call: functions, the check of the result, transfers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.timeline.entries import LONGEST_TEXT, key_of
from airflow_openai_realtime.conversation.rules.effects import CheckResult, Refer, RunFunction, ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.result_checking import check_result
from airflow_openai_realtime.conversation.run.function_running import TooManyThreads, run_in_thread
from airflow_openai_realtime.conversation.run.ports import CallPorts, wait_for_any
from airflow_openai_realtime.conversation.run.saving import Saving
from airflow_openai_realtime.exceptions import CallError, OutcomeUnknown
from airflow_openai_realtime.states import EntryKind

#: Seconds that a tool waits until its call is saved. If it is not saved by then the tool does not run, since another
#: process could run it a second time.
NOTE_SECONDS = 6.0
#: Longest check of a result in seconds.
CHECK_SECONDS = 10.0

_NOT_NOTED = ToolAnswer(
    "not_run",
    "This cannot be done at the moment. Tell the caller so.",
    "was not run: its call could not be saved at the switchboard, so it might have run twice",
)
_REQUESTED = (
    "The transfer was requested. Say nothing more. If the caller is still here and speaks to you, it has not worked: "
    "offer help otherwise."
)
_REFER_FAILED = "The transfer did not work. Tell the caller, and offer help otherwise."


class ToolTasks:
    """
    The running tools of one call.

    :param ports: Runs functions and requests transfers.
    :param plan: Plan with the schema of the result.
    :param call: The call.
    :param saving: Saves the timeline.
    :param start: Starts a tool as a task.
    :param on_answer: Called with the id of a tool call and its answer.
    """

    def __init__(
        self,
        ports: CallPorts,
        plan: ConversationPlan,
        call: SwitchboardCall,
        saving: Saving,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[Any]],
        on_answer: Callable[[str, ToolAnswer], None],
    ) -> None:
        self._ports = ports
        self._plan = plan
        self._call = call
        self._saving = saving
        self._start = start
        self._on_answer = on_answer
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, effect: RunFunction | CheckResult | Refer) -> None:
        """
        Start a tool; ``on_answer`` gets its answer.

        :param effect: The tool to run.
        """
        task = self._start(self._run(effect))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait(self, seconds: float) -> None:
        """
        Wait for running tools.

        :param seconds: Longest wait in seconds.
        """
        if self._running:
            together = asyncio.ensure_future(asyncio.wait(set(self._running)))
            await wait_for_any({together}, seconds, self._ports.sleep)
            together.cancel()

    async def _run(self, effect: RunFunction | CheckResult | Refer) -> None:
        if isinstance(effect, CheckResult):
            answer = await self._check(effect)
        elif not await self._saving.is_saved(key_of(EntryKind.TOOL_CALL, effect.tool_call_id), NOTE_SECONDS):
            answer = _NOT_NOTED
        elif isinstance(effect, Refer):
            answer = await self._refer(effect)
        else:
            answer = await self._ports.run_function(effect.spec, effect.arguments, self._call)
        self._on_answer(effect.tool_call_id, answer)

    async def _check(self, effect: CheckResult) -> ToolAnswer:
        try:
            work = run_in_thread(partial(check_result, self._plan, effect.arguments))
            return await asyncio.wait_for(work, CHECK_SECONDS)
        except (asyncio.TimeoutError, TooManyThreads) as error:
            log = f"the result could not be checked ({type(error).__name__})"
            detail = {"value": effect.arguments[:LONGEST_TEXT], "valid": False, "problems": ["not checked"]}
            return ToolAnswer("unusable", "It was recorded.", log, detail)

    async def _refer(self, effect: Refer) -> ToolAnswer:
        detail = {"target": effect.target}
        try:
            await self._ports.refer(self._call.call_id, effect.target_uri)
        except OutcomeUnknown as error:
            return ToolAnswer("requested", _REQUESTED, f"it may have been requested or not: {error}", detail)
        except CallError as error:
            return ToolAnswer("failed", _REFER_FAILED, f"the transfer was not requested: {error}")
        return ToolAnswer("requested", _REQUESTED, detail=detail)
