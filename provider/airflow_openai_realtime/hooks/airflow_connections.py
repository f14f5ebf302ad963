"""
Airflow connections: look them up in tasks and in triggers, hand them over to triggers, hide their secrets from logs.

Look-ups and hidden secrets of triggers are cached for a moment: a triggerer that takes over 500 waiting tasks starts
them all at once, and each message to its supervisor process costs that process some ten milliseconds.

A trigger gets a connection from Airflow's database through the triggerer's supervisor process. That process serves one
request after the other, and builds Airflow's API on the first one, inside the loop that hands out triggers: 8 s on two
idle cores (Airflow 3.3.2, observed 2026-11-30). The task has the connections anyway, so it encrypts them with a key
that both processes have: Airflow's Fernet key, or its JWT secret where that key is empty, as in Airflow's
docker-compose file. Without a common key the trigger looks the connections up itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.version_compat import async_connections_are_safe, mask_in_this_process

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.line_settings import ConnectionSettings

SHARED_SECONDS = 5.0
"""Seconds for which a look-up is reused for the same connection in the same event loop."""


@dataclass(frozen=True)
class ConnectionFields:
    """
    The fields of an Airflow connection; ``repr`` leaves out those that may be secret.

    :param connection_id: Id of the connection.
    :param login: Field *Login*.
    :param password: Field *Password*; a secret.
    :param host: Field *Host*.
    :param extra: Extra fields; some are secrets.
    """

    connection_id: str
    login: str | None
    password: str | None = field(repr=False)
    host: str | None
    extra: Mapping[str, Any] = field(repr=False)


@dataclass
class _LookUp:
    """The last look-up of a connection; requests that come while it runs wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float = float("-inf")
    found: ConnectionFields | None = None


@dataclass
class _Memory:
    """The cache of one event loop."""

    look_ups: dict[str, _LookUp] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)


#: Messages under way to the triggerer's supervisor process; an event loop holds only weak references to tasks.
_telling: set[asyncio.Task[None]] = set()
_MEMORIES: WeakKeyDictionary[asyncio.AbstractEventLoop, _Memory] = WeakKeyDictionary()


def find_connection(connection_id: str, conn_type: str) -> ConnectionFields:
    """
    Look up a connection, from synchronous code.

    :param connection_id: Id of the connection.
    :param conn_type: Its type, for the message when it is missing.
    :raises ConfigurationError: It does not exist, its extra is not a JSON object, or Airflow cannot read its URI.
    """
    try:
        connection = BaseHook.get_connection(_checked(connection_id, conn_type))
    except AirflowNotFoundException as error:
        raise _missing(connection_id, conn_type) from error
    return _fields(connection, connection_id, conn_type)


async def find_connection_async(connection_id: str, conn_type: str, connections: str | None = None) -> ConnectionFields:
    """
    Look up a connection, from within an event loop; see :func:`find_connection`.

    A look-up by another trigger within the last :data:`SHARED_SECONDS` is reused.

    :param connection_id: Id of the connection.
    :param conn_type: Its type, for the message when it is missing.
    :param connections: Connections that the task has handed over, encrypted; one among them is not looked up.
    :raises ConfigurationError: It does not exist, or its extra is not a JSON object.
    """
    _checked(connection_id, conn_type)
    known = handed_over(connections, connection_id)
    if known is not None:
        return known
    look_up = _memory().look_ups.setdefault(connection_id, _LookUp())
    async with look_up.lock:
        now = asyncio.get_running_loop().time()
        if look_up.found is None or now - look_up.at >= SHARED_SECONDS:
            look_up.found = None
            look_up.found, look_up.at = await _find_connection_async(connection_id, conn_type), now
        return look_up.found


async def _find_connection_async(connection_id: str, conn_type: str) -> ConnectionFields:
    """Look up without the cache. Before Airflow 3.3.2 an async look-up can stall a triggerer, so a thread is used."""
    if not async_connections_are_safe():
        return await asyncio.to_thread(find_connection, connection_id, conn_type)
    try:
        connection = await BaseHook.aget_connection(_checked(connection_id, conn_type))
    except AirflowNotFoundException as error:
        raise _missing(connection_id, conn_type) from error
    return _fields(connection, connection_id, conn_type)


def find_line(connection_id: str, conn_type: str) -> tuple[ConnectionFields, ConnectionSettings]:
    """
    Look up the connection of a line, read it, and hide its secrets, from synchronous code.

    :param connection_id: As for :func:`find_connection`.
    :param conn_type: As for :func:`find_connection`.
    :raises ConfigurationError: See :func:`find_connection`.
    """
    from airflow_openai_realtime.calls.line_settings import read_connection

    fields = find_connection(connection_id, conn_type)
    settings = read_connection(fields.connection_id, fields.password, fields.host, fields.extra)
    hide(*settings.secrets)
    return fields, settings


