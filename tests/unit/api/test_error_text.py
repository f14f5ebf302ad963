from __future__ import annotations

import pytest

from airflow_openai_realtime.api.error_text import json_object, quotable


def test_secrets_and_numbers_and_line_ends_do_not_pass():
    text = quotable("key sk-1 refused\r\nfor +14155550123\x00\x1b[31m", hide=("sk-1", ""))
    assert text == "key *** refused for +1***0123 [31m"


def test_long_text_is_cut_to_500_characters_after_masking():
    assert len(quotable("x" * 5_000)) == 500
    assert "0123456" not in quotable("x" * 490 + "+101234567890")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b'"x"', b"9" * 10_000])
def test_what_is_no_json_object_is_nothing(body):
    assert json_object(body) is None


def test_a_json_object_is_read():
    assert json_object(b'{"a": 1}') == {"a": 1}
