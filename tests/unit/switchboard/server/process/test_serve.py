"""The standalone switchboard as a process."""

from __future__ import annotations

import base64
import os
import resource
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from tests.unit.switchboard.standalone import PROGRAM, Standalone, environment
from tests.unit.switchboard.support import SECRET, event_body, signed

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, get_status, list_calls

#: As long as OpenAI's; a shorter one is warned of at the start.
LONG_SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


def deliver(url: str, number: int = 1) -> httpx.Response:
    body = event_body(number, created_at=time.time())
    return httpx.post(f"{url}/webhook", content=body, headers=signed(body, number, at=time.time()))


def test_it_takes_a_call_and_ends_at_once_when_told_though_a_poll_waits(sqlite_url: str) -> None:
    with Standalone(sqlite_url) as standalone:
        assert deliver(standalone.url).status_code == 200
        poll = subprocess.Popen(
            [PROGRAM[0], "-c", POLL, standalone.url, derived_token(SECRET)], stdout=subprocess.PIPE, text=True
        )
        with SwitchboardClient(standalone.url, derived_token(SECRET)) as client:
            assert client.send(claim_call("rtc_1", "me")).state == "claimed"
            while not client.send(get_status())["waiting_polls"]:
                assert poll.poll() is None
                time.sleep(0.02)
        told = time.monotonic()
        standalone.process.send_signal(signal.SIGTERM)
        assert standalone.process.wait(60) in (0, -signal.SIGTERM)
        assert time.monotonic() - told < 15
        said, _ = poll.communicate(timeout=60)
        assert said == "()\n"
        assert "call.ringing line=default call_id=rtc_1 from=+1***0123 to=+1***0199" in standalone.log()
        assert "4155550123" not in standalone.log()
        assert "Traceback" not in standalone.log()


POLL = """
import sys
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls
with SwitchboardClient(sys.argv[1], sys.argv[2]) as client:
    cursor = client.send(list_calls()).cursor
    print(client.send(list_calls(after=cursor, wait_seconds=25)).calls)
"""


def test_workers_end_when_their_supervisor_is_killed(sqlite_url: str) -> None:
    with Standalone(sqlite_url, workers=2) as standalone:
        os.kill(standalone.process.pid, signal.SIGKILL)
        standalone.process.wait()
        for _ in range(3000):
            try:
                httpx.get(f"{standalone.url}/health", timeout=1)
            except httpx.TransportError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("a worker went on serving")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST /webhook HTTP/1.1\r\nX: ",
        b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"GET /v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body", "404 and half a body", "401 and half a body"],
)
def test_signed_deliveries_are_taken_while_strangers_hold_more_connections_than_there_are(
    start: bytes, sqlite_url: str
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    http = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
    with Standalone(sqlite_url, most_files=1024) as standalone, http, ExitStack() as stack:
        address = ("127.0.0.1", int(standalone.url.rpartition(":")[2]))
        for number in range(1_100):
            stranger = stack.enter_context(socket.create_connection(address, timeout=60))
            with suppress(ConnectionError):
                stranger.sendall(start)
            if number >= 1_070:
                body = event_body(number, created_at=time.time())
                headers = signed(body, number, at=time.time())
                assert http.post(f"{standalone.url}/webhook", content=body, headers=headers).status_code == 200
        assert "connections.closed made_room=" in standalone.log()
        with SwitchboardClient(standalone.url, derived_token(SECRET)) as client:
            assert len(client.send(list_calls(limit=1000)).calls) == 30


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is not set"),
        ({"OPENAI_WEBHOOK_SECRET": ""}, "OPENAI_WEBHOOK_SECRET is not set"),
        ({"OPENAI_REALTIME_STORE_URL": "sqlite:////nowhere/calls.db"}, "cannot write"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql://u:pw@host:port/x"}, "no database URL"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql://u:pw@host:99999/x"}, "the port must be 1 to 65535"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql://u:pw@127.0.0.1:1/x?foo=bar"}, "cannot be used"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql+nosuch://u:pw@127.0.0.1:1/x"}, "no driver postgresql+nosuch"),
        ({"OPENAI_REALTIME_STORE_URL": "sqlite:///x.db?timeout=abc"}, "cannot be used"),
        ({"OPENAI_REALTIME_STORE_URL": "sqlite:///file:x?mode=memory&uri=true"}, "cannot be used"),
        ({"OPENAI_REALTIME_STORE_URL": f"sqlite:///{__file__}"}, "file is not a database"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql+psycopg2://u:pw@127.0.0.1:1/x"}, "store does not answer"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_it_serves(changes: dict[str, str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--port", "0"],
        env=environment(**{"OPENAI_WEBHOOK_SECRET": LONG_SECRET, **changes}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "pw" not in done.stderr
