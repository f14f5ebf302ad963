"""
Turn taking: which responses are in progress, which audio plays, and what the model says next.

Only one response can be in progress at a time, and OpenAI starts some by itself after the caller has spoken. Our
requests for speech therefore wait for their turn. A request that OpenAI rejects because of another response is repeated
after that response.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_openai_realtime.api.sideband import events
from airflow_openai_realtime.api.sideband.commands import say

GREETING = "greeting"
REPLY = "reply"
GOODBYE = "goodbye"
RECORD = "record"

PURPOSE = "purpose"

#: Seconds without an event after which a response counts as over: its end was lost.
RESPONSE_SECONDS = 60.0
#: Seconds of playing after which audio counts as over likewise.
LONGEST_AUDIO_SECONDS = 300.0
#: Seconds that OpenAI may take to begin a requested response or to reject it.
ASKED_SECONDS = 10.0
#: Seconds after a finished response until its audio must have begun.
AUDIO_SECONDS = 3.0
#: How often a failed response is requested again in a row.
MOST_FAILURES = 2


@dataclass(frozen=True)
class Wanted:
    """
    A response that we want from the model.

    :param purpose: ``greeting``, ``reply``, ``goodbye`` or ``record``; OpenAI returns it with the response.
    :param instructions: Instructions in place of the session's; ``None``: those of the session.
    :param tool_choice: As for ``response.create``.
    :param after: Key of a timeline entry to save first; ``None``: none.
    """

    purpose: str
    instructions: str | None = None
    tool_choice: Any = None
    after: str | None = None

    def command(self, event_id: str) -> dict[str, Any]:
        """
        Return the command that requests it.

        :param event_id: Id that an error for this command will name.
        """
        asked = say(self.instructions, tool_choice=self.tool_choice, metadata={PURPOSE: self.purpose})
        return {**asked, "event_id": event_id}


@dataclass
class _Response:
    """One response that is in progress or playing."""

    since: datetime
    wanted: Wanted | None = None
    is_prompted: bool = False
    has_words: bool = False
    has_audio: bool = False


class TurnTaking:
    """Tracks the turns. It has no clock: times are arguments."""

    def __init__(self) -> None:
        self._wanted: deque[Wanted] = deque()
        self._asked: tuple[Wanted, str, datetime] | None = None
        self._made: dict[str, _Response] = {}
        self._heard: dict[str, datetime] = {}
        self._expected: dict[str, datetime] = {}
        self._begun_at: dict[str, datetime] = {}
        self._blocked_until: datetime | None = None
        self._is_prompted = False
        self._failures = 0
        self._number = 0
        self.caller_speaks = False

    def start_again(self) -> None:
        """Reset after a lost socket: responses may have ended unseen. A request that was not begun stays queued."""
        if self._asked is not None:
            self._wanted.appendleft(self._asked[0])
        self._asked, self._blocked_until = None, None
        self._made.clear()
        self._heard.clear()
        self._expected.clear()
        self.caller_speaks = False

    def want(self, wanted: Wanted) -> None:
        """
        Queue a response for its turn.

        :param wanted: The response; ignored if one with the same purpose is queued.
        """
        if wanted.purpose not in {each.purpose for each in self._wanted}:
            self._wanted.append(wanted)

    def drop_wanted(self) -> None:
        """Clear the queue."""
        self._wanted.clear()

    def next_command(self, now: datetime) -> tuple[Wanted, dict[str, Any]] | None:
        """
        Return the response to request now with its command, and mark it as requested.

        :param now: Current time, aware.
        :return: ``None`` when the queue is empty or a response is in progress.
        """
        if not self._wanted or self.is_making:
            return None
        wanted = self._wanted.popleft()
        self._number += 1
        event_id = f"{wanted.purpose}_{self._number}"
        self._asked = (wanted, event_id, now)
        return wanted, wanted.command(event_id)

    @property
    def is_making(self) -> bool:
        """Whether a response is in progress, or may be."""
        return bool(self._made or self._asked or self._blocked_until)

    @property
    def is_heard(self) -> bool:
        """Whether audio plays, or is about to."""
        return bool(self._heard or self._expected)

    @property
    def is_spoken(self) -> bool:
        """Whether everything that the model has to say was played to its end, or cleared."""
        return not (self.is_making or self.is_heard or self._wanted)

    @property
    def is_quiet(self) -> bool:
        """Whether neither the caller nor the model speaks or is about to."""
        return not (self.is_making or self.is_heard or self.caller_speaks)

    @property
    def is_prompted(self) -> bool:
        """Whether the model speaks only because of a silence."""
        return bool(self._made) and all(response.is_prompted for response in self._made.values())

    def began_at(self, response_id: str, now: datetime) -> datetime:
        """
        Return when the audio of a response began or, before that, the response itself.

        :param response_id: OpenAI's id of the response.
        :param now: Current time, aware; returned for an unknown response.
        """
        return self._begun_at.get(response_id, now)

    def hear(self, event: events.SidebandEvent, now: datetime) -> bool:
        """
        Handle an event; one that does not concern turns changes nothing.

        :param event: The event.
        :param now: When it arrived, aware.
        :return: Whether the caller begins to speak, or the model for another reason than a silence.
        """
        if isinstance(event, events.ResponseStarted):
            self._started(event, now)
        elif isinstance(event, events.ResponseDone):
            self._done(event, now)
        elif isinstance(event, events.AgentSaid) and event.response_id in self._made:
            self._made[event.response_id].has_words = True
        elif isinstance(event, (events.AudioStarted, events.AudioStopped, events.AudioCleared)):
            self._audio(event, now)
        elif isinstance(event, events.CallerSpeaking):
            self.caller_speaks = True
        elif isinstance(event, events.CallerSilent):
            self.caller_speaks = False
        elif isinstance(event, events.IdleTimeout):
            self._is_prompted = True
        is_model = isinstance(event, events.ResponseStarted) and not self.is_prompted
        return is_model or isinstance(event, events.CallerSpeaking)

    def refused(self, event: events.SessionError, now: datetime) -> bool:
        """
        Handle an error that may answer a request of ours.

        :param event: The error.
        :param now: When it arrived, aware.
        :return: Whether OpenAI rejected a request because another response was in progress; it is then repeated.
        """
        is_ours = self._asked is not None and event.event_id in (self._asked[1], None)
        if event.code != events.ACTIVE_RESPONSE:
            if is_ours and event.event_id is not None:
                self._asked = None
            return False
        if is_ours and self._asked is not None:
            self._wanted.appendleft(self._asked[0])
            self._asked = None
            if not self._made:
                # The start of the other response is still on its way, or came before the socket was attached.
                self._blocked_until = now + timedelta(seconds=ASKED_SECONDS)
        return True

    def give_up_waiting(self, now: datetime) -> None:
        """
        Drop responses and audio whose events are overdue.

        :param now: Current time, aware.
        """
        if self._asked is not None and self._asked[2] + timedelta(seconds=ASKED_SECONDS) <= now:
            self._asked = None
        if self._blocked_until is not None and self._blocked_until <= now:
            self._blocked_until = None
        slow, long = timedelta(seconds=RESPONSE_SECONDS), timedelta(seconds=LONGEST_AUDIO_SECONDS)
        self._made = {key: each for key, each in self._made.items() if each.since + slow > now}
        self._heard = {key: since for key, since in self._heard.items() if since + long > now}
        self._expected = {key: until for key, until in self._expected.items() if until > now}

    def gives_up_at(self) -> datetime | None:
        """Return the earliest time at which :meth:`give_up_waiting` has something to do; ``None``: none."""
        slow, long = timedelta(seconds=RESPONSE_SECONDS), timedelta(seconds=LONGEST_AUDIO_SECONDS)
        times = [each.since + slow for each in self._made.values()]
        times += [since + long for since in self._heard.values()]
        times += self._expected.values()
        if self._asked is not None:
            times.append(self._asked[2] + timedelta(seconds=ASKED_SECONDS))
        if self._blocked_until is not None:
            times.append(self._blocked_until)
        return min(times, default=None)

    def _started(self, event: events.ResponseStarted, now: datetime) -> None:
        self._blocked_until = None
        wanted = None
        if self._asked is not None and event.metadata.get(PURPOSE) == self._asked[0].purpose:
            wanted, self._asked = self._asked[0], None
        self._made[event.response_id] = _Response(now, wanted, self._is_prompted and wanted is None)
        self._begun_at[event.response_id] = now
        self._is_prompted = False

    def _done(self, event: events.ResponseDone, now: datetime) -> None:
        self._blocked_until = None
        response = self._made.pop(event.response_id, None) or _Response(now)
        if self._asked is not None and response.since > self._asked[2]:
            # The response has no metadata, and no request was rejected: it is the requested one.
            response.wanted, self._asked = response.wanted or self._asked[0], None
        if event.status == "failed":
            self._failed(response)
        else:
            self._failures = 0
        if response.has_words and not response.has_audio and event.status == "completed":
            self._expected[event.response_id] = now + timedelta(seconds=AUDIO_SECONDS)
        if event.response_id not in self._heard:
            self._begun_at.pop(event.response_id, None)

    def _failed(self, response: _Response) -> None:
        self._failures += 1
        if self._failures <= MOST_FAILURES:
            self.want(response.wanted or Wanted(REPLY))

    def _audio(self, event: events.AudioStarted | events.AudioStopped | events.AudioCleared, now: datetime) -> None:
        self._expected.pop(event.response_id, None)
        response = self._made.get(event.response_id)
        if response is not None:
            response.has_audio = True
        if isinstance(event, events.AudioStarted):
            self._heard[event.response_id] = now
            self._begun_at[event.response_id] = now
        else:
            self._heard.pop(event.response_id, None)
            if response is None:
                self._begun_at.pop(event.response_id, None)
