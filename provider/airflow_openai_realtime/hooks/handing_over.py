"""
Connections that a task passes to its trigger, so that the trigger has them when a phone rings.

A trigger gets a connection from Airflow's database through the triggerer's supervisor process. That process serves one
request after the other, and builds Airflow's API on the first one, inside the loop that hands out triggers: 8 s on two
idle cores (Airflow 3.3.2, observed 2026-11-30). The task has the connections anyway, so it encrypts them with a key
that both processes have: Airflow's Fernet key, or its JWT secret where that key is empty, as in Airflow's
docker-compose file. Without a common key the trigger looks the connections up itself.
"""

from __future__ import annotations

from dataclasses import asdict

from airflow.sdk.configuration import conf

from airflow_openai_realtime.calls.sealing import seal, unseal
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.hooks.connection_fields import ConnectionFields


def hand_over(*connections: ConnectionFields) -> str | None:
    """
    Encrypt connections for a trigger's arguments.

    :param connections: Connections that the task has looked up.
    :return: Text that is unreadable without Airflow's Fernet key or JWT secret; ``None`` when both are empty.
    """
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
