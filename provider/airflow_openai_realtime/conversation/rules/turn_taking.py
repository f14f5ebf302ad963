"""
Whose turn it is: which responses are being made, what is heard, and what the model is to say next.

Only one response can be made at a time, and OpenAI starts some by itself when the caller has spoken. So what we want
said waits its turn, and what OpenAI refused because of another response is asked for again after that.

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

#: A response of which nothing was heard for so long is over; its end was lost.
RESPONSE_SECONDS = 60.0
#: Audio that plays for so long is over likewise.
LONGEST_AUDIO_SECONDS = 300.0
#: How long OpenAI may take to begin what was asked for, or to refuse it.
ASKED_SECONDS = 10.0
#: How long the audio of words that are ready may take to begin.
AUDIO_SECONDS = 3.0
#: How often something that failed is asked for again, in a row.
MOST_FAILURES = 2


@dataclass(frozen=True)
class Wanted:
    """
    Something that the model is to say.

    :param purpose: ``greeting``, ``reply``, ``goodbye`` or ``record``; comes back with the response.
    :param instructions: What to say, in place of the session's instructions.
    :param tool_choice: As for ``response.create``.
    :param after: Key of an entry that must be saved before.
    """

    purpose: str
    instructions: str | None = None
    tool_choice: Any = None
    after: str | None = None

    def command(self, event_id: str) -> dict[str, Any]:
        """
        Return the command that asks for it.

        :param event_id: Id that an error about the command will name.
        """
        asked = say(self.instructions, tool_choice=self.tool_choice, metadata={PURPOSE: self.purpose})
        return {**asked, "event_id": event_id}


@dataclass
class _Response:
    """One response that is being made or heard."""

    since: datetime
    wanted: Wanted | None = None
    is_prompted: bool = False
    has_words: bool = False
    has_audio: bool = False


class TurnTaking:
    """Keeps track of the turns; all of its times are given."""

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
        """Forget what may have ended unseen: the socket was away. What was asked for and not begun is wanted still."""
        if self._asked is not None:
            self._wanted.appendleft(self._asked[0])
        self._asked, self._blocked_until = None, None
        self._made.clear()
        self._heard.clear()
        self._expected.clear()
        self.caller_speaks = False

    def want(self, wanted: Wanted) -> None:
        """
        Let the model say something when it is its turn; what is wanted already is not wanted twice.

        :param wanted: What the model shall say.
        """
        if wanted.purpose not in {each.purpose for each in self._wanted}:
            self._wanted.append(wanted)

    def drop_wanted(self) -> None:
        """Want nothing any more."""
        self._wanted.clear()

    def next_command(self, now: datetime) -> tuple[Wanted, dict[str, Any]] | None:
        """
        Return what to ask for now, if anything; it counts as asked for from now on.

        :param now: The time, aware.
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
        """Whether a response is being made, or may be."""
        return bool(self._made or self._asked or self._blocked_until)

    @property
    def is_heard(self) -> bool:
        """Whether audio plays, or is about to."""
        return bool(self._heard or self._expected)

    @property
    def is_spoken(self) -> bool:
        """Whether everything that the model has to say was heard to its end, or cleared."""
        return not (self.is_making or self.is_heard or self._wanted)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody speaks or is about to."""
        return not (self.is_making or self.is_heard or self.caller_speaks)

    @property
    def is_prompted(self) -> bool:
        """Whether the model speaks only because nobody else does."""
        return bool(self._made) and all(response.is_prompted for response in self._made.values())

    def began_at(self, response_id: str, now: datetime) -> datetime:
        """
        When a response began to be heard or, before that, to be made.

        :param response_id: Id of the response.
        :param now: The time, aware; given back when nothing is known of the response.
        """
        return self._begun_at.get(response_id, now)

    def hear(self, event: events.SidebandEvent, now: datetime) -> None:
        """
        Take in an event; one that is not about turns changes nothing.

        :param event: Any event of the sideband.
        :param now: The time, aware.
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

    def refused(self, event: events.SessionError, now: datetime) -> bool:
        """
        Take in an error; tell whether it is the answer to what was asked for, or to having asked too early.

        :param event: The error.
        :param now: The time.
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
                # Its beginning is still on its way, or was before the socket was attached.
                self._blocked_until = now + timedelta(seconds=ASKED_SECONDS)
        return True

    def give_up_waiting(self, now: datetime) -> None:
        """
        Let go of what should have come long ago.

        :param now: The time, aware.
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
        """When :meth:`give_up_waiting` has something to do at the earliest."""
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
            # Nothing came back with the response, and nothing was refused: it was what was asked for.
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
