"""
The tools of a call: which ones run, and which outputs were sent to the model.

A round consists of the tool calls of one response. The model continues once all of them are answered.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.api.sideband.commands import function_output
from airflow_openai_realtime.calls.timeline.entries import UNKNOWN
from airflow_openai_realtime.calls.timeline.summary import Summary, ToolTrace
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.offered_tools import END_CALL

#: Outputs sent at most so many seconds before the socket broke may not have arrived.
UNSURE_SECONDS = 2.0
_KEPT_OUTPUTS = 8

UNKNOWN_OUTPUT = (
    "It is not known whether this worked: the connection was lost meanwhile. Do not try it again. Tell the caller that "
    "it could not be confirmed."
)
RECORDED_AS_IT_IS = "It was recorded as it is. Do not record it again, and go on with the conversation."
NO_SUCH_TOOL = ToolAnswer(
    "not_run", "There is no such function. Go on without it.", "the model called a function that is not there"
)
CALL_IS_ENDING = ToolAnswer("not_run", "The call is ending: nothing was done.")
CALLED_AGAIN = ToolAnswer("not_run", "You have called this again since; that call is answered.")
GONE_ON = ToolAnswer("not_run", "The caller has spoken since, so nothing was done. Call it again if it is still right.")


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
        and trace.name != END_CALL
        and (summary.last_agent_at is None or summary.last_agent_at < trace.ended_at)
    ]
