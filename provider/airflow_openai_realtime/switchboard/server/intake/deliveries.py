"""Turn a verified webhook delivery into the call to store. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_openai_realtime.api.webhooks import IncomingCall
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.server.store import NewCall


def new_call(
    event: IncomingCall, *, line: str, webhook_id: str, sent_at: float, now: datetime, ring_seconds: float
) -> NewCall:
    """
    The call that an event tells of.

    OpenAI redelivers for days: when the event is older than a phone rings, the call is stored as missed. The age is
    the difference of two times by OpenAI's clock, so that a wrong clock here misses no call.

    :param event: The verified event.
    :param line: Name of the line.
    :param webhook_id: Id of the delivery.
    :param sent_at: When this delivery was sent, from its signed timestamp, in seconds since 1970.
    :param now: The time, aware.
    :param ring_seconds: How long a call rings, counted from the event.
    """
    age_seconds = max(0.0, sent_at - event.created_at.timestamp())
    is_late = age_seconds >= ring_seconds
    return NewCall(
        line=line,
        call_id=event.call_id,
        webhook_id=webhook_id,
        state=CallState.MISSED if is_late else CallState.RINGING,
        from_number=event.from_number,
        to_number=event.to_number,
        headers=joined_headers(event.sip_headers),
        media_security=event.media_security,
        received_at=now,
        expires_at=now if is_late else now + timedelta(seconds=ring_seconds - age_seconds),
        ended_at=now if is_late else None,
    )


def joined_headers(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """
    Headers by lower-case name; the values of repeated ones joined by ``", "`` in their order.

    :param pairs: Name and value of each header.
    """
    joined: dict[str, str] = {}
    for name, value in pairs:
        key = name.strip().lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined
