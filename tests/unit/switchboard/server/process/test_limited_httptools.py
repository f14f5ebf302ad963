"""What is still to come on a connection, as the quick parser tells it, and the limit of a head's size."""

from __future__ import annotations

from tests.unit.switchboard.server.process.test_limited_h11 import Peer, connected

from airflow_openai_realtime.switchboard.server.process.connection_limits import MOST_HEAD_BYTES
from airflow_openai_realtime.switchboard.server.process.limited_httptools import LimitedHttpTools


async def test_a_request_is_its_head_then_its_body_then_nothing() -> None:
    connection = connected(LimitedHttpTools)
    assert connection.receiving() == connection.NOTHING
    connection.data_received(b"POST /webhook HTTP/1.1\r\nHost: x\r\n")
    assert connection.receiving() == connection.HEAD
    connection.data_received(b"Content-Length: 3\r\n\r\nab")
    assert connection.receiving() == connection.BODY
    connection.data_received(b"c")
    assert connection.receiving() == connection.NOTHING
    connection.connection_lost(None)


async def test_a_line_that_the_parser_skips_counts_as_a_head_that_has_begun() -> None:
    connection = connected(LimitedHttpTools)
    connection.data_received(b"\r\n")
    assert connection.receiving() == connection.HEAD
    connection.connection_lost(None)


async def test_a_head_in_small_pieces_is_refused_when_all_of_them_are_too_large() -> None:
    connection = connected(LimitedHttpTools)
    peer = connection.transport
    assert isinstance(peer, Peer)
    connection.data_received(b"POST /webhook HTTP/1.1\r\nX: ")
    sent = 0
    while sent <= MOST_HEAD_BYTES and not peer.is_closed:
        connection.data_received(b"a" * 1024)
        sent += 1024
    assert peer.sent.startswith(b"HTTP/1.1 431 ")
    assert MOST_HEAD_BYTES - 1024 <= sent <= MOST_HEAD_BYTES + 1024
    connection.connection_lost(None)


async def test_the_heads_of_several_requests_are_not_counted_together() -> None:
    connection = connected(LimitedHttpTools)
    peer = connection.transport
    assert isinstance(peer, Peer)
    head = b"POST /webhook HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (MOST_HEAD_BYTES - 1024)
    for _ in range(2):
        connection.data_received(head)
        connection.data_received(b"\r\nContent-Length: 0\r\n\r\n")
        assert connection.receiving() == connection.NOTHING
    assert not peer.sent
    connection.connection_lost(None)
