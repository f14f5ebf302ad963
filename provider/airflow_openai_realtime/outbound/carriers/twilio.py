"""Twilio: two thin clients. They send; what is sent, what it means and what is repeated is shared."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from airflow_openai_realtime.api import retry
from airflow_openai_realtime.api.error_text import quotable
from airflow_openai_realtime.api.retry import Pace, Trouble, Verdict
from airflow_openai_realtime.api.settings import USER_AGENT
from airflow_openai_realtime.api.transport import Answer, AsyncTransport, Transport, trouble_of_error
from airflow_openai_realtime.exceptions import CarrierUnavailable, DialError
from airflow_openai_realtime.outbound.carriers import twilio_requests as requests
from airflow_openai_realtime.outbound.carriers.carrier_settings import CarrierSettings
from airflow_openai_realtime.outbound.carriers.port import CarrierCall, DialRequest, PlacedCall
from airflow_openai_realtime.outbound.carriers.twilio_requests import TwilioRequest


@dataclass(frozen=True)
class _Exchange:
    """One request on its way: interprets every attempt."""

    settings: CarrierSettings
    request: TwilioRequest

    def http_arguments(self) -> dict[str, Any]:
        form = self.request.form
        return {
            "method": self.request.method,
            "url": self.settings.base_url + self.request.path,
            "data": None if form is None else dict(form),
        }

    def of_answer(self, response: Answer) -> Verdict:
        try:
            value = requests.interpret(
                self.request, response.status_code, response.content, hide=(self.settings.token,)
            )
        except DialError as error:
            trouble = retry.trouble_of_status(response.status_code)
            return Verdict(error, trouble, retry.retry_after_seconds(response.headers, time.time()))
        return Verdict(value=value)

    def of_error(self, error: httpx.RequestError) -> Verdict:
        trouble = trouble_of_error(error)
        host = httpx.URL(self.settings.base_url).host
        why = quotable(str(error), (self.settings.token,)) or type(error).__name__
        if trouble is Trouble.NOT_SENT:
            text = f"no connection to {host}, so nothing was sent: {why}. Check the network and the base URL"
            return Verdict(CarrierUnavailable(text), trouble)
        return Verdict(requests.no_answer(self.request, f"no answer came from {host} ({why})."), trouble)

    def finish(self, verdict: Verdict) -> Any:
        if verdict.error is not None:
            raise verdict.error
        return verdict.value


def _client_options(settings: CarrierSettings) -> dict[str, Any]:
    return {
        "auth": httpx.BasicAuth(settings.api_key or settings.account, settings.token),
        "headers": {"User-Agent": USER_AGENT, "Accept": "application/json"},
        "timeout_seconds": settings.timeout_seconds,
    }


class TwilioDialer:
    """
    Rings phones through Twilio. A context manager; :class:`~airflow_openai_realtime.outbound.carriers.port.Dialer`.

    :param settings: Account, token and address.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    """

    def __init__(
        self,
        settings: CarrierSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._settings = settings
        self._pace = pace or Pace()
        self._http = Transport(transport=transport, **_client_options(settings))

    def __enter__(self) -> TwilioDialer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def place(self, request: DialRequest) -> PlacedCall:
        """
        Ring a phone.

        :raises InvalidInput: Twilio could not take the request; nothing was sent.
        :raises NumberRefused: Twilio cannot ring this number; no phone rang.
        :raises CarrierRefused: Twilio refused for another reason; no phone rang. ``safe_to_retry`` on 429.
        :raises CarrierUnavailable: Twilio could not be reached; no phone rang.
        :raises PlacementUnknown: The order left and no clear answer came: the phone may be ringing.

        Retries: none. Twilio has no idempotency key: a second order rings a second time.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        placed: PlacedCall = self._send(requests.place_request(self._settings.account, request))
        return placed

    def look(self, carrier_call_id: str) -> CarrierCall:
        """
        See how far a call is.

        :param carrier_call_id: ``CA…``, from placing it.
        :raises CarrierRefused: There is no such call, or the account was refused.
        :raises CarrierUnavailable: No answer after the last try.

        Retries: up to 2 within 15 s.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        call: CarrierCall = self._send(requests.look_request(self._settings.account, carrier_call_id))
        return call

    def end(self, carrier_call_id: str) -> None:
        """
        End a call, ringing or answered; one that is already over is no error.

        :raises CarrierRefused: There is no such call, or the account was refused.
        :raises CarrierUnavailable: No answer after the last try.

        Retries: up to 3 within 30 s.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        self._send(requests.end_request(self._settings.account, carrier_call_id))

    def cancel(self, carrier_call_id: str) -> CarrierCall:
        """
        Take back an order: a call that is queued or rings ends, one that has been answered goes on.

        :param carrier_call_id: ``CA…``, from placing it.
        :return: The call as it is after that: ``canceled``, ``in-progress``, or over in another way.
        :raises CarrierRefused: There is no such call, or the account was refused.
        :raises CarrierUnavailable: No answer after the last try.

        Retries: up to 3 within 30 s, and as :meth:`look`.
        Source: https://www.twilio.com/docs/voice/api/call-resource
        """
        self._send(requests.cancel_request(self._settings.account, carrier_call_id))
        return self.look(carrier_call_id)

    def check(self) -> None:
        """
        Show whether account and token, or API key and secret, work; dials nothing.

        :raises CarrierRefused: The account was refused, or is suspended or closed.
        :raises CarrierUnavailable: No answer after the last try.

        Retries: 1.
        Source: https://www.twilio.com/docs/iam/api/account
        """
        self._send(requests.check_request(self._settings.account, by_key=self._settings.api_key is not None))

    def _send(self, request: TwilioRequest) -> Any:
        exchange = _Exchange(self._settings, request)

        def attempt() -> Verdict:
            try:
                return exchange.of_answer(self._http.send(**exchange.http_arguments()))
            except httpx.RequestError as error:
                return exchange.of_error(error)

        return exchange.finish(retry.retrying(requests.POLICIES[request.operation], self._pace)(attempt))


