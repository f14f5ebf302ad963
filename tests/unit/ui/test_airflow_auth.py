"""What a user may see and do on the page is what Airflow's auth manager says, asked in Airflow's words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_openai_realtime.ui import airflow_auth
from airflow_openai_realtime.ui.access import HANG_UP, READ_CALLS, READ_TRANSCRIPTS
from airflow_openai_realtime.ui.airflow_auth import AirflowPermissions

USER: Any = SimpleNamespace(get_name=lambda: "ann")


class Manager:
    """An auth manager that lets users do what a test says, and notes what it was asked."""

    def __init__(self, *may: str) -> None:
        self._may = may
        self.asked: list[tuple[Any, ...]] = []

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        assert user is USER
        self.asked.append((method, access_entity.name, details.id, details.team_name))
        return details.id in self._may

    def is_authorized_connection(self, *, method: str, details: Any, user: Any) -> bool:
        assert user is USER
        self.asked.append((method, details.conn_id, details.team_name))
        return details.conn_id in self._may


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    manager = Manager("campaign", "line_a")
    monkeypatch.setattr(airflow_auth, "get_auth_manager", lambda: manager)
    with_teams(monkeypatch, False)
    return manager


def with_teams(patch: pytest.MonkeyPatch, has_teams: bool) -> None:
    conf = SimpleNamespace(getboolean=lambda section, key, fallback: has_teams)
    patch.setattr(airflow_auth, "conf", conf)


@pytest.mark.parametrize(
    ("right", "method", "entity"),
    [
        (READ_CALLS, "GET", "TASK_INSTANCE"),
        (READ_TRANSCRIPTS, "GET", "XCOM"),
        (HANG_UP, "PUT", "TASK_INSTANCE"),
    ],
)
def test_each_right_is_one_of_airflows(manager: Manager, right: str, method: str, entity: str) -> None:
    permissions = AirflowPermissions(USER)
    assert permissions.dags(right, ["campaign", "other"]) == {"campaign"}
    assert permissions.connections(right, ["line_a", "line_b"]) == {"line_a"}
    assert manager.asked == [
        (method, entity, "campaign", None),
        (method, entity, "other", None),
        (method, "line_a", None),
        (method, "line_b", None),
    ]


def test_nothing_is_asked_about_nothing(manager: Manager) -> None:
    permissions = AirflowPermissions(USER)
    assert (permissions.dags(READ_CALLS, ()), permissions.connections(READ_CALLS, ())) == (set(), set())
    assert manager.asked == []


def test_in_an_airflow_with_teams_the_team_is_told(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    with_teams(monkeypatch, True)
    dags = SimpleNamespace(get_dag_id_to_team_name_mapping=lambda ids: dict.fromkeys(ids, "sales"))
    connections = SimpleNamespace(get_conn_id_to_team_name_mapping=lambda ids: {"line_a": "support"})
    monkeypatch.setattr(airflow_auth, "DagModel", dags)
    monkeypatch.setattr(airflow_auth, "Connection", connections)
    permissions = AirflowPermissions(USER)
    permissions.dags(READ_CALLS, ["campaign"])
    permissions.connections(READ_CALLS, ["line_a", "line_b"])
    assert [asked[-1] for asked in manager.asked] == ["sales", "support", None]


def test_a_right_that_there_is_not_is_an_error(manager: Manager) -> None:
    with pytest.raises(KeyError):
        AirflowPermissions(USER).dags("own", ["campaign"])


async def test_the_auth_of_the_page_is_airflows_user(manager: Manager) -> None:
    assert (await airflow_auth.airflow_auth(USER)).user_name == "ann"
