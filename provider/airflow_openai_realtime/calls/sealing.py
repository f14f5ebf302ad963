"""
Encrypt values in a trigger's arguments with the API key of the connection.

Airflow stores a trigger's arguments: encrypted in its database if a Fernet key is set. Up to Airflow 3.2 its REST API
shows them to all users who may read task instances.
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
    Encrypt a value; the text is unreadable without the key.

    :param value: JSON object.
    :param api_key: The API key of the connection.
    """
    sealed: str = _fernet(api_key).encrypt(json.dumps(value).encode()).decode()
    return sealed


def unseal(sealed: str, api_key: str, *, what: str) -> dict[str, Any]:
    """
    Decrypt the text that :func:`seal` returned.

    :param sealed: The text.
    :param api_key: The API key that it was sealed with.
    :param what: Name of the value, for the error message.
    :raises ConfigurationError: It was sealed with another key, or the text was changed.
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
