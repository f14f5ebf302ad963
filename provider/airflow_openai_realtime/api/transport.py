"""How this package uses httpx: hardly any reused connections, no redirects, and what its errors mean."""

from __future__ import annotations

from typing import Any

import httpx

from airflow_openai_realtime.api.retry import Trouble

CONNECT_SECONDS = 5.0

# Errors that come before the first byte of the request.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


def http_options(timeout_seconds: float, reuse_seconds: float = 0.0) -> dict[str, Any]:
    """
    Return the options of every HTTP client of this package.

    :param timeout_seconds: Limit for each phase (connect at most 5 s, send, wait for the answer), in seconds.
    :param reuse_seconds: How long a connection is kept for the next request; 0: every request has its own.
    """
    kept = httpx.Limits(keepalive_expiry=reuse_seconds) if reuse_seconds > 0 else None
    return {
        "timeout": httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
        "limits": kept or httpx.Limits(max_keepalive_connections=0),
        "follow_redirects": False,
    }


def trouble_of_error(error: httpx.RequestError) -> Trouble:
    """Say whether a request that got no answer can have left."""
    return Trouble.NOT_SENT if isinstance(error, _BEFORE_SENDING) else Trouble.NO_ANSWER
