"""
The carrier's endpoints: Twilio's ``Calls`` resource, for one account, and that account itself.

Source: https://www.twilio.com/docs/voice/api/call-resource and https://www.twilio.com/docs/iam/api/account
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_openai_realtime.simulator.carrier import CarrierCall
from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.connections import Connections
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.log import CallRecord
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.request_handling import Answering
from airflow_openai_realtime.simulator.world import World

_ROOT = "/2010-04-01/Accounts/{account_sid}"


class CarrierRoutes:
    """
    The carrier's endpoints, under ``/2010-04-01``.

    :param world: The simulated world.
    :param connections: The server's TCP connections.
    """

    def __init__(self, world: World, connections: Connections) -> None:
        self._world = world
        self._answering = Answering("carrier", world, connections, carrier_error)
        self.routes = [
            Route(f"{_ROOT}.json", self._account, methods=["GET"]),
            Route(f"{_ROOT}/Calls.json", self._place, methods=["POST"]),
            Route(f"{_ROOT}/Calls.json", self._list, methods=["GET"]),
            Route(f"{_ROOT}/Calls/{{sid}}.json", self._look, methods=["GET"]),
            Route(f"{_ROOT}/Calls/{{sid}}.json", self._end, methods=["POST"]),
        ]

    async def _account(self, request: Request) -> Response:
        async def carry_out(fault: Fault | None) -> Response:
            return JSONResponse(self._shown_account())

        return await self._answering.answer(request, "account", carry_out, check_key=self._check_token)

    async def _place(self, request: Request) -> Response:
        form = await _form(request)

        async def carry_out(fault: Fault | None) -> Response:
            call = self._world.carrier.place(Order.from_form(form))
            return JSONResponse(self._shown(call), status_code=201)

        return await self._answering.answer(
            request, "place", carry_out, check_key=self._check_key, number=form.get("To")
        )

    async def _look(self, request: Request) -> Response:
        async def carry_out(fault: Fault | None) -> Response:
            return JSONResponse(self._shown(self._world.carrier.find(request.path_params["sid"])))

        return await self._answering.answer(
            request, "look", carry_out, check_key=self._check_key, record=self._record(request)
        )

    async def _end(self, request: Request) -> Response:
        form = await _form(request)

        async def carry_out(fault: Fault | None) -> Response:
            status = form.get("Status", "")
            if status not in ("completed", "canceled"):
                raise Refusal(400, 20001, "The simulator changes nothing but Status=completed or canceled")
            return JSONResponse(self._shown(self._world.carrier.end(request.path_params["sid"], status)))

        return await self._answering.answer(
            request, "end", carry_out, check_key=self._check_key, record=self._record(request)
        )

    async def _list(self, request: Request) -> Response:
        async def carry_out(fault: Fault | None) -> Response:
            return JSONResponse(self._page(request))

        return await self._answering.answer(request, "list", carry_out, check_key=self._check_key)

    def _page(self, request: Request) -> dict[str, Any]:
        wanted = request.query_params
        size = min(max(_whole(wanted.get("PageSize"), 50), 1), 1000)
        page = max(_whole(wanted.get("Page"), 0), 0)
        calls = [
            call
            for call in self._world.carrier.calls()
            if wanted.get("To") in (None, call.order.to)
            and wanted.get("From") in (None, call.order.from_number)
            and wanted.get("Status") in (None, call.status)
        ]
        url = request.url.include_query_params(PageSize=size)
        following = (page + 1) * size < len(calls)
        return {
            "calls": [self._shown(call) for call in calls[page * size : (page + 1) * size]],
            "page": page,
            "page_size": size,
            "uri": _relative(url.include_query_params(Page=page)),
            "first_page_uri": _relative(url.include_query_params(Page=0)),
            "previous_page_uri": _relative(url.include_query_params(Page=page - 1)) if page else None,
            "next_page_uri": _relative(url.include_query_params(Page=page + 1)) if following else None,
            "start": page * size,
            "end": min((page + 1) * size, len(calls)) - 1,
        }

    def _record(self, request: Request) -> CallRecord | None:
        try:
            return self._world.carrier.find(request.path_params["sid"]).record
        except Refusal:
            return None

    def _check_key(self, request: HTTPConnection) -> None:
        settings = self._world.settings
        if not (
            _signs_in(request, settings.account_sid, settings.auth_token)
            or _signs_in(request, settings.api_key_sid, settings.api_key_secret)
        ):
            raise Refusal(401, 20003, "Authenticate")
        if request.path_params["account_sid"] != settings.account_sid:
            raise Refusal(404, 20404, f"The requested resource {request.url.path} was not found")

    def _check_token(self, request: HTTPConnection) -> None:
        """
        Let the account's own token through, and no API key.

        Source: https://www.twilio.com/docs/iam/api-keys/keys-in-console: a standard key may not see the account. What
        Twilio answers is not documented; it is assumed to be as for a wrong token.
        """
        self._check_key(request)
        if not _signs_in(request, self._world.settings.account_sid, self._world.settings.auth_token):
            raise Refusal(401, 20003, "Authenticate")

    def _shown_account(self) -> dict[str, Any]:
        """The account, without its token: Twilio shows it, but no client here needs it."""
        account_sid = self._world.settings.account_sid
        uri = f"/2010-04-01/Accounts/{account_sid}.json"
        made = _instant(0.0)
        return {
            "sid": account_sid,
            "owner_account_sid": account_sid,
            "friendly_name": "Simulator",
            "status": "active",
            "type": "Full",
            "date_created": made,
            "date_updated": made,
            "uri": uri,
            "subresource_uris": {"calls": uri.replace(".json", "/Calls.json")},
        }

    def _shown(self, call: CarrierCall) -> dict[str, Any]:
        account_sid = self._world.settings.account_sid
        uri = f"/2010-04-01/Accounts/{account_sid}/Calls/{call.sid}.json"
        waited = (call.started_at or call.created_at) - call.created_at
        return {
            "sid": call.sid,
            "account_sid": account_sid,
            "parent_call_sid": None,
            "to": call.order.to,
            "to_formatted": call.order.to,
            "from": call.order.from_number,
            "from_formatted": call.order.from_number,
            "status": call.status,
            "direction": "outbound-api",
            "duration": None if call.duration_seconds is None else str(call.duration_seconds),
            "answered_by": call.answered_by,
            "date_created": _instant(call.created_at),
            "date_updated": _instant(call.ended_at or call.answered_at or call.started_at or call.created_at),
            "start_time": _instant(call.answered_at or call.started_at),
            "end_time": _instant(call.ended_at),
            "queue_time": str(round(waited * 1000)),
            "price": None,
            "price_unit": "USD",
            "phone_number_sid": None,
            "forwarded_from": None,
            "caller_name": None,
            "group_sid": None,
            "trunk_sid": None,
            "annotation": None,
            "api_version": "2010-04-01",
            "uri": uri,
            "subresource_uris": {"events": uri.replace(".json", "/Events.json")},
        }


def carrier_error(refusal: Refusal) -> Response:
    """An error as Twilio answers it."""
    return JSONResponse(refusal.twilio_body(), status_code=refusal.status, headers=refusal.headers)


def _signs_in(request: HTTPConnection, name: str, secret: str) -> bool:
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    wanted = base64.b64encode(f"{name}:{secret}".encode())
    return scheme.lower() == "basic" and hmac.compare_digest(sent.strip().encode(), wanted)


async def _form(request: Request) -> dict[str, str]:
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return dict(reversed(pairs))


def _instant(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return format_datetime(datetime.fromtimestamp(seconds, tz=timezone.utc).replace(microsecond=0))


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default


def _relative(url: Any) -> str:
    return f"{url.path}?{url.query}"
