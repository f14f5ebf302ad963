"""Connections reach a trigger sealed with a key that task and triggerer share."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.hooks import handing_over
from airflow_openai_realtime.hooks.connection_fields import ConnectionFields
from airflow_openai_realtime.hooks.handing_over import hand_over, handed_over

LINE = ConnectionFields("line_a", None, "sk-hunter2", None, {"webhook_secret": "whsec_hunter3", "timeout_seconds": 30})
CARRIER = ConnectionFields("carrier", "AC1", "token-hunter4", "https://carrier.example", {})


class Conf:
    """Airflow's configuration, with these keys."""

    def __init__(self, fernet_key: str = "", jwt_secret: str = "") -> None:
        self._values = {("core", "fernet_key"): fernet_key, ("api_auth", "jwt_secret"): jwt_secret}

    def get(self, section: str, key: str, fallback: Any = None) -> Any:
        return self._values.get((section, key)) or fallback


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Any:
    def keys(**values: str) -> None:
        monkeypatch.setattr(handing_over, "conf", Conf(**values))

    return keys


@pytest.mark.parametrize("given", [{"fernet_key": "key-1"}, {"jwt_secret": "jwt-1"}])
def test_each_connection_comes_out_as_it_went_in(keys: Any, given: dict[str, str]) -> None:
    keys(**given)
    sealed = hand_over(LINE, CARRIER)
    assert handed_over(sealed, "line_a") == LINE
    assert handed_over(sealed, "carrier") == CARRIER
    assert handed_over(sealed, "another") is None


def test_what_is_sealed_shows_nothing(keys: Any) -> None:
    keys(fernet_key="key-1")
    assert "hunter" not in (hand_over(LINE, CARRIER) or "")


def test_without_a_key_nothing_is_handed_over(keys: Any) -> None:
    keys(fernet_key=" , ", jwt_secret=" ")
    assert hand_over(LINE) is None
    assert handed_over(None, "line_a") is None


def test_while_a_fernet_key_is_replaced_what_the_old_one_sealed_is_read(keys: Any) -> None:
    keys(fernet_key="old")
    sealed = hand_over(LINE)
    keys(fernet_key="new, old")
    assert handed_over(sealed, "line_a") == LINE
    newer = hand_over(LINE)
    keys(fernet_key="new")
    assert handed_over(newer, "line_a") == LINE
    assert handed_over(sealed, "line_a") is None


def test_a_triggerer_with_other_keys_looks_the_connection_up_itself(keys: Any) -> None:
    keys(fernet_key="one", jwt_secret="two")
    sealed = hand_over(LINE)
    keys(fernet_key="three", jwt_secret="two")
    assert handed_over(sealed, "line_a") is None
    keys()
    assert handed_over(sealed, "line_a") is None


def test_text_that_is_no_seal_is_no_connection(keys: Any) -> None:
    keys(fernet_key="one")
    assert handed_over("not sealed", "line_a") is None
