"""What ``deploy/`` holds: the container file as far as it can be read, and the proxy's rules in a real nginx."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.unit.switchboard.standalone import PROGRAM, Standalone, environment
from tests.unit.switchboard.support import SECRET, event_body, signed

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """(instruction, rest) of the container file, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def exec_form(instruction: str) -> list[str]:
    """The last instruction of a kind, which must be a list of words: no shell in between that keeps signals."""
    words: list[str] = json.loads([rest for name, rest in instructions() if name == instruction][-1])
    return words


def test_the_container_runs_our_program_by_itself_and_not_as_root() -> None:
    assert exec_form("ENTRYPOINT") == ["python", *PROGRAM[1:]]
    for arguments, said in (([], "doctor"), (exec_form("CMD"), "--store-url")):
        asked = subprocess.run([*PROGRAM, *arguments, "--help"], capture_output=True, text=True, check=True)
        assert said in asked.stdout
    users = [index for index, (name, _) in enumerate(instructions()) if name == "USER"]
    assert instructions()[users[-1]] == ("USER", "10001")
    assert not any(name == "RUN" for name, _ in instructions()[users[-1] :])
    assert ("STOPSIGNAL", "SIGTERM") in instructions()


def test_everything_that_the_container_copies_is_there() -> None:
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")]
    assert copied
    for path in (path for paths in copied for path in paths):
        assert (ROOT / path).exists(), path


def test_the_health_check_tells_a_switchboard_from_none(sqlite_url: str) -> None:
    command = json.loads(next(rest for name, rest in instructions() if name == "HEALTHCHECK").partition("CMD")[2])
    assert command[0] == "python"
    with Standalone(sqlite_url) as standalone:
        asked = [sys.executable, *(part.replace("http://127.0.0.1:8090", standalone.url) for part in command[1:])]
        assert subprocess.run(asked, check=False, capture_output=True).returncode == 0
        standalone.kill()
        assert subprocess.run(asked, check=False, capture_output=True).returncode != 0


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'switchboard.db'}"


needs_nginx = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx and openssl are not installed"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def standalone(sqlite_url: str) -> Iterator[Standalone]:
    with Standalone(sqlite_url) as started:
        yield started


@pytest.fixture
def proxy(standalone: Standalone, tmp_path: Path) -> Iterator[str]:
    """The address of an nginx with our rules in front of a switchboard; all that is changed is listed below."""
    port, folder = free_port(), tmp_path / "nginx"
    folder.mkdir()
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "calls.key"), "-out", str(folder / "calls.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files],
        check=True,
        capture_output=True,
    )
    rules = (DEPLOY / "nginx.conf").read_text()
    for ours, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/", f"{folder}/"),
        ("server 127.0.0.1:8090", f"server {standalone.url.removeprefix('http://')}"),
        ("calls.example.com", "localhost"),
        ("client_body_timeout 10s", "client_body_timeout 600s"),  # a busy machine is no failure
    ):
        assert ours in rules
        rules = rules.replace(ours, here)
    (folder / "site.conf").write_text(rules)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1; events {{}}"
        f"http {{ access_log off; {temporary} include {folder}/site.conf; }}"
    )
    process = subprocess.Popen(
        ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "log")]
    )
    try:
        for _ in range(3000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait()


@needs_nginx
def test_the_proxy_lets_deliveries_through_and_nothing_else(proxy: str) -> None:
    body = event_body(created_at=time.time())
    headers = signed(body, at=time.time())
    with httpx.Client(verify=False, base_url=proxy) as http:
        assert http.post("/webhook", content=body, headers=headers).status_code == 200
        assert http.post("/webhook/support.eu_1", content=body, headers=headers).status_code == 401
        assert http.get("/health").json() == {"status": "up"}
        assert http.post("/webhook", content=b"x" * 1_100_000).status_code == 413
        for path in ("/webhook", "/webhook/support", "/openai-realtime/webhook"):
            assert http.get(path).status_code == 403
        closed = ["/", "/v1/status", "/v1/calls", "/webhook/a/b", "/webhook/../v1/status", "/webhook/%2e%2e/v1/status"]
        closed += ["//v1/status", "/webhook%2f..%2fv1/calls", "/openai-realtime/v1/status", "/health/x", "/v1/metrics"]
        for path in closed:
            for method in ("GET", "POST", "DELETE"):
                answer = http.request(method, path)
                assert (answer.status_code, "nginx" in answer.text) == (404, True), (method, path)
        # Ways to write an open path that might mean another one to the switchboard.
        for path in ("/v1/calls/%2e%2e/%2e%2e/webhook", "/v1/a/..%2f..%2fhealth", "/webhoo%6b", "/x/%2e%2e/webhook/a"):
            for method in ("GET", "POST"):
                answer = http.request(method, path)
                assert (answer.status_code in (403, 404), "nginx" in answer.text) == (True, True), (method, path)


@needs_nginx
def test_an_address_that_sends_too_much_is_told_to_come_back_and_reaches_nothing(proxy: str) -> None:
    statuses: set[int] = set()
    with httpx.Client(verify=False, base_url=proxy) as http:
        for _ in range(20_000):
            answer = http.get("/health")
            statuses.add(answer.status_code)
            if answer.status_code != 200:
                break
    assert statuses == {200, 429}
    assert "nginx" in answer.text


@needs_nginx
def test_an_address_that_leaves_many_requests_unfinished_is_told_to_come_back(proxy: str) -> None:
    port = int(proxy.rpartition(":")[2])
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    statuses: list[int] = []
    with ExitStack() as open_ones, httpx.Client(verify=False, base_url=proxy) as http:
        for _ in range(200):  # two requests each: fewer than an address may send at once
            connection = open_ones.enter_context(tls.wrap_socket(socket.create_connection(("localhost", port))))
            connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
            statuses.append(http.get("/health").status_code)
            if statuses[-1] != 200:
                break
    assert statuses == [*[200] * (len(statuses) - 1), 429]


@needs_nginx
def test_the_doctor_finds_the_webhook_behind_the_proxy(proxy: str, standalone: Standalone, tmp_path: Path) -> None:
    env = environment(OPENAI_REALTIME_STORE_URL=f"sqlite:///{tmp_path}/switchboard.db")
    env["SSL_CERT_FILE"] = str(tmp_path / "nginx" / "calls.pem")
    command = [*PROGRAM, "doctor", "--url", standalone.url, "--webhook-url", f"{proxy}/webhook"]
    said = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False).stdout
    assert f"ok     signed delivery (default): taken at {proxy}/webhook" in said
    assert "ok     forged delivery (default): refused" in said
    closed = [*PROGRAM, "doctor", "--url", proxy]
    said = subprocess.run(closed, env={**os.environ, **env}, capture_output=True, text=True, check=False).stdout
    assert "WRONG  token (default)" in said
    assert SECRET not in said
