"""Auth of the page: Airflow's user and the rights that its auth manager grants. Only the API server loads this."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import ConnectionDetails, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user
from airflow.configuration import conf
from airflow.models import Connection
from airflow.models.dag import DagModel
from fastapi import Depends

from airflow_openai_realtime.ui.access import HANG_UP, READ_CALLS, READ_TRANSCRIPTS

_DAG_RIGHTS: dict[str, tuple[str, DagAccessEntity]] = {
    READ_CALLS: ("GET", DagAccessEntity.TASK_INSTANCE),
    READ_TRANSCRIPTS: ("GET", DagAccessEntity.XCOM),
    HANG_UP: ("PUT", DagAccessEntity.TASK_INSTANCE),
}
_CONNECTION_METHODS = {READ_CALLS: "GET", READ_TRANSCRIPTS: "GET", HANG_UP: "PUT"}


class AirflowPermissions:
    """
    The rights of a user.

    :param user: Airflow's user.
    """

    def __init__(self, user: Any) -> None:
        self._user = user

    @property
    def user_name(self) -> str:
        """Name of the user in Airflow's own audit log."""
        return str(self._user.get_name())

    def dags(self, right: str, dag_ids: Collection[str]) -> set[str]:
        """
        Return the DAGs for which the user has a right; also checked for a DAG that is gone from Airflow.

        :param right: ``READ_CALLS``, ``READ_TRANSCRIPTS`` or ``HANG_UP``.
        :param dag_ids: Ids of the DAGs to check.
        """
        method, entity = _DAG_RIGHTS[right]
        teams = _teams(DagModel.get_dag_id_to_team_name_mapping, dag_ids)
        return {
            dag_id
            for dag_id in dag_ids
            if get_auth_manager().is_authorized_dag(
                method=method,
                access_entity=entity,
                details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
                user=self._user,
            )
        }

    def connections(self, right: str, conn_ids: Collection[str]) -> set[str]:
        """
        Return the connections for which the user has a right.

        :param right: ``READ_CALLS``, ``READ_TRANSCRIPTS`` or ``HANG_UP``.
        :param conn_ids: Ids of the connections to check.
        """
        teams = _teams(Connection.get_conn_id_to_team_name_mapping, conn_ids)
        return {
            conn_id
            for conn_id in conn_ids
            if get_auth_manager().is_authorized_connection(
                method=_CONNECTION_METHODS[right],
                details=ConnectionDetails(conn_id=conn_id, team_name=teams.get(conn_id)),
                user=self._user,
            )
        }


async def airflow_auth(user: Annotated[Any, Depends(get_user)]) -> AirflowPermissions:
    """
    Find Airflow's user as Airflow's own routes do: by the bearer token, or the cookie of the UI.

    :param user: Airflow's user, found by Airflow's own dependency.
    :raises HTTPException: 401 without a login, 403 with an invalid token.
    """
    return AirflowPermissions(user)


def _teams(look_up: Callable[[list[str]], dict[str, str | None]], names: Collection[str]) -> dict[str, str | None]:
    """Return the teams of DAGs or connections by name; empty when Airflow runs without teams."""
    if not names or not conf.getboolean("core", "multi_team", fallback=False):
        return {}
    return look_up(sorted(names))
