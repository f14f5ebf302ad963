"""
The tools of a call: which run, what the model is to be told, and what it was told already.

A round is what one response calls. The model goes on speaking when all of it is answered, and not before.

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

#: What was sent so shortly before the socket broke may not have arrived.
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
    """Keeps track of the tools."""

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
        Note that a tool runs.

        :param tool_call_id: OpenAI's id of the tool's call.
        """
        self._running.add(tool_call_id)

    def end(self, tool_call_id: str, *, is_reply_due: bool) -> None:
        """
        Note that a tool is over.

        :param tool_call_id: Its call.
        :param is_reply_due: Whether the model is to say something about it.
        """
        self._running.discard(tool_call_id)
        self._is_reply_due = self._is_reply_due or is_reply_due

    def take_reply(self) -> bool:
        """Tell whether the model is to go on speaking now; it is told so once."""
        is_due = self._is_reply_due and not self._running
        if is_due:
            self._is_reply_due = False
        return is_due

    def output(self, tool_call_id: str, output: str, now: datetime, *, is_attached: bool) -> dict[str, Any] | None:
        """
        Make the command that tells the model what a tool gave.

        :param tool_call_id: OpenAI's id of the tool's call.
        :param output: What the model is told, JSON text.
        :param now: The time, aware.
        :param is_attached: Whether the sideband is open.
        :return: ``None`` when it has to wait for the socket.
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
        Return the outputs to send now that the socket is there (again).

        What may have arrived is sent again: that is refused at worst, and a model that waits for it is silent.

        :param broke_at: When the socket before this one broke.
        :param now: The time, aware.
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
    Return the tools that an earlier holder began, and of which nobody knows what they came to.

    :param summary: What the timeline adds up to.
    """
    return [trace for trace in summary.tools.values() if trace.status == UNKNOWN and trace.ended_at is None]


def untold_tools(summary: Summary) -> list[ToolTrace]:
    """
    Return the tools whose output the model may not have: it has not spoken since an earlier holder had it.

    :param summary: What the timeline adds up to.
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
