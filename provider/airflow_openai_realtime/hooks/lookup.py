"""Looking up Airflow connections, in tasks and in triggers, and hiding what is secret in them from all logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.version_compat import async_connections_are_safe


@dataclass(frozen=True)
class ConnectionFields:
    """The fields of an Airflow connection; ``repr`` shows none that may be secret."""

    connection_id: str
    login: str | None
    password: str | None = field(repr=False)
    host: str | None
    extra: Mapping[str, Any] = field(repr=False)


def find_connection(connection_id: str, conn_type: str) -> ConnectionFields:
    """
    Look up a connection, from synchronous code.

    :param connection_id: Its id.
    :param conn_type: The type it should have, for the message when it is missing.
    :raises ConfigurationError: There is none, or its extra is no JSON object.
    """
    try:
        connection = BaseHook.get_connection(_checked(connection_id, conn_type))
    except AirflowNotFoundException as error:
        raise _missing(connection_id, conn_type) from error
    return _fields(connection, connection_id)


async def find_connection_async(connection_id: str, conn_type: str) -> ConnectionFields:
    """
    Look up a connection, from within an event loop; see :func:`find_connection`.

    Before Airflow 3.3.2 the look-up of the event loop can stall a triggerer, so a thread makes it there.
    """
    if not async_connections_are_safe():
        return await asyncio.to_thread(find_connection, connection_id, conn_type)
    try:
        connection = await BaseHook.aget_connection(_checked(connection_id, conn_type))
    except AirflowNotFoundException as error:
        raise _missing(connection_id, conn_type) from error
    return _fields(connection, connection_id)


def hide(*secrets: str) -> None:
    """Keep these texts out of all logs and rendered templates of this process."""
    for secret in secrets:
        if secret:
            mask_secret(secret)


async def hide_async(*secrets: str) -> None:
    """Keep these texts out of all logs, from within an event loop; see :func:`hide`."""
    if not async_connections_are_safe():
        await asyncio.to_thread(hide, *secrets)
        return
    from airflow.sdk.log import amask_secret

    for secret in secrets:
        if secret:
            await amask_secret(secret)


def _checked(connection_id: object, conn_type: str) -> str:
    if not isinstance(connection_id, str) or not connection_id.strip():
        raise ConfigurationError(f"{conn_type}_conn_id is empty; give the id of a connection of type {conn_type}")
    return connection_id


def _missing(connection_id: str, conn_type: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is no connection {connection_id}; make one of type {conn_type}, in Airflow's UI under Admin > "
        f"Connections or as AIRFLOW_CONN_{connection_id.upper()}"
    )


def _fields(connection: Any, connection_id: str) -> ConnectionFields:
    # Read here and not by Connection.extra_dejson, which masks in a way that is not safe in every event loop, and which
    # takes an extra that is no JSON for an empty one.
    try:
        extra = json.loads(connection.extra) if connection.extra else {}
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise ConfigurationError(f"connection {connection_id}: extra must be a JSON object")
    return ConnectionFields(
        connection_id=connection_id,
        login=connection.login,
        password=connection.password,
        host=connection.host,
        extra=extra,
    )
