"""
Rules for tool calls of the model and for the answers of tools.

Each tool call is saved in the timeline before the tool runs. A tool call that is already there does not run again,
whichever process began it, so no tool runs twice because a trigger moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from airflow_openai_realtime.api.sideband.events import FunctionCall
from airflow_openai_realtime.calls.timeline.entries import UNKNOWN, entry_of
from airflow_openai_realtime.calls.timeline.summary import TRANSFER_CALL, Summary, ToolTrace
from airflow_openai_realtime.conversation.rules import last_words, turn_taking
from airflow_openai_realtime.conversation.rules import offered_tools as tools
from airflow_openai_realtime.conversation.rules.effects import CheckResult, Refer, RunFunction, ToolAnswer
from airflow_openai_realtime.conversation.rules.state import ConversationState
from airflow_openai_realtime.conversation.rules.turn_taking import Wanted
from airflow_openai_realtime.states import EntryKind

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


def tools_called(state: ConversationState, calls: Iterable[FunctionCall], now: datetime) -> None:
    """
    Begin the tools that one response calls.

    :param state: State of the conversation.
    :param calls: The tool calls in any order: ending the call comes last, after a transfer.
    :param now: Current time, aware.
    """
    for call in sorted(calls, key=lambda each: each.name == tools.END_CALL):
        _tool_called(state, call, now)


def tool_answered(state: ConversationState, tool_call_id: str, answer: ToolAnswer, now: datetime) -> None:
    """
    Send a tool's answer to the model, and let the model continue once all tools of the round have answered.

    :param state: State of the conversation.
    :param tool_call_id: OpenAI's id of the tool call.
    :param answer: The answer.
    :param now: Current time, aware.
    """
    trace = state.summary.tools.get(tool_call_id)
    name = trace.name if trace is not None else ""
    is_first_problem = answer.status == "invalid" and not _was_invalid_before(state)
    if answer.status == "invalid" and not is_first_problem:
        answer = replace(answer, output=RECORDED_AS_IT_IS)
    body = {"tool_call_id": tool_call_id, "name": name, "status": answer.status, "output": answer.output}
    entry = entry_of(EntryKind.TOOL_RESULT, now, tool_call_id, **body, **answer.detail)
    if not state.keep(entry, at_once=True):
        return
    if answer.log:
        state.report(f"Tool {_plain(name)}: {answer.log}.")
    _tell(state, tool_call_id, answer.output, now)
    is_reply_due = answer.status != "requested" and not state.is_ending and not is_first_problem
    state.tools.end(tool_call_id, is_reply_due=is_reply_due)
    if is_first_problem and state.hung_up_for is None:
        # Also when the call is ending: the record is the purpose of the call.
        state.turns.want(Wanted(turn_taking.RECORD, tool_choice={"type": "function", "name": tools.RECORD_RESULT}))


def take_over(state: ConversationState, now: datetime) -> None:
    """
    Continue with the tools of an earlier owner.

    :param state: State of the conversation.
    :param now: Current time, aware.
    """
    for trace in untold_tools(state.summary):
        _tell(state, trace.tool_call_id, str(trace.output), now)
        state.tools.end(trace.tool_call_id, is_reply_due=True)
    for trace in unknown_tools(state.summary):
        if trace.name == tools.END_CALL:
            last_words.end_after_words(state, now)
        else:
            tool_answered(state, trace.tool_call_id, _unknown(trace), now)


def begin_asked(state: ConversationState, now: datetime) -> None:
    """
    Begin the tools that the model called while only the switchboard listened.

    Without a session only the record is checked, since the call is over. A tool that the model has called again
    meanwhile, because no answer came, runs once. Ignore a stale ``end_call`` or ``transfer_call`` once the caller
    speaks again.

    :param state: State of the conversation.
    :param now: Current time, aware.
    """
    traces = [each for each in state.summary.never_begun() if state.is_live or each.name == tools.RECORD_RESULT]
    latest = {(each.name, each.arguments): each.tool_call_id for each in traces}
    last_caller_at = state.summary.last_caller_at
    wanted = []
    for trace in traces:
        call = FunctionCall(trace.tool_call_id, trace.name, trace.arguments, item_id=None)
        has_gone_on = last_caller_at is not None and last_caller_at > trace.began_at
        if latest[trace.name, trace.arguments] != trace.tool_call_id:
            _decline(state, call, CALLED_AGAIN, now)
        elif has_gone_on and trace.name in (tools.END_CALL, TRANSFER_CALL):
            _decline(state, call, GONE_ON, now)
        else:
            wanted.append(call)
    tools_called(state, wanted, now)


def left_over(state: ConversationState, now: datetime) -> None:
    """
    Record tools that were still running when the call ended.

    :param state: State of the conversation.
    :param now: When the call ended, aware.
    """
    for trace in unknown_tools(state.summary):
        status = "ok" if trace.name == tools.END_CALL else UNKNOWN
        body = {"tool_call_id": trace.tool_call_id, "name": trace.name, "status": status}
        state.keep(entry_of(EntryKind.TOOL_RESULT, now, trace.tool_call_id, **body))


def _is_new(state: ConversationState, call: FunctionCall, now: datetime) -> bool:
    body = {"tool_call_id": call.tool_call_id, "name": call.name, "arguments": call.arguments}
    called = entry_of(EntryKind.TOOL_CALL, now, call.tool_call_id, **body)
    return bool(call.tool_call_id) and state.keep(called, at_once=True)


def _decline(state: ConversationState, call: FunctionCall, answer: ToolAnswer, now: datetime) -> None:
    if _is_new(state, call, now):
        state.tools.begin(call.tool_call_id)
        tool_answered(state, call.tool_call_id, answer, now)


def _tool_called(state: ConversationState, call: FunctionCall, now: datetime) -> None:
    if not _is_new(state, call, now):
        return
    plan = state.plan
    spec = next((each for each in plan.functions if each.name == call.name), None)
    state.tools.begin(call.tool_call_id)
    if call.name == tools.RECORD_RESULT and plan.result_schema is not None:
        state.effects.append(CheckResult(call.tool_call_id, call.arguments))
    elif state.is_ending:
        tool_answered(state, call.tool_call_id, CALL_IS_ENDING, now)
    elif call.name == tools.END_CALL and plan.end_call:
        state.tools.end(call.tool_call_id, is_reply_due=False)
        last_words.end_after_words(state, now)
    elif call.name == TRANSFER_CALL and plan.transfer_targets:
        _transfer_called(state, call, now)
    elif spec is not None:
        state.effects.append(RunFunction(call.tool_call_id, spec, call.arguments))
    else:
        tool_answered(state, call.tool_call_id, NO_SUCH_TOOL, now)


def _transfer_called(state: ConversationState, call: FunctionCall, now: datetime) -> None:
    targets = state.plan.transfer_targets
    name = _target_in(call.arguments)
    if name in targets:
        last_words.transfer_after_words(state, Refer(call.tool_call_id, name, targets[name].target_uri), now)
    else:
        answer = ToolAnswer("bad_arguments", f"There is no such target. Use one of: {', '.join(targets)}.")
        tool_answered(state, call.tool_call_id, answer, now)


def _tell(state: ConversationState, tool_call_id: str, output: str, now: datetime) -> None:
    if state.hung_up_for is None:
        command = state.tools.output(tool_call_id, output, now, is_attached=state.is_live)
        if command is not None:
            state.send(command)


def _was_invalid_before(state: ConversationState) -> bool:
    return any(trace.status == "invalid" for trace in state.summary.tools.values())


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
