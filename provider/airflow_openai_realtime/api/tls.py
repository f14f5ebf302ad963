"""The TLS settings that all connections of a process share; making them reads all trusted certificates."""

from __future__ import annotations

import functools
import os
import ssl


def tls_context() -> ssl.SSLContext:
    """
    Return the settings for HTTPS and WebSocket connections.

    Made when a process first needs them, which takes tens of milliseconds: call it from a thread beforehand where that
    matters. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` say what is trusted.
    """
    return _tls_context(*_places())


def is_tls_ready() -> bool:
    """Whether :func:`tls_context` returns at once."""
    return _places() in _made


_made: set[tuple[str | None, str | None]] = set()


def _places() -> tuple[str | None, str | None]:
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.lru_cache(maxsize=4)
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    import httpx

    context = httpx.create_ssl_context()
    _made.add((_cert_file, _cert_dir))
    return context
