"""The switchboard's program: what its arguments may be, and what is said when they cannot be used."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest
from tests.unit.switchboard.standalone import PROGRAM, environment

from airflow_openai_realtime import __version__
from airflow_openai_realtime.switchboard.__main__ import main


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], env=environment(**changes), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "99999"], "'99999' is no port: give 1 to 65535"),
        (["--port", "http"], "'http' is no port"),
        (["--port", "-1"], "--port"),
        (["serve", "--workers", "0"], "'0' is no number of processes"),
        (["serve", "--ring-seconds", "soon"], "--ring-seconds"),
        (["doctor", "--port", "1"], "unrecognized arguments: --port"),
        (["wait"], "unrecognized arguments: wait"),
        (["--host", "nowhere.invalid"], "cannot listen on nowhere.invalid:8090"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1:8090"),
        (["--config", "/nowhere.json"], "cannot read /nowhere.json"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_REALTIME_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(arguments)
    except SystemExit as exited:
        status = exited.code
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning: " not in line]
    assert status == 2
    assert len(lines) == 1
    assert lines[0].startswith("switchboard: ")
    assert said in lines[0]


def test_a_port_that_is_taken_is_said_in_one_sentence_with_status_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("--port", str(port), "--store-url", f"sqlite:///{tmp_path}/calls.db")
    lines = [line for line in done.stderr.splitlines() if "warning: " not in line]
    assert done.returncode == 2
    assert lines == [
        f"switchboard: cannot listen on 127.0.0.1:{port}: Address already in use; another process has it: "
        "choose another by --port"
    ]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--version"])
    assert exited.value.code == 0
    assert capsys.readouterr().out == f"switchboard {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "there", "not_there"),
    [
        (["--help"], "doctor", "--ring-seconds"),
        (["serve", "--help"], "--ring-seconds", "--webhook-url"),
        (["doctor", "--help"], "--webhook-url", "--ring-seconds"),
    ],
)
def test_each_command_tells_its_own_options(
    arguments: list[str], there: str, not_there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    said = capsys.readouterr().out
    assert exited.value.code == 0
    assert there in said
    assert not_there not in said


@pytest.mark.parametrize("where", ["first", "last"])
def test_the_doctor_s_findings_are_one_json_object(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_REALTIME_CONFIG", "")
    options = ["--store-url", "sqlite:////nowhere/calls.db", "--json"]
    assert main(["doctor", *options] if where == "first" else [*options, "doctor"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    (finding,) = found["findings"]
    assert (finding["check"], finding["ok"]) == ("settings", False)
    assert "OPENAI_API_KEY is not set" in finding["detail"]


@pytest.mark.parametrize("secret", ["my secret", "whsec_***", "whsec_YQ==", "sk-test"])
def test_a_webhook_secret_of_a_wrong_form_is_said_at_start(
    secret: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(OPENAI_WEBHOOK_SECRET=secret.replace(" ", "")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_REALTIME_CONFIG", "")
    assert main(["--store-url", "sqlite:////nowhere/calls.db", "--port", "0"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("switchboard: warning: line default: webhook secret: it is not whsec_ and base64")
    assert secret not in first
    assert "cannot write" in second
