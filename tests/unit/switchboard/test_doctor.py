"""The doctor: what is right is said to be so, what is wrong is found, and nothing is left behind."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.unit.switchboard.standalone import PROGRAM, Standalone, environment

from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard import doctor
from airflow_openai_realtime.switchboard.doctor import Finding, examine
from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store

ANOTHER = "whsec_YW5vdGhlciBzZWNyZXQgdGhhdCBpcyBsb25n"
CHECKS = ["settings", "store", "switchboard", "clock", "webhook secret", "API key", "token"]
CHECKS += ["signed delivery", "forged delivery"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as started:
        yield started


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('doctor')}/switchboard.db"


def of_simulator(simulator: Simulator) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": simulator.api_key,
        "OPENAI_WEBHOOK_SECRET": simulator.webhook_secret,
        "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
    }


@pytest.fixture
def settings(simulator: Simulator, store_url: str) -> dict[str, str]:
    """What the doctor reads from the environment."""
    return {**of_simulator(simulator), "OPENAI_REALTIME_STORE_URL": store_url}


@pytest.fixture(scope="module")
def standalone(simulator: Simulator, store_url: str) -> Iterator[Standalone]:
    with Standalone(store_url, changes=of_simulator(simulator)) as started:
        yield started


def wrong(findings: list[Finding]) -> dict[str, str]:
    """What is wrong, by check."""
    return {finding.check.partition(" (")[0]: finding.detail for finding in findings if not finding.is_ok}


def test_where_all_is_well_each_check_says_so_in_a_line(
    standalone: Standalone, settings: dict[str, str], store_url: str
) -> None:
    done = subprocess.run(
        [*PROGRAM, "doctor", "--url", standalone.url],
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [re.fullmatch(r"ok     ([A-Za-z ]+?)( \(default\))?: .+", line)[1] for line in lines] == CHECKS  # type: ignore[index]
    assert settings["OPENAI_WEBHOOK_SECRET"] not in done.stdout
    store = Store(store_url)
    store.prepare()
    assert store.calls.select("default", CallFilter(), 10, utc_now()) == []
    assert store.feed.end(utc_now()).high == 0
    store.close()


def test_one_thing_that_is_wrong_makes_the_exit_status_1(standalone: Standalone, settings: dict[str, str]) -> None:
    env = environment(**settings, OPENAI_REALTIME_TOKEN="another-token-that-is-long")
    command = [*PROGRAM, "doctor", "--url", standalone.url]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if not line.startswith("ok ")]
    assert line.startswith("WRONG  token (default): the switchboard at")
    assert "switchboard_token" in line


@pytest.mark.parametrize(
    ("changes", "check", "said"),
    [
        ({"OPENAI_API_KEY": ""}, "settings", "OPENAI_API_KEY is not set"),
        ({"OPENAI_REALTIME_RETENTION_DAYS": "0.1"}, "settings", "retention_days must be"),
        ({"OPENAI_REALTIME_STORE_URL": "sqlite:////nowhere/calls.db"}, "store", "cannot write"),
        ({"OPENAI_REALTIME_STORE_URL": "postgresql+psycopg2://u:pw@127.0.0.1:1/x"}, "store", "does not answer"),
        ({"OPENAI_API_KEY": "sk-wrong"}, "API key", "the API key was refused"),
        ({"OPENAI_WEBHOOK_SECRET": "my secret"}, "webhook secret", "copy the endpoint's signing secret"),
        ({"OPENAI_WEBHOOK_SECRET": "whsec_***"}, "webhook secret", "copy the endpoint's signing secret"),
        ({"OPENAI_WEBHOOK_SECRET": ANOTHER}, "signed delivery", "another secret or clock"),
        ({"OPENAI_REALTIME_TOKEN": "short"}, "token", "fewer than 16 characters"),
        ({"OPENAI_REALTIME_BASE_URL": "http://127.0.0.1:1/v1"}, "clock", "check network, proxy and base URL"),
    ],
)
def test_what_is_wrong_is_found_and_what_to_do_is_said(
    standalone: Standalone, settings: dict[str, str], changes: dict[str, str], check: str, said: str
) -> None:
    found = wrong(list(examine({**settings, **changes}, standalone.url, None)))
    assert said in found[check]
    assert not any(secret in str(found) for secret in ("pw", "sk-wrong", "my secret", ANOTHER))


def test_an_address_where_nobody_or_somebody_else_answers_is_found(
    simulator: Simulator, settings: dict[str, str]
) -> None:
    nobody = wrong(list(examine(settings, "http://127.0.0.1:1", None)))
    assert set(nobody) == {"switchboard", "token", "signed delivery", "forged delivery"}
    assert "start the switchboard" in nobody["switchboard"]
    other = wrong(list(examine(settings, simulator.url, None)))
    assert "by something else" in other["switchboard"]
    assert set(other) == set(nobody)
    unusable = wrong(list(examine(settings, "127.0.0.1:8090", None)))
    assert "--url must start with https://" in unusable["settings"]


def test_each_line_of_several_is_looked_at_by_its_own_path(
    simulator: Simulator, store_url: str, tmp_path: Path
) -> None:
    config = tmp_path / "lines.json"
    lines = [
        f'{{"name": "{name}", "api_key": "{simulator.api_key}", "webhook_secret": "{simulator.webhook_secret}", '
        f'"base_url": "{simulator.openai_base_url}"}}'
        for name in ("support", "sales")
    ]
    config.write_text(f'{{"lines": [{", ".join(lines)}]}}')
    settings = {"OPENAI_REALTIME_STORE_URL": store_url, "OPENAI_REALTIME_CONFIG": str(config)}
    with Standalone(store_url, changes=settings) as standalone:
        findings = list(examine(settings, standalone.url, None))
    assert wrong(findings) == {}
    details = {finding.check: finding.detail for finding in findings}
    assert f"taken at {standalone.url}/webhook/sales" in details["signed delivery (sales)"]
    assert details["token (support)"].startswith("opens line support")


class Proxy:
    """Something in front of a webhook that answers as it likes."""

    def __init__(self, status: int, clock: float = 0.0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + clock, usegmt=True))
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, "something else answers there"),
        (301, "OpenAI follows no redirects"),
        (403, "must let POST through"),
        (502, "the switchboard or its store is down"),
    ],
)
def test_a_proxy_that_does_not_let_the_webhook_through_is_found(
    standalone: Standalone, settings: dict[str, str], status: int, said: str
) -> None:
    with Proxy(status) as proxy:
        found = wrong(list(examine(settings, standalone.url, f"{proxy.url}/webhook")))
    assert found["forged delivery"].startswith(f"{proxy.url}/webhook answered {status} instead of 401: ")
    assert said in found["forged delivery"]
    assert ("signed delivery" in found) == (status != 200)
    assert not set(found) & {"switchboard", "token"}


@pytest.mark.parametrize(("seconds", "is_found"), [(-600, True), (-9, False), (9, False), (600, True)])
def test_a_clock_that_is_wrong_is_found(
    standalone: Standalone, settings: dict[str, str], seconds: float, is_found: bool
) -> None:
    with Proxy(401, clock=seconds) as openai:
        found = wrong(list(examine({**settings, "OPENAI_REALTIME_BASE_URL": openai.url}, standalone.url, None)))
    assert ("clock" in found) == is_found
    if is_found:
        assert re.search(r"clock is (59|60)\d s away from that of 127.0.0.1: set both by NTP", found["clock"])


def test_a_public_address_without_tls_is_wrong() -> None:
    with pytest.raises(doctor.Wrong, match="not encrypted"):
        doctor._as_openai_reaches("http://calls.example.com/webhook")
    assert doctor._as_openai_reaches("https://calls.example.com/webhook") == ""
    assert "needs a public one" in doctor._as_openai_reaches("http://switchboard:8090/webhook")
