"""
OpenAI's endpoints: accept, reject, refer, hangup, models, and the sideband socket.

Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS, check_status_code, check_target_uri
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.accept_body import check_accept_body
from airflow_openai_realtime.simulator.connections import Connections
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.refusals import Refusal, missing_parameter
from airflow_openai_realtime.simulator.request_handling import Answering, CarryOut
from airflow_openai_realtime.simulator.sideband_socket import SidebandSocket
from airflow_openai_realtime.simulator.world import World

_MODELS = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5")


class OpenAIRoutes:
    """
    OpenAI's endpoints, under ``/v1``.

    :param world: The simulated world.
    :param connections: The server's TCP connections.
    """

    def __init__(self, world: World, connections: Connections) -> None:
        self._world = world
        self._answering = Answering("openai", world, connections, openai_error)
        socket = SidebandSocket(world, connections, self._check_key)
        self.routes = [
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{model}", self._model, methods=["GET"]),
            *(
                Route(f"/v1/realtime/calls/{{call_id}}/{operation}", self._decide, methods=["POST"])
                for operation in ("accept", "reject", "refer", "hangup")
            ),
            WebSocketRoute("/v1/realtime", socket),
        ]

    async def _models(self, request: Request) -> Response:
        async def carry_out(fault: Fault | None) -> Response:
            return JSONResponse({"object": "list", "data": [_shown_model(model) for model in _MODELS]})

        return await self._answering.answer(request, "models", carry_out, check_key=self._check_key)

    async def _model(self, request: Request) -> Response:
        async def carry_out(fault: Fault | None) -> Response:
            model = request.path_params["model"]
            if model not in _MODELS:
                said = f"The model '{model}' does not exist or you do not have access to it."
                raise Refusal(404, "model_not_found", said, param="model")
            return JSONResponse(_shown_model(model))

        return await self._answering.answer(request, "models", carry_out, check_key=self._check_key)

    async def _decide(self, request: Request) -> Response:
        operation = request.url.path.rpartition("/")[2]
        call = self._world.calls.find(request.path_params["call_id"])
        return await self._answering.answer(
            request,
            operation,
            self._operation(operation, request),
            check_key=self._check_key,
            record=call.record if call else None,
        )

    def _operation(self, operation: str, request: Request) -> CarryOut:
        call_id = request.path_params["call_id"]

        async def carry_out(fault: Fault | None) -> Response:
            body = await _json(request)
            if operation == "accept":
                await self._accept(call_id, body, dies=fault is not None and fault.kind == "dead_session")
            elif operation == "reject":
                self._world.calls.reject(call_id, _status_code(body))
            elif operation == "refer":
                self._world.calls.refer(call_id, _target_uri(body))
            else:
                self._world.calls.hang_up(call_id)
            return Response(status_code=200)

        return carry_out

    async def _accept(self, call_id: str, body: Any, *, dies: bool) -> None:
        session = check_accept_body(body)
        try:
            self._world.calls.accept(call_id, session, dies=dies)
        except Refusal as refusal:
            if refusal.status == 404:
                await self._world.clock.sleep(self._world.settings.gone_delay_seconds)
            raise

    def _check_key(self, request: HTTPConnection) -> None:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            sent = request.headers.get("api-key", "")
        if not sent:
            raise Refusal(401, None, "You didn't provide an API key. Send it as Authorization: Bearer YOUR_KEY.")
        if not hmac.compare_digest(sent.encode(), self._world.settings.api_key.encode()):
            raise Refusal(401, "invalid_api_key", "Incorrect API key provided.")


def openai_error(refusal: Refusal) -> Response:
    """An error as OpenAI answers it."""
    return JSONResponse(refusal.openai_body(), status_code=refusal.status, headers=refusal.headers)


def _shown_model(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 1_760_000_000, "owned_by": "system"}


async def _json(request: Request) -> Any:
    text = await request.body()
    if not text:
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refusal(400, None, "We could not parse the JSON body of your request.") from error


def _field(body: Any, name: str) -> Any:
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_type", "The body is not a JSON object.")
    return body.get(name)


def _status_code(body: Any) -> int:
    status_code = _field(body, "status_code")
    try:
        return check_status_code(DEFAULT_REJECT_STATUS if status_code is None else status_code)
    except InvalidInput as error:
        raise Refusal(400, "invalid_value", f"Invalid value: {error}", param="status_code") from error


def _target_uri(body: Any) -> str:
    target_uri = _field(body, "target_uri")
    if target_uri is None:
        raise missing_parameter("target_uri")
    try:
        return check_target_uri(target_uri)
    except InvalidInput as error:
        raise Refusal(400, "invalid_value", f"Invalid value: {error}", param="target_uri") from error
