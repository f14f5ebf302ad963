"""
``POST /webhook`` and ``POST /webhook/{line}``: OpenAI sends its webhooks here when a phone rings.

200 means stored and committed, or nothing to store. After any other answer OpenAI delivers again.
Source: https://developers.openai.com/api/docs/guides/webhooks
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from airflow_openai_realtime.api.webhooks import IncomingCall, parse_event, verify_webhook
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.exceptions import StoreUnavailable, WebhookVerificationError
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.metrics import DELIVERIES, NO_LINE, REJECTIONS
from airflow_openai_realtime.switchboard.server.service import Service
from airflow_openai_realtime.switchboard.server.store import NewCall

log = logging.getLogger(__name__)


async def receive_webhook(request: Request) -> Response:
    """
    Verify a delivery, store its call, and answer once that is committed.

    :param request: The request.
    """
    service: Service = request.app.state.switchboard
    name: str | None = request.path_params.get("line")
    body = await _body(request, service.settings.body_seconds)
    now = service.now()
    line, webhook_id = await _verified(service, name, request, body, now)
    try:
        event = parse_event(body)
    except WebhookVerificationError as error:
        # It is from OpenAI, but not as documented: a redelivery would not help.
        log.error(logs.line("webhook.unusable", line=line.name, webhook_id=webhook_id, error=error))
        service.counters.add(DELIVERIES, "unusable", line.name)
        return Response()
    if event is None:
        log.info(logs.line("webhook.ignored", line=line.name, webhook_id=webhook_id))
        service.counters.add(DELIVERIES, "ignored", line.name)
        return Response()
    call = new_call(
        event,
        line=line.name,
        webhook_id=webhook_id,
        sent_at=float(request.headers["webhook-timestamp"]),
        now=now,
        ring_seconds=service.settings.ring_seconds,
    )
    await _take(service, call)
    return Response()


async def _take(service: Service, call: NewCall) -> None:
    """
    Store a call.

    :raises StoreUnavailable: It is not known to be stored.
    """
    try:
        is_new = await service.intake.take(call)
    except StoreUnavailable:
        service.counters.add(DELIVERIES, "not_stored", call.line)
        raise
    service.counters.add(DELIVERIES, "new" if is_new else "duplicate", call.line)
    if not is_new:
        log.info(logs.line("webhook.duplicate", line=call.line, call_id=call.call_id, webhook_id=call.webhook_id))


async def _body(request: Request, seconds: float) -> bytes:
    try:
        return await asyncio.wait_for(request.body(), seconds)
    except asyncio.TimeoutError:
        raise HTTPException(408, "the request body takes too long") from None
    except ClientDisconnect:
        raise HTTPException(400, "the request body is incomplete") from None


async def _verified(
    service: Service, name: str | None, request: Request, body: bytes, now: datetime
) -> tuple[Line, str]:
    """
    The line that the delivery is signed for, and its webhook id.

    :raises HTTPException: 401, the same whatever is wrong; the log says what.
    :raises LinesUnavailable: The line cannot be looked up now.
    """
    line = await service.lines.find_asked(name)
    if line is None or name not in (None, line.name):
        raise _refused(service, name, NO_LINE, "unknown_line")
    try:
        webhook_id = _webhook_id(line, request, body, now)
        service.lines.proved(name)
        return line, webhook_id
    except WebhookVerificationError as error:
        if error.reason != "bad_signature":
            raise _refused(service, name, line.name, error.reason) from None
    # Perhaps the secret was replaced since it was read.
    reread = await service.lines.reread(name)
    if reread is None or reread.webhook_secrets == line.webhook_secrets:
        raise _refused(service, name, line.name, "bad_signature")
    try:
        webhook_id = _webhook_id(reread, request, body, now)
        service.lines.proved(name)
        return reread, webhook_id
    except WebhookVerificationError as error:
        raise _refused(service, name, line.name, error.reason) from None


def _webhook_id(line: Line, request: Request, body: bytes, now: datetime) -> str:
    return verify_webhook(body, request.headers, line.webhook_secrets, now.timestamp())


def _refused(service: Service, name: str | None, line: str, reason: str) -> HTTPException:
    log.warning(logs.line("webhook.refused", line=logs.asked_for(name), reason=reason))
    service.counters.add(REJECTIONS, reason, line)
    return HTTPException(401, "the delivery is not signed for this line")


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
