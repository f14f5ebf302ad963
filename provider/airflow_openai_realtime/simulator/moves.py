"""What a person does in a call, and what happens to its session, one thing after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput

KINDS = ("says", "presses", "waits", "hangs_up", "session_error", "session_expires", "socket_breaks")
MOMENTS = ("quiet", "speaking", "anyway")
_TRANSCRIPTS = ("completed", "failed", "never")
_KEYS = set("0123456789*#ABCD")


@dataclass(frozen=True)
class Move:
    """
    One thing that happens in a call.

    ===================  ============================================================================================
    ``says``             the person speaks ``text``; the model hears it and answers, as the session says
    ``presses``          the person presses ``keys``, one each 0.2 s
    ``waits``            nothing for ``after_seconds``
    ``hangs_up``         the person hangs up
    ``session_error``    the session has an error with ``code`` and ``message``; when ``fatal`` the call ends with it
    ``session_expires``  the session hits its longest time: error ``session_expired``, then the end
    ``socket_breaks``    all sidebands break off without a close frame; the call goes on
    ===================  ============================================================================================

    :param kind: One of the above.
    :param when: What it waits for: ``quiet`` (the model has said all, its tools are answered), ``speaking`` (the
        model is being heard: this interrupts) or ``anyway``. The wait is at most 30 s.
    :param after_seconds: How long after that, and after the move before it, in simulated seconds.
    :param text: What is said.
    :param keys: What is pressed: ``0``-``9``, ``*``, ``#``, ``A``-``D``.
    :param transcript: What becomes of the transcript of ``text``, when the session asks for transcripts:
        ``completed``, ``failed`` or ``never`` (lost).
    :param transcript_after_seconds: When it comes, after the last word. The default is before the answer's words;
        a few seconds: after the response is done. With the call's end it is lost.
    :param code: ``error.code``.
    :param message: ``error.message``.
    :param fatal: Whether the session dies of the error.
    """

    kind: str
    when: str = "quiet"
    after_seconds: float = 1.0
    text: str = ""
    keys: str = ""
    transcript: str = "completed"
    transcript_after_seconds: float = 0.3
    code: str | None = None
    message: str = ""
    fatal: bool = False

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("when", MOMENTS), ("transcript", _TRANSCRIPTS)):
            if getattr(self, name) not in known:
                raise InvalidInput(f"{name} of a move is {', '.join(known)}, not {getattr(self, name)}", field=name)
        for name in ("after_seconds", "transcript_after_seconds"):
            if getattr(self, name) < 0:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give 0 or more", field=name)
        if self.kind == "says" and not self.text:
            raise InvalidInput("who speaks needs a text", field="text")
        if self.kind == "presses" and (not self.keys or not set(self.keys) <= _KEYS):
            raise InvalidInput("keys of a phone are 0-9, *, # and A-D", field="keys")

    @classmethod
    def says(cls, text: str, **others: Any) -> Move:
        """The person speaks once the model is quiet. ``others``: fields of :class:`Move`."""
        return cls("says", text=text, **others)

    @classmethod
    def interrupts(cls, text: str, *, after_seconds: float = 0.5, **others: Any) -> Move:
        """The person speaks while the model does. ``others``: fields of :class:`Move`."""
        return cls("says", when="speaking", after_seconds=after_seconds, text=text, **others)

    @classmethod
    def presses(cls, keys: str, **others: Any) -> Move:
        """The person presses keys. ``others``: fields of :class:`Move`."""
        return cls("presses", keys=keys, **others)

    @classmethod
    def waits(cls, seconds: float) -> Move:
        """Nothing happens for a while, whatever the model does."""
        return cls("waits", when="anyway", after_seconds=seconds)

    @classmethod
    def hangs_up(cls, **others: Any) -> Move:
        """The person hangs up. ``others``: fields of :class:`Move`."""
        return cls("hangs_up", **others)

    @classmethod
    def session_error(cls, code: str | None, message: str = "", *, fatal: bool = False, **others: Any) -> Move:
        """The session has an error, and may die of it. ``others``: fields of :class:`Move`."""
        return cls("session_error", code=code, message=message, fatal=fatal, **{"when": "anyway", **others})

    @classmethod
    def session_expires(cls, **others: Any) -> Move:
        """The session hits its longest time. ``others``: fields of :class:`Move`."""
        return cls("session_expires", **{"when": "anyway", **others})

    @classmethod
    def socket_breaks(cls, **others: Any) -> Move:
        """The sidebands break off, the call goes on. ``others``: fields of :class:`Move`."""
        return cls("socket_breaks", **{"when": "anyway", **others})

    def to_dict(self) -> dict[str, Any]:
        """The move as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Move:
        """
        The move from :meth:`to_dict`; what is left out has its default.

        :raises InvalidInput: A field is unknown, missing or cannot be used.
        """
        if not isinstance(values, Mapping):
            raise InvalidInput("a move is a JSON object", field="moves")
        for name in sorted(set(values) - {each.name for each in fields(cls)}):
            raise InvalidInput(f"a move has no field {name}", field=name)
        return cls(**{"kind": "", **values})
