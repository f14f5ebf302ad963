"""
The switchboard inside Airflow's API server: lines are connections of type ``openai_realtime``, and the store is in or
beside Airflow's database.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from airflow_openai_realtime.api.webhooks import webhook_secret_problem
from airflow_openai_realtime.calls.line_settings import line_from_fields, secrets_from_fields
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.calls.task_states import TaskReference, TaskState
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard import MOUNTED_AT
from airflow_openai_realtime.switchboard.doctor import ExaminedAirflow, ExaminedLine
from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.switchboard.server.process.out_of_order import out_of_order
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.schema.database import store_url
from airflow_openai_realtime.switchboard.server.switchboard_settings import CONFIGURABLE, SwitchboardSettings

log = logging.getLogger(__name__)

SECTION = "openai_realtime"
CONN_TYPE = "openai_realtime"
DEFAULT_CONN_ID = "openai_realtime_default"
STORE_FILE = "openai_realtime.db"
CONNECTIONS_OPTION = "calls_page_connections"
MOST_WARNED = 1000  # a name in the environment is found in many spellings, and requests may try them all
_ENV_PREFIX = "AIRFLOW_CONN_"


def create_mounted_app() -> FastAPI:
    """
    The application that the plugin mounts.

    Opens nothing, so that it can also be made where nothing is served. With a setting that cannot be used, the
    application answers 503 to everything and the log says why: it must not keep Airflow's API server from starting.
    """
    from airflow.configuration import conf

    try:
        defaults = SwitchboardSettings()
        settings = replace(
            defaults,
            **{name: conf.getfloat(SECTION, name, fallback=getattr(defaults, name)) for name in CONFIGURABLE},
        )
        store = Store(configured_store_url(), threads=settings.store_threads)
    except Exception as problem:
        # No traceback: an error about the store's address may hold its password.
        log.error(logs.line("switchboard.unusable", kind=type(problem).__name__, error=problem))
        return out_of_order()
    return create_app(store, AirflowLines(), settings=settings, task_states=task_state, leave_result=leave_result)


def task_state(task: TaskReference) -> TaskState:
    """
    How a task is by Airflow's database; from a thread of the API server.

    :param task: One try of a task instance.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.id, TaskInstance.state).where(
        TaskInstance.dag_id == task.dag_id,
        TaskInstance.run_id == task.run_id,
        TaskInstance.task_id == task.task_id,
        TaskInstance.map_index == task.map_index,
    )
    with create_session() as session:
        row = session.execute(query).one_or_none()
    if row is None:
        return TaskState(exists=False)
    state = None if row.state is None else str(getattr(row.state, "value", row.state))
    return TaskState(exists=True, state=state, is_same_try=task.try_id in (None, str(row.id)))


def leave_result(task: TaskReference, result: Mapping[str, Any]) -> None:
    """
    Leave a result in XCom where a task would have returned it, unless something is there; from a thread.

    :param task: A task that Airflow does not run any more.
    :param result: Of JSON values.
    """
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    where = {"dag_id": task.dag_id, "run_id": task.run_id, "task_id": task.task_id, "map_index": task.map_index}
    is_there = select(XComModel.key).where(XComModel.key == "return_value").filter_by(**where)
    with create_session() as session:
        if session.execute(is_there).first() is None:
            XComModel.set("return_value", dict(result), serialize=False, session=session, **where)


def configured_store_url() -> str:
    """
    Where the mounted switchboard keeps its calls.

    :raises ConfigurationError: Nothing is set, and Airflow's own database is not supported.
    """
    from airflow.configuration import conf

    given = conf.get(SECTION, "store_url", fallback=None)
    return given or default_store_url(conf.get("database", "sql_alchemy_conn"))


def default_store_url(airflow_url: str) -> str:
    """
    Where calls are kept when nothing is set: in Airflow's own database, but beside an SQLite one.

    :param airflow_url: ``[database] sql_alchemy_conn``.
    :raises ConfigurationError: It is of a database that is not supported.
    """
    url = store_url(airflow_url)
    if url.get_backend_name() == "sqlite":
        # Airflow writes to its own file often, and SQLite has one writer.
        return f"sqlite:///{Path(str(url.database)).with_name(STORE_FILE)}"
    return url.render_as_string(hide_password=False)


