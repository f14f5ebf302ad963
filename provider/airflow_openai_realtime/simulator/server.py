"""The simulator as a server on the loopback interface, run in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from airflow_openai_realtime.simulator.addresses import SimulatorAddresses
from airflow_openai_realtime.simulator.carrier_routes import CarrierRoutes, carrier_error
from airflow_openai_realtime.simulator.clock import Clock
from airflow_openai_realtime.simulator.connections import Connections
from airflow_openai_realtime.simulator.control_routes import ControlRoutes
from airflow_openai_realtime.simulator.faults import Faults
from airflow_openai_realtime.simulator.inbound import Headers
from airflow_openai_realtime.simulator.log import Log
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.openai_routes import OpenAIRoutes, openai_error
from airflow_openai_realtime.simulator.phones import Phones, PhoneScript
from airflow_openai_realtime.simulator.refusals import Refusal
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings
from airflow_openai_realtime.simulator.webhook_sender import WebhookSender
from airflow_openai_realtime.simulator.world import World

HOST = "127.0.0.1"
_START_SECONDS = 20.0


class Simulator(SimulatorAddresses):
    """
    OpenAI's call endpoints, a carrier and phones, on a port of this machine.

    It runs while the context manager is open::

        with Simulator(webhook_url="http://127.0.0.1:8080/webhook") as simulator:
            simulator.phones.add("+14155550123", PhoneScript.talks_for_ever())

    All of it may be used from any thread. Nothing leaves the machine but webhooks, to the addresses given.

    :param port: Port to listen on; 0: a free one.
    :param webhook_url: Where to send webhooks; more can be added with ``webhooks.add``.
    :param settings: Settings by name, see :class:`SimulatorSettings`.
    :raises InvalidInput: A setting is unknown or out of range.
    :raises OSError: The port is taken.
    """

    def __init__(self, *, port: int = 0, webhook_url: str | None = None, **settings: Any) -> None:
        self._world = World(SimulatorSettings().changed(settings))
        self._port = port
        self._webhook_url = webhook_url
        self._connections = Connections()
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._ready = threading.Event()
        if webhook_url:
            self._world.webhooks.add(webhook_url)

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and let time pass. Returns when requests are answered."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self._port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(listener,), name="simulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError(f"the simulator did not start within {_START_SECONDS:g} s")
        self._world.clock.start()

    def stop(self) -> None:
        """Stop time, close all connections, stop listening. Stopping twice changes nothing."""
        if self._thread is None:
            return
        self._world.clock.stop()
        self._connections.release()
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join()
        self._thread = None

    @property
    def url(self) -> str:  # type: ignore[override]
        """Address of the server, for example ``http://127.0.0.1:8099``."""
        return f"http://{HOST}:{self._port}"

    @property
    def settings(self) -> SimulatorSettings:  # type: ignore[override]
        """What it is set to at the moment."""
        return self._world.settings

    @property
    def phones(self) -> Phones:
        """What the phones do."""
        return self._world.phones

    @property
    def faults(self) -> Faults:
        """What goes wrong on demand."""
        return self._world.faults

    @property
    def clock(self) -> Clock:
        """Simulated time."""
        return self._world.clock

    @property
    def log(self) -> Log:
        """What happened."""
        return self._world.log

    @property
    def webhooks(self) -> WebhookSender:
        """Where webhooks go."""
        return self._world.webhooks

    def call_in(
        self,
        from_: str,
        to: str,
        headers: Headers = (),
        script: PhoneScript | None = None,
        call_id: str | None = None,
    ) -> str:
        """
        Make a person call a number whose trunk leads to OpenAI.

        :param from_: The caller's number, E.164.
        :param to: The number called, E.164.
        :param headers: More SIP headers; one with the name of a usual one (``To``, ``Diversion``) takes its place.
        :param script: How the caller behaves; the default talks for 30 s once accepted.
        :param call_id: OpenAI's id of the call, for a test that goes on with a call of an earlier run; ``None``: a new
            one.
        :return: OpenAI's id of the call.
        :raises InvalidInput: A number is empty, or another call has this id.
        """
        return self._world.call_in(from_, to, headers, script, call_id)

    def act(self, call_id: str, *moves: Move) -> None:
        """
        Let more happen in a live call: after what its script still holds, or now when nothing is left.

        :param call_id: OpenAI's id.
        :param moves: What happens, in order.
        :raises InvalidInput: The call is not live.
        """
        self._world.sidebands.act(call_id, moves)

    def wait_for(self, condition: Callable[[], object], *, timeout_seconds: float = 30.0) -> bool:
        """
        Wait until something holds; for what other threads or processes do in real time.

        :param condition: Asked without arguments after each log entry, and every 20 ms; any true value will do.
        :param timeout_seconds: How long to wait at most, in real seconds.
        :return: Whether it came to hold.
        """
        return self._world.log.wait_for(condition, timeout_seconds=timeout_seconds)

    def reset(self, **changes: Any) -> None:
        """
        Start anew: no calls, scripts, faults, webhook addresses (but the one given at the start) or log; real time.

        :param changes: Settings that differ from those that the simulator was started with.
        :raises InvalidInput: A setting is unknown or out of range.
        """
        self._world.reset(**changes)
        self._connections.release()
        if self._webhook_url:
            self._world.webhooks.add(self._webhook_url)

    def _run(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            self._application(),
            http=self._connections.protocol(),
            ws=_websocket_protocol(),
            loop="asyncio",
            lifespan="off",
            log_config=None,
            ws_ping_interval=None,
            timeout_graceful_shutdown=3,
        )
        self._server = _Server(config, self._ready)
        asyncio.run(self._serve(self._server, listener))

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._connections.open(loop)
        await self._world.webhooks.open(loop)
        try:
            await server.serve(sockets=[listener])
        finally:
            await self._world.webhooks.close()
            listener.close()

    def _application(self) -> Starlette:
        routes = [
            *OpenAIRoutes(self._world, self._connections).routes,
            *CarrierRoutes(self._world, self._connections).routes,
            *ControlRoutes(self._world, lambda changes: self.reset(**changes)).routes,
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_route})


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready.set()


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if request.url.path.startswith("/2010-04-01"):
        return carrier_error(Refusal(status, 20404, f"The requested resource {request.url.path} was not found"))
    return openai_error(Refusal(status, None, f"Invalid URL ({request.method} {request.url.path})"))


def _websocket_protocol() -> Any:
    """uvicorn's protocol without deprecated parts of ``websockets``, where it has one."""
    try:
        from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    except ImportError:
        return "auto"
    return WebSocketsSansIOProtocol
