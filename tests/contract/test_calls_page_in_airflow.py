"""
The calls page behind Airflow's own login and permissions: in Airflow's own application, with its auth manager.

Airflow's roles: *viewer* reads DAGs; *user* may also change them; *op* also has connections.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.unit.switchboard.support import a_call

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.line_settings import api_settings_from_fields
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.ui import URL_PREFIX

ROLES = {"vic": "viewer", "uma": "user", "otto": "op", "ann": "admin", "nemo": None}
LINE = "openai_realtime_default"
TASK = "campaign/by-hand/talk/-1"
HEADERS = {"X-OpenAI-Realtime-Calls": "1"}


class Airflow:
    """Airflow's application in this process, with a store that has calls."""

    def __init__(self, app: Any, store: Store, simulator: Simulator) -> None:
        from starlette.testclient import TestClient

        self.app, self.store, self.simulator = app, store, simulator
        self.http = TestClient(app, follow_redirects=False)

    def token(self, name: str) -> str:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        role = ROLES[name]
        user = SimpleAuthManagerUser(username=name, role=role and role.upper())
        made: str = get_auth_manager().generate_jwt(user)
        return made

    def get(self, path: str, name: str | None = None, by: str = "cookie") -> Any:
        return self.http.get(f"{URL_PREFIX}{path}", headers=self.login(name, by))

    def hang_up(self, call_id: str, name: str | None = None) -> Any:
        body = {"conn_id": LINE, "call_id": call_id}
        return self.http.post(f"{URL_PREFIX}/api/hang-up", json=body, headers={**HEADERS, **self.login(name)})

    def login(self, name: str | None, by: str = "cookie") -> dict[str, str]:
        if name is None:
            return {}
        token = self.token(name)
        return {"Cookie": f"_token={token}"} if by == "cookie" else {"Authorization": f"Bearer {token}"}

    def ids(self, name: str) -> set[str]:
        body = self.get("/api/calls", name).json()
        assert body["notes"] == []
        return {call["call_id"] for call in body["calls"]}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def airflow_app(airflow_db: Path, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Airflow's API server as an application; made once, since that takes seconds."""
    folder = tmp_path_factory.mktemp("calls-page")
    users = ",".join(f"{name}:{role}" for name, role in ROLES.items() if role)
    connection = {
        "conn_type": "openai_realtime",
        "password": simulator.api_key,
        "host": simulator.openai_base_url,
        "extra": {
            "webhook_secret": simulator.webhook_secret,
            "switchboard_url": "http://127.0.0.1:8080/openai-realtime",
        },
    }
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", users)
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(folder / "passwords.json"))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s" * 64)
        patch.setenv("AIRFLOW__OPENAI_REALTIME__STORE_URL", f"sqlite:///{folder / 'calls.db'}")
        patch.setenv(f"AIRFLOW_CONN_{LINE.upper()}", json.dumps(connection))
        from airflow import plugins_manager
        from airflow.api_fastapi import app as module

        plugins_manager._get_plugins.cache_clear()
        plugins_manager.get_fastapi_plugins.cache_clear()
        module.purge_cached_app()
        yield module.create_app(apps="core"), folder
        module.purge_cached_app()
        plugins_manager._get_plugins.cache_clear()
        plugins_manager.get_fastapi_plugins.cache_clear()


@pytest.fixture
def airflow(airflow_app: Any, simulator: Simulator) -> Iterator[Airflow]:
    """Airflow with three live calls: a DAG's, a standing order's, and one that rings."""
    app, folder = airflow_app
    store = Store(f"sqlite:///{folder / 'calls.db'}")
    store.prepare()
    made = Airflow(app, store, simulator)
    now = datetime.now(timezone.utc)
    store.calls.add([a_call(name, line=LINE, at=now) for name in ("dag", "order", "rings")])
    for name, who in (("dag", TASK), ("order", "order:day")):
        rule = partial(moves.accepted, owner=who, now=now, default_duration_seconds=600)
        store.calls.move(LINE, f"rtc_{name}", rule, now)
    yield made
    made.http.close()
    store.close()


def test_without_a_login_nothing_is_told(airflow: Airflow) -> None:
    for path in ("/api/calls", f"/api/call?conn_id={LINE}&call_id=rtc_dag", "/assets/page.js"):
        answer = airflow.get(path)
        assert (answer.status_code, answer.json()) == (401, {"error": "Not authenticated"})
    assert airflow.hang_up("rtc_dag").status_code == 401


