"""The people: what each phone does when it rings, and how its owner behaves in a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.dialogue import Dialogue
from airflow_openai_realtime.simulator.log import CallRecord, Log

_DURATIONS = ("after_seconds", "talks_for_seconds", "gives_up_after_seconds", "hang_up_noticed_after_seconds")
_REACTIONS = ("answers", "busy", "no_answer", "declines", "invalid")


@dataclass(frozen=True)
class PhoneScript:
    """
    What a person does, as callee or as caller. Durations are simulated seconds.

    :param reaction: What the phone does when it is dialed: ``answers``, ``busy``, ``no_answer`` (rings until the
        caller gives up), ``declines`` (rings, then reports busy) or ``invalid`` (no such number).
    :param after_seconds: Seconds of ringing before it is answered or declined.
    :param talks_for_seconds: Seconds that the person talks with the model before hanging up; None: no end.
    :param gives_up_after_seconds: Seconds that the person waits on the line for an answer; None: no end.
    :param answered_by: Result of answering machine detection: ``human``, ``machine_start``, ``fax`` or ``unknown``.
    :param dialogue: What is said on the line, and other events of the call.
    :param hang_up_noticed_after_seconds: Seconds for which OpenAI's session stays open after the person hung up, also
        during ringing: *accept* then answers 200 although the person is gone. Seen by users in 2025; mostly it is 0.
    """

    reaction: str = "answers"
    after_seconds: float = 2.0
    talks_for_seconds: float | None = 30.0
    gives_up_after_seconds: float | None = None
    answered_by: str = "human"
    dialogue: Dialogue = field(default_factory=Dialogue)
    hang_up_noticed_after_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.reaction not in _REACTIONS:
            raise InvalidInput(
                f"a phone cannot {self.reaction}; its reaction is one of {', '.join(_REACTIONS)}", field="reaction"
            )
        for name in _DURATIONS:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InvalidInput(f"{name} is {value}; give 0 or more", field=name)

    @classmethod
    def answers(
        cls, *, after_seconds: float = 2.0, talks_for_seconds: float | None = 30.0, **others: Any
    ) -> PhoneScript:
        """Answers, talks for a while, hangs up."""
        return cls("answers", after_seconds=after_seconds, talks_for_seconds=talks_for_seconds, **others)

    @classmethod
    def talks_for_ever(cls, *, after_seconds: float = 2.0, **others: Any) -> PhoneScript:
        """Answers and never hangs up."""
        return cls("answers", after_seconds=after_seconds, talks_for_seconds=None, **others)

    @classmethod
    def hangs_up_while_ringing(cls, after_seconds: float, **others: Any) -> PhoneScript:
        """Waits on the line, and leaves if the call is not answered by then. Meant for callers."""
        return cls("answers", gives_up_after_seconds=after_seconds, **others)

    @classmethod
    def busy(cls) -> PhoneScript:
        """Is busy."""
        return cls("busy")

    @classmethod
    def no_answer(cls) -> PhoneScript:
        """Rings without an answer."""
        return cls("no_answer")

    @classmethod
    def declines(cls, *, after_seconds: float = 2.0) -> PhoneScript:
        """Rings and is declined."""
        return cls("declines", after_seconds=after_seconds)

    @classmethod
    def invalid(cls) -> PhoneScript:
        """A number that does not exist."""
        return cls("invalid")

    def to_dict(self) -> dict[str, Any]:
        """The script as JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "dialogue": self.dialogue.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PhoneScript:
        """
        The script from :meth:`to_dict`; what is left out has its default.

        :raises InvalidInput: A field is unknown or cannot be used.
        """
        unknown = set(values) - {each.name for each in fields(cls)}
        if unknown:
            raise InvalidInput(f"a phone script has no field {sorted(unknown)[0]}", field=sorted(unknown)[0])
        if "dialogue" in values:
            values = {**values, "dialogue": Dialogue.from_dict(values["dialogue"])}
        return cls(**values)


class Ring:
    """A phone that rings for one call; :meth:`stop` it when it is answered or given up."""

    def __init__(self, phones: Phones, number: str) -> None:
        self._phones = phones
        self._number = number
        self._rings = True

    def stop(self) -> None:
        """Stop the ringing. Stopping twice changes nothing."""
        if self._rings:
            self._rings = False
            self._phones._ringing[self._number] -= 1


class Phones:
    """
    All phones of the simulated world.

    :param lock: The simulator's lock.
    :param log: Records dialing and ringing.
    """

    def __init__(self, lock: threading.RLock, log: Log) -> None:
        self._lock = lock
        self._log = log
        self._scripts: dict[str, list[PhoneScript]] = {}
        self._ringing: dict[str, int] = {}
        self._on_line: dict[str, list[Callable[[], None]]] = {}
        self.default = PhoneScript()

    def add(self, number: str, *scripts: PhoneScript) -> None:
        """
        Set what a phone does.

        :param number: E.164, or the target of a transfer as it is given to *refer* (``agent@example.com``).
        :param scripts: One for each time that it is dialed, in order; the last one is repeated. A number that
            was never added does what :attr:`default` says: answers after 2 s, talks for 30 s.
        :raises InvalidInput: No script was given.
        """
        if not scripts:
            raise InvalidInput("give at least one PhoneScript", field="scripts")
        with self._lock:
            self._scripts[number] = list(scripts)

    def scripts(self) -> dict[str, tuple[PhoneScript, ...]]:
        """What is left of the scripts, by number."""
        with self._lock:
            return {number: tuple(scripts) for number, scripts in self._scripts.items()}

    def dial(self, number: str, record: CallRecord) -> PhoneScript:
        """
        Return what a phone does now that it is dialed; the next time it follows its next script.

        :param number: The phone.
        :param record: The call that it is dialed for.
        """
        with self._lock:
            scripts = self._scripts.get(number)
            script = self.default if not scripts else scripts.pop(0) if len(scripts) > 1 else scripts[0]
            self._log.add("phone.dialed", record, number=number)
            return script

    def ring(self, number: str, record: CallRecord) -> Ring:
        """Let a phone ring for a call."""
        with self._lock:
            already_ringing = self._ringing.get(number, 0)
            self._ringing[number] = already_ringing + 1
            self._log.add("phone.ringing", record, number=number, already_ringing=bool(already_ringing))
            return Ring(self, number)

    def connect(self, number: str, leave: Callable[[], None]) -> None:
        """Note that a person is on the line, and how they leave it."""
        with self._lock:
            self._on_line.setdefault(number, []).append(leave)

    def disconnect(self, number: str, leave: Callable[[], None]) -> None:
        """Note that a person is off the line."""
        with self._lock:
            if leave in self._on_line.get(number, []):
                self._on_line[number].remove(leave)

    def hang_up(self, number: str) -> int:
        """
        Let a person hang up now, in all calls that they are in.

        :param number: Their phone number.
        :return: How many calls that ended.
        """
        with self._lock:
            leaving: Sequence[Callable[[], None]] = list(self._on_line.get(number, []))
            for leave in leaving:
                leave()
            return len(leaving)

    def reset(self) -> None:
        """Forget all scripts and all people on the line."""
        with self._lock:
            self._scripts.clear()
            self._ringing.clear()
            self._on_line.clear()
            self.default = PhoneScript()
