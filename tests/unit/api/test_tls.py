"""TLS settings are made once, and say when they are there."""

from __future__ import annotations

import ssl

import pytest

from airflow_openai_realtime.api import tls


def test_the_settings_verify_the_peer_and_its_name() -> None:
    context = tls.tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_they_are_ready_only_once_made_for_the_certificates_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls.tls_context()
    assert tls.is_tls_ready()
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere/else")
    assert not tls.is_tls_ready()
