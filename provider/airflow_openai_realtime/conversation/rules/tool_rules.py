"""
Rules for tool calls of the model and for the answers of tools.

Each tool call is saved in the timeline before the tool runs. A tool call that is already there does not run again,
whichever process began it, so no tool runs twice because a trigger moved.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.api.sideband.commands import function_output
from airflow_openai_realtime.api.sideband.events import FunctionCall
from airflow_openai_realtime.calls.timeline.entries import UNKNOWN
from airflow_openai_realtime.calls.timeline.summary import Summary, ToolTrace
from airflow_openai_realtime.conversation.rules import last_words
from airflow_openai_realtime.conversation.rules import offered_tools as tools
from airflow_openai_realtime.conversation.rules.effects import CheckResult, Refer, RunFunction, ToolAnswer
from airflow_openai_realtime.conversation.rules.state import ConversationState
from airflow_openai_realtime.conversation.rules.turn_taking import RECORD, REPLY, Wanted
from airflow_openai_realtime.states import TRANSFER_CALL, EntryKind

UNKNOWN_OUTPUT = (
    "It is not known whether this worked: the connection was lost meanwhile. Do not try it again. Tell the caller that "
    "it could not be confirmed."
)
NO_SUCH_TOOL = ToolAnswer(
    "not_run", "There is no such function. Go on without it.", "the model called a function that is not there"
)
RECORDED_AS_IT_IS = "It was recorded as it is. Do not record it again, and go on with the conversation."
CALL_IS_ENDING = ToolAnswer("not_run", "The call is ending: nothing was done.")
CALLED_AGAIN = ToolAnswer("not_run", "You have called this again since; that call is answered.")
GONE_ON = ToolAnswer("not_run", "The caller has spoken since, so nothing was done. Call it again if it is still right.")


#: Outputs sent at most so many seconds before the socket broke may not have arrived.
UNSURE_SECONDS = 2.0
_KEPT_OUTPUTS = 8


class ToolRounds:
    """Tracks the running tools and their outputs."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._is_reply_due = False
        self._sent: deque[tuple[datetime, dict[str, Any]]] = deque(maxlen=_KEPT_OUTPUTS)
        self._unsent: list[dict[str, Any]] = []
        self._number = 0

    @property
    def is_running(self) -> bool:
        """Whether a tool runs."""
        return bool(self._running)

    def begin(self, tool_call_id: str) -> None:
        """
        Record that a tool runs.

        :param tool_call_id: OpenAI's id of the tool call.
        """
        self._running.add(tool_call_id)

    def end(self, tool_call_id: str, *, is_reply_due: bool) -> None:
        """
        Record that a tool has finished.

        :param tool_call_id: OpenAI's id of the tool call.
        :param is_reply_due: Whether the model should respond to it.
        """
        self._running.discard(tool_call_id)
        self._is_reply_due = self._is_reply_due or is_reply_due

    def take_reply(self) -> bool:
        """Return whether to ask the model for a response now; True once for each round."""
        is_due = self._is_reply_due and not self._running
        if is_due:
            self._is_reply_due = False
        return is_due

    def output(self, tool_call_id: str, output: str, now: datetime, *, is_attached: bool) -> dict[str, Any] | None:
        """
        Make the command that sends a tool's output to the model.

        :param tool_call_id: OpenAI's id of the tool call.
        :param output: The output.
        :param now: Current time, aware.
        :param is_attached: Whether the socket is open; without it the output is kept for :meth:`left_over`.
        :return: ``None`` when the output has to wait for the socket.
        """
        self._number += 1
        command = {**function_output(tool_call_id, output), "event_id": f"output_{self._number}"}
        if not is_attached:
            self._unsent.append(command)
            return None
        self._sent.append((now, command))
        return command

    def left_over(self, broke_at: datetime | None, now: datetime) -> list[dict[str, Any]]:
        """
        Return the outputs to send now that the socket is open (again).

        Outputs that may have arrived are sent again: at worst OpenAI rejects them, while a model that waits for an
        output stays silent.

        :param broke_at: When the previous socket broke, aware; ``None``: there was none.
        :param now: Current time, aware.
        """
        unsure = timedelta(seconds=UNSURE_SECONDS)
        doubtful = [command for at, command in self._sent if broke_at is not None and at + unsure >= broke_at]
        again = [{**command, "event_id": f"again_{command['event_id']}"} for command in doubtful]
        commands = [*again, *self._unsent]
        self._sent.extend((now, command) for command in self._unsent)
        self._unsent.clear()
        self._is_reply_due = self._is_reply_due or bool(commands)
        return commands


