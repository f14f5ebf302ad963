"""Log lines."""

from __future__ import annotations

from airflow_openai_realtime.switchboard.server.process import logs


def test_a_line_names_what_happened_and_its_fields() -> None:
    shown = logs.line("call.ringing", line="support", call_id="rtc_1", from_="+1***0123", reason=None)
    assert shown == "call.ringing line=support call_id=rtc_1 from=+1***0123"


def test_hostile_text_cannot_forge_a_field_or_a_line() -> None:
    shown = logs.line("webhook.refused", line="a b=c\nERROR x")
    assert shown == 'webhook.refused line="a b=c\\nERROR x"'


def test_a_long_text_is_cut() -> None:
    assert len(logs.line("x", y="z" * 10_000)) < 600