def test_the_page_leads_to_airflow_s_login_and_back(airflow: Airflow) -> None:
    answer = airflow.get("/")
    assert answer.status_code == 303
    login = airflow.http.get(f"{URL_PREFIX}/{answer.headers['location']}")
    assert login.status_code == 307
    assert login.headers["location"].endswith(f"/auth/login?next=%2F{URL_PREFIX[1:]}%2F")


@pytest.mark.parametrize("token", ["x", "a.b.c", ""])
def test_a_forged_token_opens_nothing(airflow: Airflow, token: str) -> None:
    for headers in ({"Cookie": f"_token={token}"}, {"Authorization": f"Bearer {token}"}):
        answer = airflow.http.get(f"{URL_PREFIX}/api/calls", headers=headers)
        assert answer.status_code in (401, 403)
        assert "rtc_" not in answer.text


@pytest.mark.parametrize("by", ["cookie", "bearer"])
def test_airflow_s_login_opens_the_page(airflow: Airflow, by: str) -> None:
    page = airflow.get("/", "vic", by)
    assert page.headers["content-type"].startswith("text/html")
    assert airflow.get("/api/calls", "vic", by).status_code == 200


def test_a_user_without_a_role_sees_nothing(airflow: Airflow) -> None:
    assert airflow.ids("nemo") == set()
    assert airflow.get(f"/api/call?conn_id={LINE}&call_id=rtc_dag", "nemo").status_code == 404
    assert airflow.hang_up("rtc_dag", "nemo").status_code == 404


def test_a_viewer_sees_calls_of_dags_and_cannot_hang_up(airflow: Airflow) -> None:
    assert airflow.ids("vic") == {"rtc_dag"}
    assert airflow.hang_up("rtc_dag", "vic").status_code == 403
    assert airflow.hang_up("rtc_order", "vic").status_code == 404
    assert airflow.store.calls.find(LINE, "rtc_dag").state == "accepted"


def test_calls_of_no_dag_are_seen_by_those_who_may_read_the_connection(airflow: Airflow) -> None:
    assert airflow.ids("uma") == {"rtc_dag"}
    assert airflow.ids("otto") == {"rtc_dag", "rtc_order", "rtc_rings"}


def test_the_page_is_in_airflow_s_navigation(airflow: Airflow) -> None:
    answer = airflow.http.get("/api/v2/plugins", headers=airflow.login("ann", "bearer"))
    (plugin,) = [each for each in answer.json()["plugins"] if each["name"] == "openai_realtime"]
    (view,) = plugin["external_views"]
    assert (view["name"], view["destination"]) == ("Calls", "nav")
    assert airflow.http.get(view["href"], headers=airflow.login("vic")).status_code == 200
    for icon in (view["icon"], view["icon_dark_mode"]):
        assert airflow.http.get(icon, headers=airflow.login("vic")).headers["content-type"].startswith("image/svg")


def test_a_user_who_may_change_the_dag_hangs_up_and_airflow_s_audit_log_says_so(airflow: Airflow) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    call_id = airflow.simulator.call_in("+14155550123", "+14155550199")
    settings = api_settings_from_fields(
        password=airflow.simulator.api_key, host=airflow.simulator.openai_base_url, extra={}
    )
    with CallsClient(settings) as openai:
        openai.send(accept_call(call_id, {"instructions": "Hello"}))
    now = datetime.now(timezone.utc)
    airflow.store.calls.add([a_call("real", line=LINE, at=now, call_id=call_id)])
    rule = partial(moves.accepted, owner=TASK, now=now, default_duration_seconds=600)
    airflow.store.calls.move(LINE, call_id, rule, now)
    answer = airflow.hang_up(call_id, "uma")
    assert (answer.status_code, answer.json()) == (200, {"gone": False})
    assert airflow.simulator.log.call(call_id=call_id).ended_by == "api_hangup"
    stored = airflow.store.calls.find(LINE, call_id)
    assert (stored.state, stored.end_reason) == ("ended", "hung_up")
    with create_session() as session:
        (entry,) = session.scalars(select(Log).where(Log.event == "hang_up_call"))
        assert (entry.owner, entry.dag_id, entry.run_id, entry.task_id) == ("uma", "campaign", "by-hand", "talk")
        assert json.loads(entry.extra) == {"conn_id": LINE, "call_id": call_id}
