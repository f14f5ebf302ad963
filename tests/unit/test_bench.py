"""The measurements' own tools: a load that is miscounted, or an error that hides, would make every figure worthless."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bench import __main__ as bench
from bench.figures import percentile
from bench.load import post, send_all


class _Counting(BaseHTTPRequestHandler):
    """Answers 200, and every fifth request 503."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(body)
        self.send_response(503 if int(body) % 5 == 0 else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    _Counting.bodies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/webhook"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_load_sends_each_request_once_and_counts_what_was_refused(server: str) -> None:
    requests = [post(server, {"X-Any": "1"}, str(number).encode()) for number in range(100)]
    result = send_all(server, requests, connections=4, seconds=20)
    assert sorted(int(body) for body in _Counting.bodies) == list(range(100))
    assert (result.answered, result.failed) == (80, 20)
    assert 0 < result.p50_ms <= result.p99_ms


def test_a_measurement_that_fails_hides_no_other_and_shows_in_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(name: str) -> dict[str, float]:
        if name == "intake_sqlite":
            raise RuntimeError("the disk is full")
        return {f"{name}_ms": 1.5}

    monkeypatch.setattr(bench, "_measure", measure)
    monkeypatch.setattr(bench, "RESULT", tmp_path / "build" / "bench.json")
    monkeypatch.setattr(sys, "argv", ["bench", "import_cost", "intake_sqlite", "order_latency"])
    assert bench.main() == 1
    written = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert written == {"import_cost_ms": 1.5, "order_latency_ms": 1.5}
    assert "the disk is full" in capsys.readouterr().err


def test_every_measurement_is_there() -> None:
    for place in bench.MEASUREMENTS.values():
        module, _, function = place.partition(":")
        file = Path(bench.__file__).parent / f"{module.removeprefix('bench.')}.py"
        assert f"def {function}() -> dict[str, float]:" in file.read_text()


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.5), (99, 99.01)])
def test_percentiles_lie_between_the_values_around_them(percent: int, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], percent) == pytest.approx(expected)
