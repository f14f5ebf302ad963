"""
The result of a call: a small JSON value that a task returns.

Source: https://developers.openai.com/api/docs/guides/realtime-conversations ; that nothing says who hung up: observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.calls.call import SwitchboardCall, read_instant
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.states import Outcome


@dataclass(frozen=True)
class CallResult:
    """
    The result of a call. It contains no phone numbers.

    :param call_id: OpenAI's id of the call.
    :param line: The line that it came in on.
    :param outcome: How it ended, an :class:`~airflow_openai_realtime.states.Outcome`.
    :param reason: Detailed reason, for example ``end_call``, ``socket_closed``, ``session_expired``.
    :param accepted_at: When it was accepted, aware, UTC; ``None``: not known.
    :param ended_at: When its end was noticed, aware, UTC.
    :param talk_seconds: Length of the call in seconds: as the carrier counted it, else from accept to end. ``None``:
        not known.
    :param result: What the model recorded; an invalid record is kept unchanged.
    :param result_valid: Whether the record fits the schema; ``None``: nothing was recorded.
    :param result_problems: Problems of an invalid record, a sentence each.
    :param turns: How often the ``caller`` and the ``agent`` spoke; ``None`` for both when no process listened.
    :param keys: Phone keys that the caller pressed, in order.
    :param tools: ``name`` and ``status`` of each tool call: ``ok, failed, timed_out, bad_arguments, unusable, invalid,
        requested, not_run, unknown``.
    :param transfer: Name of the target of a requested transfer.
    :param usage: Tokens; see :class:`~airflow_openai_realtime.calls.timeline.usage.Usage`.
    :param cost: ``usd``, ``model``, ``priced_on`` and ``without``: an estimate at list prices; ``None`` when the
        price of the model is not known.
    :param errors: The first ten errors, with ``code`` and ``message``.
    :param resumed: Whether another triggerer took the call over, or the socket was attached again.
    :param gap_seconds: Longest possible time in seconds in which no process listened because of that.
    :param transcript_path: Where the transcript was stored, if the task stores one.
    """

    call_id: str
    line: str
    outcome: str
    reason: str
    ended_at: datetime
    accepted_at: datetime | None = None
    talk_seconds: float | None = 0.0
    result: Any = field(default=None, repr=False)
    result_valid: bool | None = None
    result_problems: tuple[str, ...] = field(default=(), repr=False)
    turns: Mapping[str, int | None] = field(default_factory=lambda: {"caller": 0, "agent": 0})
    keys: str = field(default="", repr=False)
    tools: tuple[Mapping[str, str], ...] = ()
    transfer: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] | None = None
    errors: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    resumed: bool = False
    gap_seconds: float = 0.0
    transcript_path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON primitives, instants as ISO 8601 in UTC; the shape of a result in XCom."""
        instants = {"ended_at": self.ended_at, "accepted_at": self.accepted_at}
        texts = {name: None if at is None else at.isoformat() for name, at in instants.items()}
        lists = {name: list(getattr(self, name)) for name in ("tools", "errors", "result_problems")}
        return {**asdict(self), **texts, **lists}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> CallResult:
        """
        Read what :meth:`to_dict` wrote; unknown keys are ignored.

        :param value: JSON object.
        :raises InvalidInput: An instant cannot be read.
        """
        known = {each.name for each in fields(cls)}
        given: dict[str, Any] = {
            key: read_instant(key, item) if key.endswith("_at") else item for key, item in value.items() if key in known
        }
        lists = {name: tuple(value.get(name) or ()) for name in ("tools", "errors", "result_problems")}
        return cls(**{**given, **lists})


def result_of(
    call: SwitchboardCall,
    summary: Summary,
    outcome: tuple[Outcome, str],
    *,
    ended_at: datetime,
    resumed: bool,
    prices: Mapping[str, Mapping[str, Any]] | None = None,
) -> CallResult:
    """
    Build the result of a call.

    :param call: The call as stored by the switchboard.
    :param summary: Summary of its timeline.
    :param outcome: How it ended, and the detailed reason.
    :param ended_at: When the end was noticed, aware.
    :param resumed: Whether another owner began the conversation.
    :param prices: Prices of the user, from :func:`~airflow_openai_realtime.calls.timeline.usage.check_prices`.
    """
    told = summary.to_result(prices)
    lived = summary.attachments > 0
    is_heard = lived or call.accepted_at is None
    # The end time of a call that was only found gone is not known.
    is_timed = is_heard and (call.accepted_at is None or outcome[0] not in (Outcome.GONE, Outcome.UNKNOWN))
    return CallResult(
        call_id=call.call_id,
        line=call.line,
        outcome=outcome[0].value,
        reason=outcome[1],
        ended_at=ended_at,
        accepted_at=call.accepted_at,
        talk_seconds=_talked(call, ended_at) if is_timed else call.talk_seconds,
        resumed=resumed or summary.attachments > 1,
        **(told if is_heard else {**told, "turns": _NOT_HEARD}),
    )


_NOT_HEARD: Mapping[str, int | None] = {"caller": None, "agent": None}


def _talked(call: SwitchboardCall, ended_at: datetime) -> float:
    """Length of a call in seconds."""
    if call.talk_seconds is not None:
        return call.talk_seconds
    return round(max(0.0, (ended_at - call.accepted_at).total_seconds()), 3) if call.accepted_at else 0.0


#: Outcomes by the carrier's status; with any other status the reason is not known.
_OUTCOMES = {
    "busy": Outcome.BUSY,
    "no_answer": Outcome.NO_ANSWER,
    "failed": Outcome.FAILED,
    "canceled": Outcome.FAILED,
    "gone": Outcome.GONE,
    "killed": Outcome.KILLED,
    "rejected": Outcome.REJECTED,
}


def unanswered_result(outcome: str, line: str | None, ended_at: datetime | None = None) -> dict[str, Any]:
    """
    Return the result of an attempt whose call did not come in, in the form of a call's result.

    :param outcome: Outcome in the ledger: ``busy``, ``no_answer``, …, or ``timeout``.
    :param line: The line on which the call was expected.
    :param ended_at: When the outcome was known, aware; ``None``: now.
    """
    result = CallResult(
        call_id="",
        line=line or "",
        outcome=_OUTCOMES.get(outcome, Outcome.UNKNOWN).value,
        reason=outcome,
        ended_at=ended_at or datetime.now(timezone.utc),
    )
    return {**result.to_dict(), "call_id": None}