class AirflowLines:
    """Connections of type ``openai_realtime`` as lines; asks Airflow's secrets backends and database each time."""

    is_in_memory = False

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def listed_names(self) -> list[str]:
        """Ids of all connections that may be lines; see :func:`connection_ids`."""
        return connection_ids()

    def find(self, name: str | None) -> Line | None:
        """
        The connection with this id, or the default one.

        :param name: Id of a connection; ``None`` for the default one.
        :raises ConfigurationError: It lacks a field or has one that cannot be used.
        """
        connection_id = name or DEFAULT_CONN_ID
        found = find_fields(connection_id)
        if found is None:
            return None
        line = line_from_fields(connection_id, found.password, found.host, found.extra)
        self._warn_of_secrets(line)
        return line

    def _warn_of_secrets(self, line: Line) -> None:
        """Log once for each connection that a secret cannot be one of OpenAI's: its deliveries would be refused."""
        problem = next(filter(None, map(webhook_secret_problem, line.webhook_secrets)), None)
        if problem is None:
            self._warned.discard(line.name)
        elif line.name not in self._warned and len(self._warned) < MOST_WARNED:
            self._warned.add(line.name)
            log.warning(logs.line("line.webhook_secret_unlikely", line=line.name, problem=problem))


def connection_ids() -> list[str]:
    """
    Ids of all connections that may be of our type: those in Airflow's database and in environment variables, and those
    that ``[openai_realtime] calls_page_connections`` names, since a secrets backend cannot be listed.
    """
    from airflow.configuration import conf
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        stored = session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)).all()
    in_environment = [name[len(_ENV_PREFIX) :].lower() for name in os.environ if name.startswith(_ENV_PREFIX)]
    named = conf.get(SECTION, CONNECTIONS_OPTION, fallback="").split(",")
    return sorted({DEFAULT_CONN_ID, *stored, *in_environment, *(name.strip() for name in named if name.strip())})


def examined_airflow(conn_ids: Sequence[str] | None = None) -> ExaminedAirflow:
    """
    What the doctor looks at.

    :param conn_ids: These connections; ``None``: all whose ``switchboard_url`` is that of a mounted switchboard.
    """
    from airflow import settings

    settings.initialize()
    lines = [_examined(conn_id, is_named=bool(conn_ids)) for conn_id in conn_ids or connection_ids()]
    return ExaminedAirflow(tuple(filter(None, lines)), configured_store_url)


def _examined(conn_id: str, *, is_named: bool) -> ExaminedLine | None:
    try:
        found = find_fields(conn_id)
        if found is None:
            missing = f"there is no connection {conn_id} of type {CONN_TYPE}"
            return ExaminedLine(conn_id, None, problem=missing) if is_named else None
        url = str(found.extra.get("switchboard_url") or "").strip().rstrip("/")
        if not is_named and not url.endswith(MOUNTED_AT):
            return None
        return ExaminedLine(conn_id, line_from_fields(conn_id, found.password, found.host, found.extra), url)
    except ConfigurationError as error:
        return ExaminedLine(conn_id, None, problem=str(error))


@dataclass(frozen=True)
class LineFields:
    """
    The fields of a connection of type ``openai_realtime``; ``repr`` shows none.

    :param password: The API key; a secret.
    :param host: The base URL.
    :param extra: Extra fields; some are secrets.
    """

    password: str | None = field(repr=False)
    host: str | None = field(repr=False)
    extra: dict[str, Any] = field(repr=False)


def find_fields(connection_id: str) -> LineFields | None:
    """
    The connection with this id, from a thread of the API server; its secrets are kept out of all logs from now on.

    :param connection_id: Id of the connection.
    :returns: None when there is none, or it is of another type.
    :raises ConfigurationError: Its extra is no JSON object.
    """
    connection = _connection(connection_id)
    if connection is None or connection.conn_type != CONN_TYPE:
        return None
    extra = _extra(connection_id, connection.extra)
    _keep_out_of_logs(connection.password, extra)
    return LineFields(connection.password, connection.host, extra)


def _connection(connection_id: str) -> Any:
    """
    A connection, or None when no backend has it.

    Airflow's own ``Connection.get`` calls it missing, too, when a backend fails; that must not look like a line that
    was deleted, so the backends are asked one by one.
    """
    from airflow.configuration import ensure_secrets_loaded

    failure: Exception | None = None
    for backend in ensure_secrets_loaded():
        try:
            connection = backend.get_connection(connection_id)
        except Exception as problem:
            failure = problem
            continue
        if connection is not None:
            return connection
    if failure is not None:
        raise failure
    return None


def _extra(connection_id: str, text: str | None) -> dict[str, Any]:
    try:
        extra = json.loads(text) if text else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise ConfigurationError(f"connection {connection_id}: extra must be a JSON object")
    return extra


def _keep_out_of_logs(password: str | None, extra: dict[str, Any]) -> None:
    from airflow.sdk.log import mask_secret

    for secret in secrets_from_fields(password, extra):
        mask_secret(secret)