async def find_line_async(
    connection_id: str, conn_type: str, connections: str | None = None
) -> tuple[ConnectionFields, ConnectionSettings]:
    """
    Look up the connection of a line, read it, and hide its secrets, from within an event loop.

    :param connection_id: As for :func:`find_connection`.
    :param conn_type: As for :func:`find_connection`.
    :param connections: As for :func:`find_connection_async`.
    :raises ConfigurationError: See :func:`find_connection`.
    """
    from airflow_openai_realtime.calls.line_settings import read_connection

    fields = await find_connection_async(connection_id, conn_type, connections)
    settings = read_connection(fields.connection_id, fields.password, fields.host, fields.extra)
    await hide_async(*settings.secrets)
    return fields, settings


def hand_over(*connections: ConnectionFields) -> str | None:
    """
    Encrypt connections for a trigger's arguments.

    :param connections: Connections that the task has looked up.
    :return: Text that is unreadable without Airflow's Fernet key or JWT secret; ``None`` when both are empty.
    """
    from airflow_openai_realtime.calls.sealing import seal

    keys = _keys()
    if not keys:
        return None
    return seal({each.connection_id: asdict(each) for each in connections}, keys[0])


def handed_over(sealed: str | None, connection_id: str) -> ConnectionFields | None:
    """
    Return a connection that was handed over.

    :param sealed: Text from :func:`hand_over`.
    :param connection_id: Id of the connection.
    :return: ``None`` when it is not among them, or when this process has other keys.
    """
    from airflow_openai_realtime.calls.sealing import unseal

    for key in _keys() if sealed else ():
        try:
            found = unseal(str(sealed), key, what="the connections of the task").get(connection_id)
        except ConfigurationError:
            continue
        return None if found is None else ConnectionFields(**found)
    return None


def _keys() -> list[str]:
    """Return Airflow's Fernet keys, newest first, and its JWT secret, which Airflow generates if none is set."""
    keys = conf.get("core", "fernet_key", fallback="").split(",")
    return [key.strip() for key in (*keys, conf.get("api_auth", "jwt_secret", fallback="")) if key.strip()]


def hide(*secrets: str) -> None:
    """
    Keep these texts out of all logs and rendered templates of this process.

    :param secrets: Texts to hide; empty ones are ignored.
    """
    for secret in secrets:
        if secret:
            mask_secret(secret)


async def hide_async(*secrets: str) -> None:
    """
    Keep these texts out of all logs, from within an event loop; see :func:`hide`.

    The triggerer's supervisor process gets them in the background: it may be busy for seconds while a phone rings.

    :param secrets: Texts to hide; empty ones are ignored.
    """
    hidden = _memory().hidden
    new = [secret for secret in secrets if secret and secret not in hidden]
    hidden.update(new)
    if not new:
        return
    if not async_connections_are_safe():
        mask_in_this_process(*new)
        _start(asyncio.to_thread(hide, *new))
    else:
        from airflow.sdk.log import amask_secret

        for secret in new:
            _start(amask_secret(secret))
    # Each begins by hiding the text in this process.
    await asyncio.sleep(0)


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    _telling.add(task)
    task.add_done_callback(_telling.discard)


def _memory() -> _Memory:
    return _MEMORIES.setdefault(asyncio.get_running_loop(), _Memory())


def _checked(connection_id: object, conn_type: str) -> str:
    if not isinstance(connection_id, str) or not connection_id.strip():
        raise ConfigurationError(f"{conn_type}_conn_id is empty; give the id of a connection of type {conn_type}")
    return connection_id


def _missing(connection_id: str, conn_type: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is no connection {connection_id}; create one of type {conn_type}, in Airflow's UI under Admin > "
        f"Connections or as AIRFLOW_CONN_{connection_id.upper()}"
    )


def _fields(connection: Any, connection_id: str, conn_type: str) -> ConnectionFields:
    if not (connection.conn_type or connection.login or connection.password or connection.host):
        # Airflow reads only the extra of a URI whose scheme has an underscore (3.2.2 and 3.3.2, observed 2026-11-30):
        # RFC 3986 does not allow it in a scheme.
        raise ConfigurationError(
            f"connection {connection_id} has no type, key or host. If it is a URI, its scheme may have no underscore: "
            f"write {conn_type.replace('_', '-')}://, or give the connection as JSON"
        )
    # Not Connection.extra_dejson: it masks in a way that is not safe in every event loop, and takes an extra that is
    # not JSON for an empty one.
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


def is_test_id(connection_id: str) -> bool:
    """
    Tell whether an id may be the random one that Airflow gives to a connection while its *Test* button runs.

    :param connection_id: Id of a connection.

    Source: ``airflow.utils.strings.get_random_string`` of Airflow 3.2 and 3.3: eight letters and digits.
    """
    return len(connection_id) == _TEST_ID_LENGTH and connection_id.isascii() and connection_id.isalnum()


def without_test_id(message: str, connection_id: str) -> str:
    """
    Remove Airflow's random id, which users have never seen, from a message; other ids stay.

    :param message: Text for a user.
    :param connection_id: Id of the connection that it is about.
    """
    if not is_test_id(connection_id):
        return message
    return message.replace(f"connection {connection_id}: ", "").replace(connection_id, "…")


_TEST_ID_LENGTH = 8
