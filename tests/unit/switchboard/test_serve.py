"""The standalone switchboard as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from tests.unit.switchboard.standalone import PROGRAM, Standalone, environment
from tests.unit.switchboard.support import SECRET, event_body, signed

from airflow_openai_realtime.switchboard.client import SwitchboardClient
from airflow_openai_realtime.switchboard.tokens import derived_token


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
            assert client.claim("rtc_1", "me").state == "claimed"
            while not client.check()["waiting_polls"]:
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
from airflow_openai_realtime.switchboard.client import SwitchboardClient
with SwitchboardClient(sys.argv[1], sys.argv[2]) as client:
    print(client.calls(after="9", wait_seconds=25).calls)
"""
POLL = POLL.replace('after="9"', "after=client.calls().cursor")


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
    ("changes", "said"),
    [
        ({"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is not set"),
        ({"OPENAI_WEBHOOK_SECRET": ""}, "OPENAI_WEBHOOK_SECRET is not set"),
        ({"OPENAI_REALTIME_STORE_URL": "sqlite:////nowhere/calls.db"}, "cannot write"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql+psycopg2://u:pw@127.0.0.1:1/x"}, "store does not answer"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_it_serves(changes: dict[str, str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--port", "0"],
        env=environment(**changes),
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
