"""How a request is answered: carried out, refused, or spoiled by a fault. The same for OpenAI and the carrier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from airflow_openai_realtime.simulator.connections import Connections
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.log import CallRecord
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.world import World

CarryOut = Callable[[Fault | None], Awaitable[Response]]
SayNo = Callable[[Refusal], Response]


class Answering:
    """
    Answers requests of one service.

    :param service: ``openai`` or ``carrier``; the prefix in the log.
    :param world: The simulated world.
    :param connections: The server's TCP connections.
    :param say_no: Puts a refusal into the service's words.
    """

    def __init__(self, service: str, world: World, connections: Connections, say_no: SayNo) -> None:
        self._service = service
        self._world = world
        self._connections = connections
        self._say_no = say_no

    async def answer(
        self,
        request: Request,
        operation: str,
        carry_out: CarryOut,
        *,
        check_key: Callable[[Request], None],
        record: CallRecord | None = None,
        number: str | None = None,
    ) -> Response:
        """
        Answer one request.

        :param request: The request; its body is read here.
        :param operation: As faults name it.
        :param carry_out: Does it; may raise :class:`Refusal`. It gets the fault that happens, if any.
        :param check_key: Raises :class:`Refusal` when the credentials are wrong.
        :param record: Row of the call that it is about, when known.
        :param number: The person's number, when there is no row yet.
        """
        await request.body()
        try:
            check_key(request)
        except Refusal as refusal:
            return self._logged(request, operation, record, number, self._say_no(refusal))
        fault = self._world.faults.take(operation, record.number if record else number)
        if fault is not None and fault.kind == "slow":
            self._world.log.add("fault.slow", record, number=number, operation=operation, carried_out=True)
            await asyncio.sleep(fault.seconds)
        if fault is None or fault.kind in ("dead_session", "slow"):
            return self._logged(request, operation, record, number, await self._try(carry_out, fault))
        self._world.log.add(
            f"fault.{fault.kind}", record, number=number, operation=operation, carried_out=fault.carried_out
        )
        if fault.carried_out:
            await self._try(carry_out, fault)
        return await self._spoil(request, fault)

    async def _try(self, carry_out: CarryOut, fault: Fault | None) -> Response:
        try:
            return await carry_out(fault)
        except Refusal as refusal:
            return self._say_no(refusal)

    async def _spoil(self, request: Request, fault: Fault) -> Response:
        if fault.kind == "status":
            return self._say_no(refusal_of(fault, self._service))
        if fault.kind == "time_out":
            await self._connections.hang(request.scope, request.receive)
        else:
            self._connections.reset(request.scope)
        return Response(status_code=500)  # goes nowhere: the connection is gone

    def _logged(
        self, request: Request, operation: str, record: CallRecord | None, number: str | None, response: Response
    ) -> Response:
        self._world.log.add(
            f"{self._service}.{operation}",
            record,
            number=number,
            answer=response.status_code,
            key_sent="authorization" in request.headers or "api-key" in request.headers,
        )
        return response


def refusal_of(fault: Fault, service: str) -> Refusal:
    """
    What a service says when a fault makes it answer with an error status.

    :param fault: A fault of kind ``status``.
    :param service: ``openai`` or ``carrier``.
    """
    words = {429: "Rate limit reached. Please try again later."}.get(
        fault.status, "The server had an error while processing your request."
    )
    if service == "openai":
        code = "rate_limit_exceeded" if fault.status == 429 else None
        kind = "rate_limit_error" if fault.status == 429 else "server_error"
        return Refusal(fault.status, code, words, error_type=kind, retry_after_seconds=fault.retry_after_seconds)
    usual = {401: 20003, 429: 20429, 500: 20500, 503: 20503}.get(fault.status, 20000)
    twilio_code = usual if fault.code is None else fault.code
    return Refusal(fault.status, twilio_code, words, retry_after_seconds=fault.retry_after_seconds)