class AsyncTwilioDialer:
    """
    :class:`TwilioDialer` for coroutines; the same methods, errors and retries.

    :param settings: Account, token and address.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
    """

    def __init__(
        self,
        settings: CarrierSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._settings = settings
        self._pace = pace or Pace()
        self._http = AsyncTransport(transport=transport, **_client_options(settings))

    async def __aenter__(self) -> AsyncTwilioDialer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def place(self, request: DialRequest) -> PlacedCall:
        """Ring a phone: :meth:`TwilioDialer.place`."""
        placed: PlacedCall = await self._send(requests.place_request(self._settings.account, request))
        return placed

    async def look(self, carrier_call_id: str) -> CarrierCall:
        """See how far a call is: :meth:`TwilioDialer.look`."""
        call: CarrierCall = await self._send(requests.look_request(self._settings.account, carrier_call_id))
        return call

    async def end(self, carrier_call_id: str) -> None:
        """End a call: :meth:`TwilioDialer.end`."""
        await self._send(requests.end_request(self._settings.account, carrier_call_id))

    async def cancel(self, carrier_call_id: str) -> CarrierCall:
        """Take back an order: :meth:`TwilioDialer.cancel`."""
        await self._send(requests.cancel_request(self._settings.account, carrier_call_id))
        return await self.look(carrier_call_id)

    async def check(self) -> None:
        """Show whether account and token work: :meth:`TwilioDialer.check`."""
        await self._send(requests.check_request(self._settings.account, by_key=self._settings.api_key is not None))

    async def _send(self, request: TwilioRequest) -> Any:
        exchange = _Exchange(self._settings, request)

        async def attempt() -> Verdict:
            try:
                return exchange.of_answer(await self._http.send(**exchange.http_arguments()))
            except httpx.RequestError as error:
                return exchange.of_error(error)

        return exchange.finish(await retry.async_retrying(requests.POLICIES[request.operation], self._pace)(attempt))
