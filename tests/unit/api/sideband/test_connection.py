"""The sideband against a real WebSocket server on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http
import json
import logging
import socket
import ssl

import pytest
from websockets.asyncio.server import serve
from websockets.http11 import Response

from airflow_openai_realtime.api import network
from airflow_openai_realtime.api.call_requests import is_live
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import endpoints_for
from airflow_openai_realtime.api.sideband import socket as sideband_socket
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallGone,
    InvalidInput,
    RequestRefused,
    ServiceUnavailable,
)


class Sockets:
    """A server that refuses the first handshakes with the given statuses and then behaves."""

    def __init__(self, behave, refusals) -> None:
        self.behave, self.refusals, self.requests = behave, list(refusals), []
        self.body = b'{"error": {"code": "call_id_not_found", "message": "No session found"}}'

    def process_request(self, connection, request):
        self.requests.append(request)
        if not self.refusals:
            return None
        status = self.refusals.pop(0)
        response = connection.respond(http.HTTPStatus(status), "")
        headers = response.headers
        del headers["content-length"]
        headers["content-length"] = str(len(self.body))
        headers["location"] = "ws://127.0.0.1:1/evil"
        return Response(response.status_code, response.reason_phrase, headers, self.body)


@contextlib.asynccontextmanager
async def server(settings, behave=None, refusals=()):
    async def default(connection):
        await connection.wait_closed()

    sockets = Sockets(behave or default, refusals)
    async with serve(sockets.behave, "127.0.0.1", 0, process_request=sockets.process_request) as running:
        port = running.sockets[0].getsockname()[1]
        sockets.settings = dataclasses.replace(
            settings, endpoints=endpoints_for(base_url=f"http://127.0.0.1:{port}/v1")
        )
        yield sockets


async def test_the_address_has_the_call_and_the_key_and_no_beta_header(settings):
    async with server(settings) as sockets, attach(sockets.settings, "rtc_1/&"):
        request = sockets.requests[0]
        assert request.path == "/v1/realtime?call_id=rtc_1%2F%26"
        assert request.headers["Authorization"] == f"Bearer {settings.api_key}"
        assert "airflow-provider-openai-realtime/" in request.headers["User-Agent"]
        assert "OpenAI-Beta" not in request.headers
        assert "Sec-WebSocket-Extensions" not in request.headers  # no compression: its memory, times each live call


async def test_events_come_until_the_socket_closes_normally(settings):
    async def behave(connection):
        await connection.send('{"type": "session.created"}')
        await connection.send("not json")
        await connection.send("[1]")
        await connection.send("[" * 50_000)
        await connection.send(b'{"type": "response.done"}')

    async with server(settings, behave) as sockets, attach(sockets.settings, "rtc_1") as sideband:
        assert not sideband.clean_end
        assert [event["type"] async for event in sideband] == ["session.created", "response.done"]
        assert sideband.clean_end


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4000])
async def test_another_close_code_is_no_clean_end(settings, code):
    async def behave(connection):
        await connection.close(code)

    async with server(settings, behave) as sockets, attach(sockets.settings, "rtc_1") as sideband:
        assert [event async for event in sideband] == []
        assert not sideband.clean_end


async def test_a_socket_that_breaks_off_ends_the_events_unclean(settings):
    async def behave(connection):
        await connection.send('{"type": "a"}')
        await asyncio.sleep(0)
        connection.transport.abort()

    async with server(settings, behave) as sockets, attach(sockets.settings, "rtc_1") as sideband:
        events = [event async for event in sideband]
        assert events in ([], [{"type": "a"}])
        assert not sideband.clean_end


async def test_commands_are_sent_as_json_and_not_after_the_end(settings):
    got = []

    async def behave(connection):
        got.append(json.loads(await connection.recv()))

    async with server(settings, behave) as sockets, attach(sockets.settings, "rtc_1") as sideband:
        await sideband.send({"type": "response.create"})
        assert [event async for event in sideband] == []
        assert got == [{"type": "response.create"}]
        with pytest.raises(CallGone):
            await sideband.send({"type": "response.create"})


@pytest.mark.parametrize(("refusals", "expected"), [([], True), ([404] * 20, False)])
async def test_the_client_tells_whether_a_call_is_live(settings, fake_time, refusals, expected):
    async with server(settings, refusals=refusals) as sockets:
        with CallsClient(sockets.settings, pace=fake_time.pace()) as client:
            assert await asyncio.to_thread(client.send, is_live("rtc_1")) is expected
        async with CallsClient(sockets.settings, pace=fake_time.pace()) as client:
            assert await client.asend(is_live("rtc_1")) is expected


async def test_leaving_the_block_closes_the_socket(settings):
    closed = asyncio.Event()

    async def behave(connection):
        await connection.wait_closed()
        closed.set()

    async with server(settings, behave) as sockets:
        async with attach(sockets.settings, "rtc_1"):
            pass
        await asyncio.wait_for(closed.wait(), 30)


async def test_cancelled_twice_while_the_other_side_says_no_goodbye_the_socket_is_closed_all_the_same(settings):
    entered, sidebands = asyncio.Event(), []

    async def behave(connection):
        connection.transport.pause_reading()
        await asyncio.wait([connection.connection_lost_waiter], timeout=0.1)
        connection.transport.abort()

    async def use(there):
        async with attach(there, "rtc_1") as sideband:
            sidebands.append(sideband)
            entered.set()
            await asyncio.Event().wait()

    async with server(settings, behave) as sockets:
        using = asyncio.ensure_future(use(sockets.settings))
        await entered.wait()
        for _ in range(2):
            using.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await using
        assert sidebands[0]._connection.transport.is_closing()


async def test_cancelled_at_any_moment_of_the_attaching_no_socket_is_left_open(settings, monkeypatch):
    opened = []
    make = socket.socket

    class Noted(make):
        def connect(self, address):
            opened.append(self)
            return super().connect(address)

    async def use(there):
        async with attach(there, "rtc_1"):
            await asyncio.Event().wait()

    async with server(settings) as sockets:
        monkeypatch.setattr(socket, "socket", Noted)
        for turns in range(30):
            using = asyncio.ensure_future(use(sockets.settings))
            for _ in range(turns):
                await asyncio.sleep(0)
            using.cancel()
            await asyncio.wait([using])
            await asyncio.sleep(0)  # an aborted connection ends in the next turn
            assert [each.fileno() for each in opened] == [-1] * len(opened), turns
        assert opened


@pytest.mark.parametrize("status", [404, 429, 500, 503])
async def test_a_call_that_is_not_ready_yet_is_tried_again(settings, fake_time, status):
    async with (
        server(settings, refusals=[status, status]) as sockets,
        attach(sockets.settings, "rtc_1", pace=fake_time.pace()),
    ):
        assert fake_time.slept == [0.25, 0.5]


@pytest.mark.parametrize(
    ("status", "kind", "tries"),
    [
        (404, CallGone, 4),
        (503, ServiceUnavailable, 4),
        (401, AuthenticationError, 1),
        (302, RequestRefused, 1),
        (400, CallGone, 4),
    ],
)
async def test_a_refusal_that_stays_is_told(settings, fake_time, status, kind, tries):
    async with server(settings, refusals=[status] * 30) as sockets:
        with pytest.raises(kind) as caught:
            async with attach(sockets.settings, "rtc_1", pace=fake_time.pace()):
                pass
        assert caught.value.call_id == "rtc_1"
        assert len(sockets.requests) == tries


async def test_no_connection_at_all_is_told_after_the_given_time(settings, fake_time):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    there = dataclasses.replace(settings, endpoints=endpoints_for(base_url=f"http://127.0.0.1:{port}/v1"))
    with pytest.raises(ServiceUnavailable, match="no sideband connection") as caught:
        async with attach(there, "rtc_1", retry_seconds=10, pace=fake_time.pace()):
            pass
    assert caught.value.safe_to_retry
    assert 5 < sum(fake_time.slept) <= 10


async def test_a_wrong_call_id_opens_nothing(settings):
    with pytest.raises(InvalidInput):
        async with attach(settings, ""):
            pass


async def test_the_key_is_in_no_log_not_even_at_debug_level(settings, caplog):
    caplog.set_level(logging.DEBUG)
    async with server(settings) as sockets, attach(sockets.settings, "rtc_1"):
        pass
    ours = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
    assert not [line for line in ours if settings.api_key in line]


async def test_all_sockets_share_what_tls_needs(settings, monkeypatch):
    """Reading all trusted certificates takes tens of milliseconds, too long for each of hundreds at once."""
    made = []
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **given: made.append(1) or real(**given))
    network._tls_context.cache_clear()
    sideband_socket.load()
    async with server(settings) as sockets:
        secure = sockets.settings.endpoints.rest_url.replace("http:", "https:")
        plain = dataclasses.replace(sockets.settings, endpoints=endpoints_for(base_url=secure))
        for _ in range(3):
            with pytest.raises(ServiceUnavailable):
                async with attach(plain, "rtc_1", retry_seconds=0):
                    pass
    assert len(made) == 1
    network._tls_context.cache_clear()