class ToolRules:
    """
    Begins the tools that the model calls, and tells it their answers.

    :param state: State of the conversation.
    """

    def __init__(self, state: ConversationState) -> None:
        self._state = state
        self._rounds = ToolRounds()

    @property
    def are_running(self) -> bool:
        """Whether a tool runs."""
        return self._rounds.is_running

    def called(self, calls: Iterable[FunctionCall], now: datetime) -> None:
        """
        Begin the tools that one response calls.

        :param calls: The tool calls in any order: ending the call comes last, after a transfer.
        :param now: Current time, aware.
        """
        for call in sorted(calls, key=lambda each: each.name == tools.END_CALL):
            if self._is_new(call, now):
                self._begin(call, now)

    def answered(self, tool_call_id: str, answer: ToolAnswer, now: datetime) -> None:
        """
        Send a tool's answer to the model, and let the model continue once all tools of the round have answered.

        :param tool_call_id: OpenAI's id of the tool call.
        :param answer: The answer.
        :param now: Current time, aware.
        """
        state = self._state
        trace = state.summary.tools.get(tool_call_id)
        name = trace.name if trace is not None else ""
        is_first_problem = answer.status == "invalid" and not _was_invalid_before(state.summary)
        if answer.status == "invalid" and not is_first_problem:
            answer = replace(answer, output=RECORDED_AS_IT_IS)
        body = {"tool_call_id": tool_call_id, "name": name, "status": answer.status, "output": answer.output}
        if not state.record(EntryKind.TOOL_RESULT, now, tool_call_id, at_once=True, **body, **answer.detail):
            return
        if answer.log:
            state.report(f"Tool {_plain(name)}: {answer.log}.")
        self._tell(tool_call_id, answer.output, now)
        is_reply_due = answer.status != "requested" and not state.is_ending and not is_first_problem
        self._rounds.end(tool_call_id, is_reply_due=is_reply_due)
        if is_first_problem and state.hung_up_for is None:
            # Also when the call is ending: the record is the purpose of the call.
            state.turns.want(Wanted(RECORD, tool_choice={"type": "function", "name": tools.RECORD_RESULT}))

    def want_reply_when_due(self) -> None:
        """Want a response of the model once all tools of a round have answered, unless the call is ending."""
        if self._rounds.take_reply() and not self._state.is_ending:
            self._state.turns.want(Wanted(REPLY))

    def attached(self, broke_at: datetime | None, now: datetime, *, is_taken_over: bool) -> None:
        """
        Send what waits for the socket, and begin what was called while no owner listened.

        :param broke_at: When the previous socket broke, aware; ``None``: there was none.
        :param now: Current time, aware.
        :param is_taken_over: Whether an earlier owner's tools are to be continued.
        """
        for command in self._rounds.left_over(broke_at, now):
            self._state.send(command)
        if is_taken_over:
            self._take_over(now)
        self.begin_asked(now)

    def begin_asked(self, now: datetime) -> None:
        """
        Begin the tools that the model called while only the switchboard listened.

        Without a session only the record is checked, since the call is over. A tool that the model has called again
        meanwhile, because no answer came, runs once. Ignore a stale ``end_call`` or ``transfer_call`` once the caller
        speaks again.

        :param now: Current time, aware.
        """
        summary = self._state.summary
        is_live = self._state.is_live
        traces = [each for each in summary.never_begun() if is_live or each.name == tools.RECORD_RESULT]
        latest = {(each.name, each.arguments): each.tool_call_id for each in traces}
        last_caller_at = summary.last_caller_at
        wanted = []
        for trace in traces:
            call = FunctionCall(trace.tool_call_id, trace.name, trace.arguments, item_id=None)
            has_gone_on = last_caller_at is not None and last_caller_at > trace.began_at
            if latest[trace.name, trace.arguments] != trace.tool_call_id:
                self._decline(call, CALLED_AGAIN, now)
            elif has_gone_on and trace.name in (tools.END_CALL, TRANSFER_CALL):
                self._decline(call, GONE_ON, now)
            else:
                wanted.append(call)
        self.called(wanted, now)

    def note_left_over(self, now: datetime) -> None:
        """
        Record tools that were still running when the call ended.

        :param now: When the call ended, aware.
        """
        for trace in unknown_tools(self._state.summary):
            status = "ok" if trace.name == tools.END_CALL else UNKNOWN
            self._state.record(
                EntryKind.TOOL_RESULT,
                now,
                trace.tool_call_id,
                tool_call_id=trace.tool_call_id,
                name=trace.name,
                status=status,
            )

    def _take_over(self, now: datetime) -> None:
        """Continue with the tools of an earlier owner."""
        for trace in untold_tools(self._state.summary):
            self._tell(trace.tool_call_id, str(trace.output), now)
            self._rounds.end(trace.tool_call_id, is_reply_due=True)
        for trace in unknown_tools(self._state.summary):
            if trace.name == tools.END_CALL:
                last_words.end_after_words(self._state, now)
            else:
                self.answered(trace.tool_call_id, _unknown(trace), now)

    def _is_new(self, call: FunctionCall, now: datetime) -> bool:
        """Record a tool call, and return whether it runs: it was not called before, and has an id."""
        body = {"tool_call_id": call.tool_call_id, "name": call.name, "arguments": call.arguments}
        if not call.tool_call_id:
            return False
        is_new = self._state.record(EntryKind.TOOL_CALL, now, call.tool_call_id, at_once=True, **body) is not None
        if is_new:
            self._rounds.begin(call.tool_call_id)
        return is_new

    def _decline(self, call: FunctionCall, answer: ToolAnswer, now: datetime) -> None:
        if self._is_new(call, now):
            self.answered(call.tool_call_id, answer, now)

    def _begin(self, call: FunctionCall, now: datetime) -> None:
        state, plan = self._state, self._state.plan
        spec = next((each for each in plan.functions if each.name == call.name), None)
        if call.name == tools.RECORD_RESULT and plan.result_schema is not None:
            state.effects.append(CheckResult(call.tool_call_id, call.arguments))
        elif state.is_ending:
            self.answered(call.tool_call_id, CALL_IS_ENDING, now)
        elif call.name == tools.END_CALL and plan.end_call:
            self._rounds.end(call.tool_call_id, is_reply_due=False)
            last_words.end_after_words(state, now)
        elif call.name == TRANSFER_CALL and plan.transfer_targets:
            self._transfer(call, now)
        elif spec is not None:
            state.effects.append(RunFunction(call.tool_call_id, spec, call.arguments))
        else:
            self.answered(call.tool_call_id, NO_SUCH_TOOL, now)

    def _transfer(self, call: FunctionCall, now: datetime) -> None:
        targets = self._state.plan.transfer_targets
        name = _target_in(call.arguments)
        if name in targets:
            refer = Refer(call.tool_call_id, name, targets[name].target_uri)
            last_words.transfer_after_words(self._state, refer, now)
        else:
            answer = ToolAnswer("bad_arguments", f"There is no such target. Use one of: {', '.join(targets)}.")
            self.answered(call.tool_call_id, answer, now)

    def _tell(self, tool_call_id: str, output: str, now: datetime) -> None:
        if self._state.hung_up_for is None:
            command = self._rounds.output(tool_call_id, output, now, is_attached=self._state.is_live)
            if command is not None:
                self._state.send(command)


