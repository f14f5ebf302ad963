"""
Connections that a task hands over to its trigger, so that the trigger has them when a phone rings.

A connection that is kept in Airflow's database reaches a trigger through the triggerer's other process. That one is
asked in turn with everything else, and builds Airflow's API when it is first asked, inside the loop that hands out
triggers: 8 s on two idle cores (Airflow 3.3.2, observed 2026-11-30). So the task, which has the connections anyway,
seals them with a key that both processes have: Airflow's Fernet key, or, where that is empty as in Airflow's
docker-compose file, its JWT secret. Without a common key the trigger looks the connections up itself.
"""

from __future__ import annotations

from dataclasses import asdict

from airflow.sdk.configuration import conf

from airflow_openai_realtime.calls.sealing import seal, unseal
from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.hooks.connection_fields import ConnectionFields


def hand_over(*connections: ConnectionFields) -> str | None:
    """
    Seal connections for a trigger's arguments.

    :param connections: What the task has looked up.
    :return: Text that is unreadable without Airflow's Fernet key or JWT secret; ``None`` when both are empty.
    """
    keys = _keys()
    if not keys:
        return None
    return seal({each.connection_id: asdict(each) for each in connections}, keys[0])


def handed_over(sealed: str | None, connection_id: str) -> ConnectionFields | None:
    """
    Return a connection that was handed over.

    :param sealed: What :func:`hand_over` returned.
    :param connection_id: Which one.
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
    """Return Airflow's Fernet keys, the newest first, and its JWT secret, which Airflow makes up where none is set."""
    keys = conf.get("core", "fernet_key", fallback="").split(",")
    return [key.strip() for key in (*keys, conf.get("api_auth", "jwt_secret", fallback="")) if key.strip()]
