"""Two thin clients for OpenAI's call endpoints. They only send; building, interpreting and repeating is shared."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from airflow_openai_realtime.api import background_loop, requests, retry
from airflow_openai_realtime.api.error_text import quotable
from airflow_openai_realtime.api.requests import CallRequest
from airflow_openai_realtime.api.retry import Pace, Policy, Trouble, Verdict
from airflow_openai_realtime.api.settings import ApiSettings, headers
from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.api.transport import Answer, AsyncTransport, Transport, trouble_of_error
from airflow_openai_realtime.exceptions import (
    CallAlreadyDecided,
    CallError,
    CallGone,
    OutcomeUnknown,
    ServiceUnavailable,
)

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession


@dataclass(frozen=True)
class HangUpResult:
    """
    What a hang-up came to.

    :param gone: The call was over before; nothing was ended now.
    :param maybe_by_us: The same request was sent before without a clear answer, so that it may have ended the call.
    """

    gone: bool
    maybe_by_us: bool = False


@dataclass
class _Exchange:
    """One request on its way: interprets every attempt and remembers whether one may have been carried out."""

    settings: ApiSettings
    request: CallRequest
    maybe_done: bool = field(default=False, init=False)

    def http_arguments(self) -> dict[str, Any]:
        url = self.settings.endpoints.rest_url + self.request.path
        return {
            "method": self.request.method,
            "url": url,
            "json": None if self.request.body is None else dict(self.request.body),
        }

    def of_answer(self, response: Answer) -> Verdict:
        try:
            requests.interpret(
                self.request,
                response.status_code,
                response.headers,
                response.content,
                hide=(self.settings.api_key,),
            )
        except CallError as error:
            trouble = retry.trouble_of_status(response.status_code)
            asked = retry.retry_after_seconds(response.headers, time.time())
            return self._failed(error, trouble, asked)
        return Verdict()

    def of_error(self, error: httpx.RequestError) -> Verdict:
        trouble = trouble_of_error(error)
        call_id, why = self.request.call_id, quotable(str(error), (self.settings.api_key,)) or type(error).__name__
        host = httpx.URL(self.settings.endpoints.rest_url).host
        doing = self.request.operation.replace("_", " ")
        if trouble is Trouble.NOT_SENT:
            text = f"no connection to {host} for {doing}: {why}. Check the network, the proxy and the base URL"
            return self._failed(ServiceUnavailable(text, call_id=call_id), trouble)
        if self.request.operation in ("accept", "refer", "reject"):
            text = f"{doing} was sent to {host}, but no answer came ({why}): it may have been carried out or not"
            return self._failed(OutcomeUnknown(text, call_id=call_id), trouble)
        text = f"{doing} was sent to {host}, but no answer came ({why}); it may be repeated"
        return self._failed(ServiceUnavailable(text, call_id=call_id), trouble)

    def finish(self, verdict: Verdict) -> None:
        """Raise the error of the last attempt, unless it succeeded."""
        if verdict.error is not None:
            raise verdict.error

    def _failed(self, error: CallError, trouble: Trouble, asked: float | None = None) -> Verdict:
        if self.maybe_done and isinstance(error, CallAlreadyDecided):
            # Possibly it was this very request that decided: an earlier attempt got no clear answer.
            error = OutcomeUnknown(
                f"an earlier attempt got no clear answer, and now it is decided, perhaps by that attempt: {error}",
                call_id=error.call_id,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            )
        self.maybe_done = self.maybe_done or trouble in retry.AMBIGUOUS
        error.may_have_happened = self.maybe_done
        return Verdict(error, trouble, asked)


class CallsClient:
    """
    Accepts, rejects, transfers and ends calls. A context manager; usable by several threads.

    Every request has its own connection: one kept open could be closed by the server just when an accept is sent,
    and then nobody knows whether the call was accepted.

    :param settings: Key, addresses and time-out.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    """

    def __init__(
        self, settings: ApiSettings, *, transport: httpx.AsyncBaseTransport | None = None, pace: Pace | None = None
    ) -> None:
        self._settings = settings
        self._pace = pace or Pace()
        self._http = Transport(headers=headers(settings), timeout_seconds=settings.timeout_seconds, transport=transport)

    def __enter__(self) -> CallsClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def accept(
        self,
        call_id: str,
        session: RealtimeSession | Mapping[str, Any],
        retry_seconds: float = retry.SHORTEST_RING_SECONDS,
    ) -> None:
        """
        Accept a ringing call with a session configuration.

        Success means that OpenAI begins to set the call up; whether audio flows shows on the sideband.

        :param call_id: Id from the ``realtime.call.incoming`` webhook.
        :param session: The configuration; a mapping is checked like a :class:`RealtimeSession`.
        :param retry_seconds: For how long to start new attempts, in seconds: as long as the phone rings.
        :raises InvalidSession: The configuration is wrong; nothing was sent.
        :raises CallGone: The caller hung up, or the key or region is of another project.
        :raises CallAlreadyDecided: Somebody accepted or rejected it before.
        :raises OutcomeUnknown: It was sent and no answer came, or it is decided after an attempt without a clear
            answer; not repeated. :meth:`is_live` tells whether the call was accepted.
        :raises AuthenticationError: The key was refused.
        :raises ServiceUnavailable: No connection, 429 or 5xx, still so after ``retry_seconds``.

        Every error says in ``may_have_happened`` whether one of the attempts may have been carried out.

        Retries: for ``retry_seconds``, with pauses up to 2 s, after a failure to connect, 429 and 5xx.
        Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
        """
        self._send(requests.accept_call(call_id, session), retry_seconds)

    def is_live(self, call_id: str) -> bool:
        """
        Tell whether a call was accepted and goes on: attach to its sideband for a moment. The caller hears nothing.

        :param call_id: The call.
        :raises AuthenticationError: The key was refused; not retried.
        :raises RequestRefused: Another refusal; not retried.
        :raises ServiceUnavailable: No connection, 429 or 5xx: not known.

        Retries: for 3 s, also while the call is not found: it may have been accepted a moment ago.
        Source: https://developers.openai.com/api/docs/guides/voice-server-controls
        """
        return background_loop.run(functools.partial(_is_live, self._settings, call_id, self._pace))

    def reject(self, call_id: str, status_code: int = DEFAULT_REJECT_STATUS) -> None:
        """
        Reject a ringing call.

        :param call_id: Id from the ``realtime.call.incoming`` webhook.
        :param status_code: SIP status the caller gets, 300 to 699; 486 busy, 603 decline.
        :raises CallGone: The caller hung up before.
        :raises CallAlreadyDecided: Somebody accepted or rejected it before.
        :raises OutcomeUnknown: No clear answer came to either of two requests.
        :raises AuthenticationError: The key was refused.
        :raises ServiceUnavailable: No connection, 429 or 5xx.

        Retries: 1.
        Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/reject
        """
        self._send(requests.reject_call(call_id, status_code))

    def refer(self, call_id: str, target_uri: str) -> None:
        """
        Ask for a transfer. Success means that the request went to the carrier, not that anybody answered there.

        :param call_id: Id of a live call.
        :param target_uri: ``tel:+14155550123`` or ``sip:agent@example.com``.
        :raises CallGone: The call is over.
        :raises OutcomeUnknown: No answer or 5xx: the transfer may have left. Not repeated.
        :raises AuthenticationError: The key was refused.
        :raises ServiceUnavailable: No connection, or 429.

        Retries: up to 2, only when no connection could be made.
        Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/refer
        """
        self._send(requests.refer_call(call_id, target_uri))

    def hang_up(self, call_id: str) -> HangUpResult:
        """
        End an active call. Ending a call that is already over is success: the result says ``gone``.

        :raises AuthenticationError: The key was refused; not retried.
        :raises ServiceUnavailable: 429, 5xx, no answer or no connection after the last attempt.

        Retries: up to 3 within 30 s, since a second hang-up changes nothing.
        Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/hangup
        """
        exchange = _Exchange(self._settings, requests.hang_up_call(call_id))
        try:
            self._carry_out(exchange)
        except CallGone:
            return HangUpResult(gone=True, maybe_by_us=exchange.maybe_done)
        return HangUpResult(gone=False)

    def check_key(self, model: str | None = None) -> None:
        """
        Show whether key and address work, by asking for the models; touches no call.

        :param model: Name of the model that the project must have; ``None`` for any.
        :raises AuthenticationError: The key was refused.
        :raises RequestRefused: The address is wrong, or (``code`` is ``model_not_found``) there is no such model.
        :raises ServiceUnavailable: No connection, 429 or 5xx.

        Retries: 1.
        """
        self._send(requests.check_key_request(model))

    def _send(self, request: CallRequest, retry_seconds: float | None = None) -> None:
        self._carry_out(_Exchange(self._settings, request), retry_seconds)

    def _carry_out(self, exchange: _Exchange, retry_seconds: float | None = None) -> None:
        def attempt() -> Verdict:
            try:
                return exchange.of_answer(self._http.send(**exchange.http_arguments()))
            except httpx.RequestError as error:
                return exchange.of_error(error)

        exchange.finish(retry.retrying(_policy(exchange.request, retry_seconds), self._pace)(attempt))


class AsyncCallsClient:
    """
    :class:`CallsClient` for coroutines; the same methods, errors and retries.

    :param settings: Key, addresses and time-out.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    :param reuse_seconds: How long a connection is kept open for the next request, in seconds; 0 (default): every
        request has its own. Keep it well below the time after which servers close idle connections, five seconds with
        many: so that none is closed just when an accept is sent.
    """

    def __init__(
        self,
        settings: ApiSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: Pace | None = None,
        reuse_seconds: float = 0.0,
    ) -> None:
        self._settings = settings
        self._pace = pace or Pace()
        self._http = AsyncTransport(
            headers=headers(settings),
            timeout_seconds=settings.timeout_seconds,
            reuse_seconds=reuse_seconds,
            transport=transport,
        )

    async def __aenter__(self) -> AsyncCallsClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def accept(
        self,
        call_id: str,
        session: RealtimeSession | Mapping[str, Any],
        retry_seconds: float = retry.SHORTEST_RING_SECONDS,
    ) -> None:
        """Accept a ringing call: :meth:`CallsClient.accept`."""
        await self._send(requests.accept_call(call_id, session), retry_seconds)

    async def is_live(self, call_id: str) -> bool:
        """Tell whether a call was accepted and goes on: :meth:`CallsClient.is_live`."""
        return await _is_live(self._settings, call_id, self._pace)

    async def reject(self, call_id: str, status_code: int = DEFAULT_REJECT_STATUS) -> None:
        """Reject a ringing call: :meth:`CallsClient.reject`."""
        await self._send(requests.reject_call(call_id, status_code))

    async def refer(self, call_id: str, target_uri: str) -> None:
        """Ask for a transfer: :meth:`CallsClient.refer`."""
        await self._send(requests.refer_call(call_id, target_uri))

    async def hang_up(self, call_id: str) -> HangUpResult:
        """End an active call: :meth:`CallsClient.hang_up`."""
        exchange = _Exchange(self._settings, requests.hang_up_call(call_id))
        try:
            await self._carry_out(exchange)
        except CallGone:
            return HangUpResult(gone=True, maybe_by_us=exchange.maybe_done)
        return HangUpResult(gone=False)

    async def check_key(self, model: str | None = None) -> None:
        """Show whether key and address work: :meth:`CallsClient.check_key`."""
        await self._send(requests.check_key_request(model))

    async def _send(self, request: CallRequest, retry_seconds: float | None = None) -> None:
        await self._carry_out(_Exchange(self._settings, request), retry_seconds)

    async def _carry_out(self, exchange: _Exchange, retry_seconds: float | None = None) -> None:
        async def attempt() -> Verdict:
            try:
                return exchange.of_answer(await self._http.send(**exchange.http_arguments()))
            except httpx.RequestError as error:
                return exchange.of_error(error)

        exchange.finish(await retry.async_retrying(_policy(exchange.request, retry_seconds), self._pace)(attempt))


def _policy(request: CallRequest, retry_seconds: float | None) -> Policy:
    policy = retry.POLICIES[request.operation]
    return policy if retry_seconds is None else replace(policy, total_seconds=retry_seconds)


async def _is_live(settings: ApiSettings, call_id: str, pace: Pace) -> bool:
    from airflow_openai_realtime.api.sideband.connection import attach

    try:
        async with attach(settings, call_id, pace=pace):
            return True
    except CallGone:
        return False