def _was_invalid_before(summary: Summary) -> bool:
    return any(trace.status == "invalid" for trace in summary.tools.values())


def _unknown(trace: ToolTrace) -> ToolAnswer:
    # A transfer that may have been requested counts as requested.
    target = _target_in(trace.arguments) if trace.name == TRANSFER_CALL else ""
    return ToolAnswer(UNKNOWN, UNKNOWN_OUTPUT, detail={"target": target} if target else {})


def _target_in(arguments: str) -> str:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return ""
    target = value.get("target") if isinstance(value, dict) else None
    return target if isinstance(target, str) else ""


def _plain(name: str) -> str:
    """Return the name of a tool for the log; the model may have invented it."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 64 else "(unknown)"


def unknown_tools(summary: Summary) -> list[ToolTrace]:
    """
    Return the tools that an earlier owner began and whose result is not known.

    :param summary: Summary of the timeline.
    """
    return [trace for trace in summary.tools.values() if trace.status == UNKNOWN and trace.ended_at is None]


def untold_tools(summary: Summary) -> list[ToolTrace]:
    """
    Return the tools whose output may not have reached the model: it has not spoken since they finished.

    :param summary: Summary of the timeline.
    """
    return [
        trace
        for trace in summary.tools.values()
        if trace.output is not None
        and trace.ended_at is not None
        and trace.status != "requested"
        and trace.name != tools.END_CALL
        and (summary.last_agent_at is None or summary.last_agent_at < trace.ended_at)
    ]
