"""The fields of an Airflow connection that the hooks read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
