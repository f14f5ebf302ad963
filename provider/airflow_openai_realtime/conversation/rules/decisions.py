"""
The rules of a conversation: events in, effects out. They use no clock, no socket and no switchboard.

The runner of the call reports sideband events, tool answers and the passing of time, executes the returned effects,
and calls again no later than :meth:`ConversationRules.wakes_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.sideband.commands import update_session
from airflow_openai_realtime.calls.outcome import End
from airflow_openai_realtime.calls.timeline.entries import Listening, TimelineEntry
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.conversation.rules import last_words
from airflow_openai_realtime.conversation.rules.effects import Effect, ResyncTools, ToolAnswer
from airflow_openai_realtime.conversation.rules.offered_tools import tools_to_set
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.state import ConversationState
from airflow_openai_realtime.conversation.rules.tool_rules import ToolRules
from airflow_openai_realtime.conversation.rules.turn_taking import GREETING, Wanted
from airflow_openai_realtime.states import EndReason, EntryKind, Note

#: Seconds before ``hangup_at`` at which the call is hung up. The switchboard hangs up at ``hangup_at``, and should
#: then find the call ended and its reason stored.
LEAD_SECONDS = 0.5
#: Seconds before that hang-up at which the model says goodbye; in a short call at most half of its time.
GOODBYE_LEAD_SECONDS = 12.0
#: An error at most so many seconds before the end of the socket counts as its cause.
FATAL_SECONDS = 2.0

#: Prefixes of the ids of commands that may not have been needed; their errors are ignored.
_DOUBTFUL_COMMANDS = ("again_", "cancel_", "clear_")


class QuietClock:
    """
    Sums silence until the caller or the model speaks unprompted.

    Speech that silence itself triggers (the model asking whether the caller is still there) stops the clock, but does
    not reset it.

    :param limit_seconds: Longest silence in seconds, above 0; ``None``: no limit.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        self._limit = None if limit_seconds is None else timedelta(seconds=limit_seconds)
        self._since: datetime | None = None
        self._before = timedelta()

    def set(self, is_quiet: bool, now: datetime) -> None:
        """
        Record whether it is quiet from now on.

        :param is_quiet: Whether it is quiet.
        :param now: Current time, aware.
        """
        if is_quiet and self._since is None:
            self._since = now
        elif not is_quiet and self._since is not None:
            self._before += max(timedelta(), now - self._since)
            self._since = None

    def start_again(self, now: datetime) -> None:
        """
        Reset the sum: the caller or the model spoke.

        :param now: Current time, aware.
        """
        self._before = timedelta()
        if self._since is not None:
            self._since = now

    @property
    def ends_at(self) -> datetime | None:
        """When the silence will reach its limit; ``None`` while it is not quiet, or without a limit."""
        if self._limit is None or self._since is None:
            return None
        return self._since + self._limit - self._before


