"""
``POST /webhook`` and ``POST /webhook/{line}``: OpenAI sends its webhooks here when a phone rings.

200 means stored and committed, or nothing to store. After any other answer OpenAI delivers again.
Source: https://developers.openai.com/api/docs/guides/webhooks
"""

from __future__ import annotations

import asyncio
import logging

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from airflow_openai_realtime.api.webhooks import parse_event, verify_webhook
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.exceptions import StoreUnavailable, WebhookVerificationError
from airflow_openai_realtime.switchboard.server.intake.deliveries import new_call
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.counters import DELIVERIES, NO_LINE, REJECTIONS
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
    line, webhook_id = await _verified(service, name, request, body)
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
        now=service.now(),
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


async def _verified(service: Service, name: str | None, request: Request, body: bytes) -> tuple[Line, str]:
    """
    The line that the delivery is signed for, and its webhook id.

    :raises HTTPException: 401, the same whatever is wrong; the log says what.
    :raises LinesUnavailable: The line cannot be looked up now.
    """
    line = await service.lines.find_asked(name)
    if line is None or name not in (None, line.name):
        raise _refused(service, name, NO_LINE, "unknown_line")
    try:
        webhook_id = _webhook_id(service, line, request, body)
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
        webhook_id = _webhook_id(service, reread, request, body)
        service.lines.proved(name)
        return reread, webhook_id
    except WebhookVerificationError as error:
        raise _refused(service, name, line.name, error.reason) from None


def _webhook_id(service: Service, line: Line, request: Request, body: bytes) -> str:
    return verify_webhook(body, request.headers, line.webhook_secrets, service.now().timestamp())


def _refused(service: Service, name: str | None, line: str, reason: str) -> HTTPException:
    log.warning(logs.line("webhook.refused", line=logs.asked_for(name), reason=reason))
    service.counters.add(REJECTIONS, reason, line)
    return HTTPException(401, "the delivery is not signed for this line")
