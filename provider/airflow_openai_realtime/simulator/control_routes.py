"""
The simulator's own endpoints, under ``/_simulator/``: what :class:`Simulator` offers in its process, over HTTP.

They take and give JSON and need no credentials; the server listens on the loopback interface only.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.world import World

Reset = Callable[[dict[str, Any]], None]


class ControlRoutes:
    """
    The control endpoints.

    :param world: The simulated world.
    :param reset: Resets it, with changes of settings.
    """

    def __init__(self, world: World, reset: Reset) -> None:
        self._world = world
        self._reset_world = reset
        self.routes = [
            _route("/", self._describe, "GET"),
            _route("/phones", self._phones, "GET"),
            _route("/phones", self._add_phone, "POST"),
            _route("/phones/hang-up", self._hang_up_phone, "POST"),
            _route("/faults", self._faults, "GET"),
            _route("/faults", self._add_fault, "POST"),
            _route("/faults", self._clear_faults, "DELETE"),
            _route("/clock", self._clock, "GET"),
            _route("/clock", self._set_clock, "POST"),
            _route("/clock/advance", self._advance, "POST"),
            _route("/log", self._log, "GET"),
            _route("/calls", self._calls, "GET"),
            _route("/call-in", self._call_in, "POST"),
            _route("/act", self._act, "POST"),
            _route("/webhooks", self._webhooks, "GET"),
            _route("/webhooks", self._add_webhook, "POST"),
            _route("/webhooks", self._clear_webhooks, "DELETE"),
            _route("/webhooks/redeliver", self._redeliver, "POST"),
            _route("/reset", self._reset, "POST"),
        ]

    async def _describe(self, request: Request, body: dict[str, Any]) -> Any:
        settings = self._world.settings
        return {
            "project_id": settings.project_id,
            "sip_host": settings.sip_host,
            "account_sid": settings.account_sid,
            "caller_number": settings.caller_number,
            "now": self._world.clock.now(),
            "speed": self._world.clock.speed,
        }

    async def _phones(self, request: Request, body: dict[str, Any]) -> Any:
        scripts = self._world.phones.scripts()
        return {number: [script.to_dict() for script in queue] for number, queue in scripts.items()}

    async def _add_phone(self, request: Request, body: dict[str, Any]) -> Any:
        scripts = [PhoneScript.from_dict(_object(each, "scripts")) for each in _list(body, "scripts")]
        self._world.phones.add(_text(body, "number"), *scripts)

    async def _hang_up_phone(self, request: Request, body: dict[str, Any]) -> Any:
        return {"calls": self._world.phones.hang_up(_text(body, "number"))}

    async def _faults(self, request: Request, body: dict[str, Any]) -> Any:
        return [fault.to_dict() for fault in self._world.faults.pending]

    async def _add_fault(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.faults.add(Fault.from_dict(body))

    async def _clear_faults(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.faults.clear()

    async def _clock(self, request: Request, body: dict[str, Any]) -> Any:
        return {"now": self._world.clock.now(), "speed": self._world.clock.speed}

    async def _set_clock(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.clock.speed = _number(body, "speed")

    async def _advance(self, request: Request, body: dict[str, Any]) -> Any:
        # It waits for deliveries that this event loop makes.
        await run_in_threadpool(self._world.clock.advance, _number(body, "seconds"))
        return {"now": self._world.clock.now(), "speed": self._world.clock.speed}

    async def _log(self, request: Request, body: dict[str, Any]) -> Any:
        after = request.query_params.get("after", "0")
        if not after.isdigit():
            raise InvalidInput("after is the sequence of an entry, a whole number", field="after")
        return [entry.to_dict() for entry in self._world.log.entries[int(after) :]]

    async def _calls(self, request: Request, body: dict[str, Any]) -> Any:
        return [record.to_dict() for record in self._world.log.calls]

    async def _call_in(self, request: Request, body: dict[str, Any]) -> Any:
        headers = [(str(name), str(value)) for name, value in body.get("headers") or []]
        script = PhoneScript.from_dict(_object(body["script"], "script")) if body.get("script") else None
        call_id = _text(body, "call_id") if "call_id" in body else None
        return {"call_id": self._world.call_in(_text(body, "from"), _text(body, "to"), headers, script, call_id)}

    async def _act(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.sidebands.act(_text(body, "call_id"), [Move.from_dict(each) for each in _list(body, "moves")])

    async def _webhooks(self, request: Request, body: dict[str, Any]) -> Any:
        return [{"url": target.url} for target in self._world.webhooks.targets]

    async def _add_webhook(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.webhooks.add(_text(body, "url"), body.get("secret") or None)

    async def _clear_webhooks(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.webhooks.clear()

    async def _redeliver(self, request: Request, body: dict[str, Any]) -> Any:
        self._world.webhooks.redeliver(_text(body, "call_id"), times=int(body.get("times", 1)))

    async def _reset(self, request: Request, body: dict[str, Any]) -> Any:
        self._reset_world(body)


Handler = Callable[[Request, dict[str, Any]], Awaitable[Any]]


def _route(path: str, handler: Handler, method: str) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            text = await request.body()
            body = _object(json.loads(text) if text else {}, "body")
            answer = await handler(request, body)
        except InvalidInput as error:
            return _error(str(error), error.field)
        except (ValueError, TypeError) as error:
            return _error(f"the request cannot be read: {error}", None)
        return JSONResponse({"ok": True} if answer is None else answer)

    return Route(f"/_simulator{path}", endpoint, methods=[method])


def _error(message: str, field: str | None) -> Response:
    return JSONResponse({"error": {"code": "invalid_input", "message": message, "field": field}}, status_code=400)


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be a JSON object", field=field)
    return value


def _list(body: dict[str, Any], field: str) -> list[Any]:
    if not isinstance(body.get(field), list):
        raise InvalidInput(f"{field} must be a JSON list", field=field)
    values: list[Any] = body[field]
    return values


def _text(body: dict[str, Any], field: str) -> str:
    if not isinstance(body.get(field), str):
        raise InvalidInput(f"{field} must be a text", field=field)
    return str(body[field])


def _number(body: dict[str, Any], field: str) -> float:
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInput(f"{field} must be a number", field=field)
    return float(value)
