"""The switchboard inside Airflow's API server: lines from connections, the store beside Airflow's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, event_body, signed

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard import mounted
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call
from airflow_openai_realtime.switchboard.mounted import AirflowLines, create_mounted_app, default_store_url
from airflow_openai_realtime.switchboard.server.service import utc_now

pytestmark = pytest.mark.filterwarnings("default")  # Airflow's own


def connection(monkeypatch: pytest.MonkeyPatch, connection_id: str, secret: str = SECRET, **fields: object) -> None:
    """A connection, given by the environment."""
    extra = {"webhook_secret": secret, "region": ""}
    value = {"conn_type": "openai_realtime", "password": "sk-test", "extra": extra, **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps(value))


@pytest.fixture(autouse=True)
def _environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the environment has connections, so that no database is needed."""
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend

    monkeypatch.setattr("airflow.configuration.ensure_secrets_loaded", lambda: [EnvironmentVariablesBackend()])


@asynccontextmanager
async def in_airflow(app: FastAPI) -> AsyncIterator[httpx.ASGITransport]:
    """The application mounted in another one, which starts it as Airflow does."""
    airflow = FastAPI()
    airflow.mount("/openai-realtime", app)
    async with app.router.lifespan_context(app):
        yield httpx.ASGITransport(airflow)


def test_a_connection_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "support", host="http://127.0.0.1:8099/v1")
    connection(monkeypatch, "openai_realtime_default", OTHER_SECRET)
    line, default = AirflowLines().find("support"), AirflowLines().find(None)
    assert line is not None
    assert default is not None
    assert (line.name, line.webhook_secrets, line.token) == ("support", (SECRET,), derived_token(SECRET))
    assert (line.api.api_key, line.api.endpoints.rest_url) == ("sk-test", "http://127.0.0.1:8099/v1")
    assert (default.name, default.webhook_secrets) == ("openai_realtime_default", (OTHER_SECRET,))


def test_each_secret_of_a_line_and_its_derived_token_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    one, other = "whsec_bW91bnRlZC1vbmU=", "whsec_bW91bnRlZC1vdGhlcg=="
    extra = {"webhook_secret": f"{one} {other}", "switchboard_token": "mounted-token-123"}
    connection(monkeypatch, "masked", password="sk-mounted-123", extra=extra)
    assert AirflowLines().find("masked") is not None
    for text in ("sk-mounted-123", "mounted-token-123", one, other, derived_token(one), derived_token(other)):
        assert redact(f"it is {text}.") == "it is ***."


def test_a_webhook_secret_of_a_wrong_form_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection(monkeypatch, "support", "my-own-secret")
    lines = AirflowLines()
    for _ in range(3):
        assert lines.find("support") is not None
    said = [record.getMessage() for record in caplog.records if "webhook_secret_unlikely" in record.getMessage()]
    assert len(said) == 1
    assert "line=support" in said[0]
    assert "whsec_ and base64" in said[0]
    assert "my-own-secret" not in caplog.text


def test_other_connections_are_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "database", conn_type="postgres")
    assert AirflowLines().find("database") is None
    assert AirflowLines().find("nothing") is None


@pytest.mark.parametrize("extra", ["[]", "{", '"x"'])
def test_an_extra_that_cannot_be_read_is_a_clear_error(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        conn_type, password, host = "openai_realtime", "sk-test", None

    odd = Odd()
    odd.extra = extra  # type: ignore[attr-defined]
    monkeypatch.setattr(mounted, "_connection", lambda _: odd)
    with pytest.raises(ConfigurationError, match="extra must be a JSON object"):
        AirflowLines().find("support")


def test_a_backend_that_fails_does_not_make_a_line_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sealed:
        def get_connection(self, conn_id: str) -> None:
            raise OSError("sealed")

    class Empty:
        def get_connection(self, conn_id: str) -> None:
            return None

    monkeypatch.setattr("airflow.configuration.ensure_secrets_loaded", lambda: [Sealed(), Empty()])
    with pytest.raises(OSError, match="sealed"):
        AirflowLines().find("support")


@pytest.mark.parametrize(
    ("airflow", "ours"),
    [
        ("sqlite:////opt/airflow/airflow.db", "sqlite:////opt/airflow/openai_realtime.db"),
        ("postgresql+asyncpg://me:secret@db/airflow", "postgresql+psycopg2://me:secret@db/airflow"),
        ("postgresql+psycopg2://me:secret@db/airflow", "postgresql+psycopg2://me:secret@db/airflow"),
    ],
)
def test_the_store_is_in_airflows_database_or_beside_it(airflow: str, ours: str) -> None:
    assert default_store_url(airflow) == ours


async def test_a_call_comes_in_and_is_claimed_through_airflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connection(monkeypatch, "support")
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{tmp_path}/calls.db")
    app = create_mounted_app()
    assert not (tmp_path / "calls.db").exists(), "nothing is opened before it serves"
    async with in_airflow(app) as transport, httpx.AsyncClient(transport=transport, base_url="http://airflow") as http:
        now = utc_now().timestamp()
        body = event_body(created_at=now)
        url = "/openai-realtime/webhook/support"
        assert (await http.post(url, content=body, headers=signed(body, at=now))).status_code == 200
        nameless = await http.post("/openai-realtime/webhook", content=body, headers=signed(body, at=now))
        assert nameless.status_code == 401
        assert (await http.get("/openai-realtime/health")).json() == {"status": "up"}
        assert (await http.get("/openai-realtime/v1/status")).status_code == 401
        client = SwitchboardClient(
            "http://airflow/openai-realtime", derived_token(SECRET), line="support", transport=transport
        )
        async with client:
            assert (await client.asend(claim_call("rtc_1", "me"))).line == "support"


async def test_signed_deliveries_are_taken_while_strangers_ask_for_lines_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, airflow_db: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{tmp_path}/calls.db")
    names = [f"line_{number}" for number in range(30)]
    for name in names:
        connection(monkeypatch, name)
    app = create_mounted_app()
    async with in_airflow(app) as transport, httpx.AsyncClient(transport=transport, base_url="http://airflow") as http:
        statuses = []
        for number, name in enumerate(names):
            strangers = (http.post(f"/openai-realtime/webhook/x{number}_{each}", content=b"{}") for each in range(25))
            await asyncio.gather(*strangers)
            now = utc_now().timestamp()
            body = event_body(number, created_at=now)
            url = f"/openai-realtime/webhook/{name}"
            statuses.append((await http.post(url, content=body, headers=signed(body, number, at=now))).status_code)
    assert statuses == [200] * len(names)


async def test_a_setting_that_cannot_be_used_does_not_keep_airflow_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", "oracle://me:secret@db/calls")
    app = create_mounted_app()
    assert "oracle is not supported" in caplog.text
    assert "secret" not in caplog.text
    async with in_airflow(app) as transport, httpx.AsyncClient(transport=transport, base_url="http://airflow") as http:
        assert (await http.post("/openai-realtime/webhook")).status_code == 503


def test_settings_come_from_airflow_s_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{tmp_path}/calls.db")
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__RING_SECONDS", "45")
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__RETENTION_DAYS", "7")
    monkeypatch.setenv("AIRFLOW__OPENAI_REALTIME__LEDGER_RETENTION_DAYS", "365")
    settings = create_mounted_app().state.switchboard.settings
    assert (settings.ring_seconds, settings.retention_days, settings.ledger_retention_days) == (45, 7, 365)
