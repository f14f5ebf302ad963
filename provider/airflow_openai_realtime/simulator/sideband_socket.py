"""
The sideband as a WebSocket: ``/v1/realtime?call_id=…``.

Source: https://developers.openai.com/api/docs/guides/voice-server-controls
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.connections import Connections
from airflow_openai_realtime.simulator.faults import Fault
from airflow_openai_realtime.simulator.refusals import Refusal, call_gone, missing_parameter
from airflow_openai_realtime.simulator.request_handling import refusal_of
from airflow_openai_realtime.simulator.sideband import Attachment
from airflow_openai_realtime.simulator.world import World


class SidebandSocket:
    """
    ASGI application of the sideband.

    :param world: The simulated world.
    :param connections: The server's TCP connections.
    :param check_key: Raises :class:`Refusal` when the credentials are wrong.
    """

    def __init__(self, world: World, connections: Connections, check_key: Callable[[HTTPConnection], None]) -> None:
        self._world = world
        self._connections = connections
        self._check_key = check_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until the client goes or the call is over."""
        socket = WebSocket(scope, receive, send)
        try:
            call, fault = await self._admit(socket)
        except Refusal as refusal:
            self._world.log.add("sideband.refused", answer=refusal.status, code=refusal.code)
            await socket.send_denial_response(
                JSONResponse(refusal.openai_body(), status_code=refusal.status, headers=refusal.headers)
            )
            return
        if call is not None:
            await self._serve(socket, call, fault)

    async def _admit(self, socket: WebSocket) -> tuple[SimulatedCall | None, Fault | None]:
        """The call that may be attached to, and the fault that will hit it; no call when it was left hanging."""
        self._check_key(socket)
        call_id = socket.query_params.get("call_id")
        if not call_id:
            raise missing_parameter("call_id")
        call = self._world.calls.find(call_id)
        fault = self._world.faults.take("sideband", call.record.number if call else None)
        if fault is not None:
            self._world.log.add(f"fault.{fault.kind}", call.record if call else None, operation="sideband")
            if fault.kind == "status":
                raise refusal_of(fault, "openai")
            if fault.kind == "time_out":
                await self._connections.hang(socket.scope, socket.receive)
                return None, None
            if fault.kind == "reset":
                self._connections.reset(socket.scope)
                return None, None
        # The beta header leads to the old service, which knows no such call (seen in 2026).
        if "openai-beta" in socket.headers:
            raise call_gone()
        live = self._world.calls.live(call_id)
        ready_at = (live.accepted_at or 0.0) + self._world.settings.sideband_ready_seconds
        if self._world.clock.now() < ready_at:
            raise call_gone()
        return live, fault

    async def _serve(self, socket: WebSocket, call: SimulatedCall, fault: Fault | None) -> None:
        attachment = Attachment(asyncio.get_running_loop())
        await socket.accept()
        drop = asyncio.ensure_future(self._until_dropped(fault))
        await asyncio.sleep(0)  # its time runs from before the client hears anything
        if not self._world.sidebands.attach(call, attachment):  # the call ended during the handshake
            drop.cancel()
            await self._say_goodbye(socket, call)
            return
        reader = asyncio.ensure_future(self._read(socket, call, attachment))
        writer = asyncio.ensure_future(self._write(socket, attachment))
        tasks = (reader, writer, drop)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._world.sidebands.detach(call, attachment)
            over = writer.done() and writer.exception() is None  # an exception: the client is gone
            dropped = drop.done() or attachment.broken
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if dropped:
            self._connections.close(socket.scope)
        elif over:
            await self._say_goodbye(socket, call)

    async def _until_dropped(self, fault: Fault | None) -> None:
        """Wait until a fault breaks the socket; without a fault, wait until cancelled."""
        if fault is None or fault.kind != "drop":
            await asyncio.get_running_loop().create_future()
        else:
            await self._world.clock.sleep(fault.seconds)

    async def _say_goodbye(self, socket: WebSocket, call: SimulatedCall) -> None:
        scripted = call.dialogue.clean_close
        if self._world.settings.clean_sideband_close if scripted is None else scripted:
            await socket.close(1000)
        else:
            self._connections.close(socket.scope)

    async def _read(self, socket: WebSocket, call: SimulatedCall, attachment: Attachment) -> None:
        while True:
            try:
                text = await socket.receive_text()
            except (WebSocketDisconnect, KeyError):  # KeyError: a binary message
                return
            self._world.sidebands.receive(call, attachment, text)

    async def _write(self, socket: WebSocket, attachment: Attachment) -> None:
        while (event := await attachment.get()) is not None:
            await socket.send_text(json.dumps(event))
