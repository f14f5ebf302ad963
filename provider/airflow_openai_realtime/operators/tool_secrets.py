"""Keeping the credentials of MCP servers out of logs and rendered templates."""

from __future__ import annotations

from collections.abc import Mapping

from airflow.sdk.log import mask_secret


def hide_tool_secrets(value: object) -> None:
    """
    Mask what an MCP tool signs in with: its ``authorization`` and the values of its ``headers``.

    :param value: A session, a list of tools or one tool, as given; anything else is left alone.
    """
    if isinstance(value, (list, tuple)):
        for item in value:
            hide_tool_secrets(item)
    elif isinstance(value, Mapping):
        hide_tool_secrets(value.get("tools"))
        if value.get("type") == "mcp":
            headers = value.get("headers")
            secrets = [value.get("authorization"), *(headers.values() if isinstance(headers, Mapping) else ())]
            for secret in secrets:
                if isinstance(secret, str) and secret:
                    mask_secret(secret)