class ConversationRules:
    """
    The rules of one conversation. All times are aware.

    :param plan: Plan of the conversation.
    :param hangup_at: When the call must be over.
    :param now: Current time.
    :param began_at: When the call was accepted; ``None``: now.
    :param summary: Summary of the timeline so far.
    :param generation: Generation of the conversation; 0: it is not open yet.
    :param may_greet: Whether the model may greet the caller; False when a greeting may have been given already.
    """

    def __init__(
        self,
        plan: ConversationPlan,
        *,
        hangup_at: datetime,
        now: datetime,
        began_at: datetime | None = None,
        summary: Summary | None = None,
        generation: int = 1,
        may_greet: bool = True,
    ) -> None:
        self.summary = summary or Summary()
        deadline = hangup_at - timedelta(seconds=LEAD_SECONDS)
        lead = min(timedelta(seconds=GOODBYE_LEAD_SECONDS), (hangup_at - (began_at or now)) / 2)
        goodbye_at = deadline - lead if plan.goodbye else None
        self._state = ConversationState(plan, deadline, goodbye_at, self.summary)
        self._tools = ToolRules(self._state)
        self._quiet = QuietClock(plan.silence_seconds)
        self._generation = generation
        self._may_greet = may_greet
        self._listening = Listening(generation, self.summary.keys)
        self._announced: dict[str, events.FunctionCall] = {}
        self._unheard_since = self.summary.last_heard_at or began_at or now
        #: When the socket was last lost; a call that ended without any message ended then.
        self.broke_at: datetime | None = None
        self._last_error: tuple[datetime, str] | None = None
        self._is_resumed = bool(self.summary.attachments)
        self._attachments = 0
        self._attached_at: datetime | None = None
        self.is_expired = False

    @property
    def is_taken_over(self) -> bool:
        """Whether the conversation had another owner before."""
        return self._is_resumed or self._generation > 1

    def heard(self, event: events.SidebandEvent, now: datetime) -> list[Effect]:
        """
        Handle an event of the sideband.

        :param event: The event.
        :param now: When it arrived.
        :return: Effects to execute in order.
        """
        if isinstance(event, events.SessionError):
            self._error(event, now)
            return self._settled(now)
        has_spoken = self._state.turns.hear(event, now)
        for entry in self._listening.entries(event, now, self._state.turns.began_at):
            self._state.keep(entry)
        if isinstance(event, events.SessionCreated):
            self._session_created(event, now)
        elif has_spoken or isinstance(event, events.KeyPressed):
            self._quiet.start_again(now)
        elif isinstance(event, events.FunctionCall):
            self._announced[event.tool_call_id] = event
        elif isinstance(event, events.ResponseDone):
            self._tools.called(self._calls_of(event), now)
        return self._settled(now)

    def detached(self, now: datetime) -> list[Effect]:
        """
        Handle the loss of the socket.

        :param now: Current time.
        :return: Effects to execute in order.
        """
        self._state.is_live = False
        self.broke_at = self._unheard_since = now
        self._state.turns.start_again()
        return self._settled(now)

    def answered(self, tool_call_id: str, answer: ToolAnswer, now: datetime) -> list[Effect]:
        """
        Handle the answer of a tool.

        :param tool_call_id: OpenAI's id of the tool call.
        :param answer: The answer.
        :param now: Current time.
        :return: Effects to execute in order.
        """
        self._tools.answered(tool_call_id, answer, now)
        return self._settled(now)

    def woken(self, now: datetime) -> list[Effect]:
        """
        Handle the passing of time.

        :param now: Current time.
        :return: Effects to execute in order.
        """
        state = self._state
        state.turns.give_up_waiting(now)
        if state.hung_up_for is None:
            quiet_until = self._quiet.ends_at
            if now >= state.deadline:
                last_words.hang_up(state, state.ending.why if state.ending else EndReason.MAX_DURATION, now)
            elif state.goodbye_at is not None and now >= state.goodbye_at:
                last_words.say_goodbye(state)
            elif quiet_until is not None and now >= quiet_until:
                last_words.hang_up(state, EndReason.SILENCE, now)
        return self._settled(now)

    def wakes_at(self) -> datetime | None:
        """Return the latest time at which :meth:`woken` must be called; ``None``: no call is needed."""
        state = self._state
        if state.hung_up_for is not None:
            return None
        times = [state.deadline, state.goodbye_at, self._quiet.ends_at, state.turns.gives_up_at()]
        times += [waiting.until for waiting in (state.ending, state.transfer) if waiting is not None]
        return min(at for at in times if at is not None)

    def ended(
        self, now: datetime, *, was_over: bool = False, was_new: bool = False, was_refused: bool = False
    ) -> tuple[list[Effect], End]:
        """
        Handle the end of the call. Tools that still run are not awaited.

        :param now: When the call ended.
        :param was_over: Whether it was certainly over before we hung up.
        :param was_new: Whether the first attempt to attach came within seconds of the accept.
        :param was_refused: Whether the socket ended by itself.
        :return: Effects to execute in order, and what is known about the end.
        """
        self._tools.note_left_over(now)
        end = End(
            ended_by=self._state.hung_up_for,
            was_over=was_over,
            lived=self.summary.attachments > 0,
            was_new=was_new,
            was_refused=was_refused,
            is_expired=self.is_expired,
            fatal_error=self.fatal_error(now),
            transfer_requested=self.summary.may_be_transferred,
            has_valid_result=bool(self.summary.result_valid),
        )
        return self._state.take_effects(), end

    def merge(self, entries: Iterable[TimelineEntry], heard_until: datetime | None = None) -> None:
        """
        Add the saved timeline of an earlier owner that could be read only now.

        :param entries: The timeline.
        :param heard_until: Until when the switchboard itself has listened; ``None``: it has not.
        """
        listed = list(entries)
        self.summary.merge(listed, heard_until)
        saved = Summary.of(listed, heard_until)
        if not saved.attachments or saved.last_heard_at is None:
            return
        if self._attached_at is None:
            self._is_resumed, self._unheard_since = True, saved.last_heard_at
        else:
            self.summary.gaps.unheard(saved.last_heard_at, self._attached_at)

    def opened_late(self, generation: int, now: datetime) -> list[Effect]:
        """
        Set the generation of a conversation that was opened only after the socket was attached.

        :param generation: Generation of the conversation, 1 or more.
        :param now: Current time.
        :return: Effects to execute in order.
        """
        if self._generation == 0:
            self._generation = generation
            if self._attachments:
                # The switchboard looks for this key: it tells that an owner listens.
                key_of_first = (Note.ATTACHED, generation, 1)
                self._state.record(EntryKind.NOTE, now, *key_of_first, at_once=True, what=Note.OPENED_LATE)
        return self._state.take_effects()

    def caught_up(self, entries: Iterable[TimelineEntry], heard_until: datetime | None, now: datetime) -> list[Effect]:
        """
        Add what the switchboard heard while no owner listened, once it has written all of it.

        :param entries: The timeline.
        :param heard_until: Until when the switchboard has listened; ``None``: it has not.
        :param now: Current time.
        :return: Effects to execute in order.
        """
        self.summary.merge(entries, heard_until)
        self._tools.begin_asked(now)
        return self._settled(now) if self._state.is_live else self._state.take_effects()

    def fatal_error(self, now: datetime) -> str | None:
        """
        Return the code of the error that ended the session, if there was one just before the end.

        :param now: When the call was found to be over, which is later than the end of the socket.
        """
        if self._last_error is None:
            return None
        at, code = self._last_error
        closed_at = self.broke_at if self.broke_at is not None and self.broke_at >= at else now
        return code if closed_at <= at + timedelta(seconds=FATAL_SECONDS) else None

    def _session_created(self, event: events.SessionCreated, now: datetime) -> None:
        state = self._state
        state.is_live = True
        self._attachments += 1
        self._attached_at = self._attached_at or now
        is_again = self._is_resumed or self._attachments > 1
        gap = max(0.0, (now - self._unheard_since).total_seconds()) if is_again else 0.0
        self._note_attached(event, now, gap)
        if is_again or self.is_taken_over:
            state.effects.append(ResyncTools())
        self._quiet.start_again(now)
        if state.hung_up_for is not None:
            return
        tools = tools_to_set(event.tools, state.plan)
        if tools is not None:
            state.send(update_session(tools=tools), event_id="tools_1")
        self._tools.attached(self.broke_at, now, is_taken_over=self._is_resumed and self._attachments == 1)
        self._greet(now)

    def _greet(self, now: datetime) -> None:
        state = self._state
        if not state.plan.greeting or not self._may_greet or self.summary.is_greeted or state.ending is not None:
            return
        noted = state.record(EntryKind.NOTE, now, Note.GREETED, at_once=True, what=Note.GREETED)
        words = last_words.SAY_THIS + state.plan.greeting
        state.turns.want(Wanted(GREETING, words, "none", after=noted))

    def _note_attached(self, event: events.SessionCreated, now: datetime, gap_seconds: float) -> None:
        model = event.session.get("model")
        body = {
            "what": Note.ATTACHED,
            "session_id": event.session_id,
            "model": model if isinstance(model, str) else None,
            "transcription_model": _transcription_model(event.session),
            "gap_seconds": round(gap_seconds, 3),
        }
        name = (Note.ATTACHED, self._generation, self._attachments)
        self._state.record(EntryKind.NOTE, now, *name, at_once=True, **body)

    def _calls_of(self, event: events.ResponseDone) -> list[events.FunctionCall]:
        """Return the tool calls of a response, without those that were cut off."""
        calls = [call for call in event.function_calls if call.status != "incomplete"]
        if not event.function_calls and event.status == "completed":
            calls = list(self._announced.values())
        self._announced.clear()
        return calls

    def _error(self, event: events.SessionError, now: datetime) -> None:
        if self._state.turns.refused(event, now):
            return
        if event.code == events.SESSION_EXPIRED:
            self.is_expired = True
        elif event.event_id is None:
            self._last_error = (now, event.code or event.type or "error")
        elif event.event_id.startswith(_DOUBTFUL_COMMANDS):
            return
        entry = self._listening.error(event, now)
        self._state.keep(entry)
        self._state.report(f"OpenAI reports an error of the session: {entry.body['code']}")

    def _settled(self, now: datetime) -> list[Effect]:
        """Act on everything that has become possible, and return the effects to execute."""
        state = self._state
        if state.hung_up_for is None:
            last_words.act_when_heard(state, now, is_tool_running=self._tools.are_running)
        if state.hung_up_for is None and state.is_live:
            self._tools.want_reply_when_due()
            asked = state.turns.next_command(now)
            if asked is not None:
                state.send(asked[1], after=asked[0].after)
        self._quiet.set(state.is_live and state.turns.is_quiet and not self._tools.are_running, now)
        return state.take_effects()


def _transcription_model(session: Mapping[str, Any]) -> str | None:
    value: Any = session
    for name in ("audio", "input", "transcription", "model"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
