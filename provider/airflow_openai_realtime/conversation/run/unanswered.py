"""The result of a dialed phone that did not become a call."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.states import Outcome

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
