from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.simulator.support import CALLER, PERSON, Receiver

from airflow_openai_realtime.simulator import SimulatorControl


@contextmanager
def program(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The simulator as a process that listens, and what it has printed so far."""
    command = [sys.executable, "-W", "error", "-m", "airflow_openai_realtime.simulator", "--port", "0", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    guard = threading.Timer(120, process.kill)
    guard.start()
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "listening on" in line or "cannot start" in line:
                break
        yield process, lines
    finally:
        process.kill()
        process.wait()
        guard.cancel()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_to_set_up_and_where_it_listens_and_ends_on_a_signal(
    number: signal.Signals, receiver: Receiver, tmp_path: Path
) -> None:
    scripts = tmp_path / "phones.json"
    scripts.write_text(json.dumps({PERSON: [{"reaction": "busy"}]}))
    options = ("--webhook-url", receiver.url, "--speed", "100", "--phones", str(scripts), "--calls-per-second", "0")
    with program(*options) as (process, lines):
        ready = re.fullmatch(r"simulator: listening on (http://127\.0\.0\.1:\d+)", lines[-1])
        assert ready is not None
        settings = dict(line.split("=", 1) for line in lines if line.startswith("AIRFLOW_CONN_"))
        realtime = json.loads(settings["AIRFLOW_CONN_OPENAI_REALTIME_DEFAULT"].strip("'"))
        carrier = json.loads(settings["AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT"].strip("'"))
        assert realtime["host"] == f"{ready[1]}/v1"
        assert realtime["extra"]["switchboard_url"] == receiver.url.removesuffix("/webhook")
        assert (carrier["host"], carrier["extra"]["openai_project_id"]) == (ready[1], "proj_simulator")
        assert carrier["extra"]["refer_url"].startswith("https://")
        assert not [line for line in lines if line.startswith("switchboard_url must be")]
        with SimulatorControl(ready[1]) as control:
            assert control.phones.scripts()[PERSON][0].reaction == "busy"
            assert control.clock.speed == 100
            control.call_in(PERSON, CALLER)
            assert control.wait_for(lambda: receiver.taken)
        process.send_signal(number)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert told.rstrip().endswith("simulator: stopped")
    assert "phone +1***0123: calls +1***0100" in told
    assert PERSON not in told
    assert "Traceback" not in told
    assert realtime["password"] not in told


@pytest.mark.parametrize(
    "options", [(), ("--webhook-url", "http://127.0.0.1:9/calls"), ("--webhook-url", "http://127.0.0.1:9/webhook/eu")]
)
def test_a_switchboard_address_that_is_a_guess_is_called_one(options: tuple[str, ...]) -> None:
    with program(*options) as (_, lines):
        pass
    (connection,) = [line for line in lines if line.startswith("AIRFLOW_CONN_OPENAI_REALTIME_DEFAULT=")]
    realtime = json.loads(connection.split("=", 1)[1].strip("'"))
    assert realtime["extra"]["switchboard_url"] == "http://localhost:8080/openai-realtime"
    assert len([line for line in lines if line.startswith("switchboard_url must be the switchboard's address")]) == 1


def test_quiet_tells_nothing_of_what_happens() -> None:
    with program("--quiet") as (process, lines):
        with SimulatorControl(lines[-1].rsplit(" ", 1)[1]) as control:
            control.call_in(PERSON, CALLER)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
    assert told == "simulator: stopped\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--ring-seconds", "-1"), "ring_seconds"),
        (("--webhook-url", "nowhere"), "webhook address"),
        (("--phones", "/does/not/exist.json"), "No such file"),
        (("--phones", __file__), "no file of phone scripts"),
    ],
)
def test_what_it_cannot_start_with_is_said_in_one_line(options: tuple[str, ...], why: str) -> None:
    with program(*options) as (process, lines):
        process.wait(60)
    assert process.returncode == 2
    (line,) = lines
    assert line.startswith("simulator: cannot start: ")
    assert why in line


def test_a_port_that_is_taken_is_said_with_a_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with program("--port", str(port)) as (process, lines):
            process.wait(60)
    assert process.returncode == 2
    assert lines == [f"simulator: cannot start: port {port} is taken; give another with --port"]
