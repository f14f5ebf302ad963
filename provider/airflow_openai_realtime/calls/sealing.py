"""
What travels in a trigger's arguments, sealed: only who has the connection's API key can read it.

Airflow keeps a trigger's arguments: encrypted in its database when it has a key for that, and up to Airflow 3.2 its
REST API shows them to everybody who may read task instances.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from airflow_openai_realtime.exceptions import ConfigurationError

_LABEL = b"airflow-provider-openai-realtime answer plan v1"


def seal(value: Mapping[str, Any], api_key: str) -> str:
    """
    Write a value as text that tells nothing to who has not the key.

    :param value: Of JSON values.
    :param api_key: The API key of the connection.
    """
    sealed: str = _fernet(api_key).encrypt(json.dumps(value).encode()).decode()
    return sealed


def unseal(sealed: str, api_key: str, *, what: str) -> dict[str, Any]:
    """
    Read what :func:`seal` wrote.

    :param sealed: The text.
    :param api_key: The same API key.
    :param what: What it is, for the message.
    :raises ConfigurationError: It was sealed with another key, or changed.
    """
    from cryptography.fernet import InvalidToken

    try:
        value: dict[str, Any] = json.loads(_fernet(api_key).decrypt(sealed.encode()))
    except InvalidToken:
        raise ConfigurationError(
            f"{what} cannot be read: the API key of the connection has changed since the task began to wait. Let the "
            "task start again"
        ) from None
    return value


def _fernet(api_key: str) -> Any:
    from cryptography.fernet import Fernet  # loaded on first use

    digest = hmac.new(api_key.encode(), _LABEL, hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
