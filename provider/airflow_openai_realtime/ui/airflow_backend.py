"""Connections, hanging up and Airflow's audit log, as the page needs them. Only the API server loads this."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable

from airflow.configuration import conf
from airflow.models.log import Log
from airflow.utils.session import create_session

from airflow_openai_realtime.api.call_requests import hang_up_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls.line_settings import (
    SwitchboardAddress,
    api_settings_from_fields,
    switchboard_address_from_fields,
)
from airflow_openai_realtime.exceptions import ConfigurationError, OpenAIRealtimeError
from airflow_openai_realtime.switchboard import MOUNTED_AT
from airflow_openai_realtime.switchboard.mounted import CONN_TYPE, connection_ids, find_fields
from airflow_openai_realtime.switchboard.server.process import logs
from airflow_openai_realtime.ui.directory import Missing, Remembered
from airflow_openai_realtime.ui.owners import OwningTask
from airflow_openai_realtime.ui.sources import ClientSource

log = logging.getLogger(__name__)

CACHE_SECONDS = 15.0
EVENT = "hang_up_call"
"""What Airflow's audit log calls it."""


class AirflowBackend:
    """What the page does, with Airflow's connections and for its audit log."""

    def hang_up(self, conn_id: str, call_id: str) -> bool:
        """
        End a call with the connection's key.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :returns: Whether it was over already.
        :raises ConfigurationError: There is no such connection, or it cannot be used.
        :raises CallError: OpenAI did not do it.
        """
        found = find_fields(conn_id)
        if found is None:
            raise ConfigurationError(f"there is no connection {conn_id} of type {CONN_TYPE} any more")
        settings = api_settings_from_fields(password=found.password, host=found.host, extra=found.extra)
        with CallsClient(settings) as client:
            result = client.send(hang_up_call(call_id))
        return result.gone and not result.maybe_by_us

    def note(self, user_name: str, task: OwningTask | None, conn_id: str, call_id: str) -> None:
        """
        Write to Airflow's audit log, where it shows with the DAG; a failure is logged, and no more.

        :param user_name: Name of the user.
        :param task: The task that the call belongs to; ``None`` when it is no task's.
        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        """
        log.info(logs.line("calls_page.hang_up", user=user_name, conn_id=conn_id, call_id=call_id))
        whose = task.to_dict() if task is not None else {}
        extra = json.dumps({"conn_id": conn_id, "call_id": call_id})
        try:
            with create_session() as session:
                session.add(Log(event=EVENT, owner=user_name, owner_display_name=user_name, extra=extra, **whose))
        except Exception:
            log.exception("calls_page.audit_failed")


class StandaloneLines:
    """
    The lines of standalone switchboards that Airflow knows: connections whose ``switchboard_url`` is elsewhere.

    Connections in Airflow's database and in environment variables are found; those in a secrets backend cannot be
    listed, and are named by ``[openai_realtime] calls_page_connections``.

    :param now: A clock that never goes back, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._found: Remembered[list[ClientSource]] = Remembered(now, CACHE_SECONDS)

    def __call__(self) -> list[ClientSource]:
        """The lines; looked up again from time to time, by one thread while the others use those of before."""
        found = self._found.get(lambda: standalone_lines(connection_ids()))
        return [] if isinstance(found, Missing) else found


def shared_secret() -> bytes | None:
    """What all API servers of this Airflow share, since a login at one is valid at the others."""
    for section, option in (("api_auth", "jwt_secret"), ("core", "fernet_key"), ("api", "secret_key")):
        secret = conf.get(section, option, fallback="")
        if secret:
            return str(secret).encode()
    return None


def standalone_lines(conn_ids: Iterable[str]) -> list[ClientSource]:
    """
    The standalone lines among connections; each line once, and what cannot be used is logged and left out.

    :param conn_ids: Ids of connections.
    """
    lines: dict[tuple[str, str], ClientSource] = {}
    for conn_id in conn_ids:
        try:
            address = _address_of(conn_id)
        except OpenAIRealtimeError as error:
            log.warning(logs.line("calls_page.connection_unusable", conn_id=conn_id, error=error))
            continue
        except Exception as error:
            # A secrets backend may raise anything; its text may hold what is secret.
            log.warning(logs.line("calls_page.connection_unreadable", conn_id=conn_id, kind=type(error).__name__))
            continue
        if address is not None:
            lines.setdefault((address.url, address.line), ClientSource(conn_id, address))
    return list(lines.values())


def _address_of(conn_id: str) -> SwitchboardAddress | None:
    found = find_fields(conn_id)
    if found is None or not str(found.extra.get("switchboard_url") or "").strip():
        return None
    address = switchboard_address_from_fields(conn_id, found.extra)
    is_mounted = address.url.rstrip("/").endswith(MOUNTED_AT)
    return None if is_mounted else address
