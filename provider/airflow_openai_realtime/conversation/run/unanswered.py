"""The result of a phone that was rung and did not become a call."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.states import Outcome

#: By what the carrier said; whatever else kept the call from coming in is not known.
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
    Return the result of an attempt whose call never came in, in the shape of a call's result.

    :param outcome: What became of it in the ledger's words: ``busy``, ``no_answer``, …, or ``timeout``.
    :param line: The line that the call should have come in on.
    :param ended_at: When that was known, aware; now when left out.
    """
    result = CallResult(
        call_id="",
        line=line or "",
        outcome=_OUTCOMES.get(outcome, Outcome.UNKNOWN).value,
        reason=outcome,
        ended_at=ended_at or datetime.now(timezone.utc),
    )
    return {**result.to_dict(), "call_id": None}
