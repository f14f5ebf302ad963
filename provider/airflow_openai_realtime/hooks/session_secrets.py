"""Keep the credentials of a session's MCP servers out of logs and rendered templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airflow_openai_realtime.hooks.airflow_connections import hide, hide_async


def secrets_in(value: object) -> Iterator[str]:
    """
    Yield the credentials of MCP tools: their ``authorization`` and the values of their ``headers``.

    :param value: A session, a list of tools or one tool; other values contain none.
    """
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)
    elif isinstance(value, Mapping):
        yield from secrets_in(value.get("tools"))
        if value.get("type") == "mcp" or "server_label" in value:
            headers = value.get("headers")
            for secret in (value.get("authorization"), *(headers.values() if isinstance(headers, Mapping) else ())):
                if isinstance(secret, str) and secret:
                    yield secret


def hide_session_secrets(value: object) -> None:
    """
    Mask the credentials in a session in all logs and rendered templates of this process.

    :param value: As for :func:`secrets_in`.
    """
    hide(*secrets_in(value))


async def hide_session_secrets_async(value: object) -> None:
    """
    Mask the credentials in a session in all logs, from within an event loop.

    :param value: As for :func:`secrets_in`.
    """
    await hide_async(*secrets_in(value))
