from __future__ import annotations

import re

import pytest

from airflow_openai_realtime.calls.run_ids import run_id_of

#: Airflow's default [scheduler] allowed_run_id_pattern.
ALLOWED = re.compile(r"^[A-Za-z0-9_.~:+-]+$")


def test_the_run_of_a_call_is_named_after_it() -> None:
    assert run_id_of("rtc_u1_abc-DEF") == "call__rtc_u1_abc-DEF"


@pytest.mark.parametrize("call_id", ["rtc_1", "a/b", "a..b", "ä", "x" * 255, "a b", "%2e", "a?b=c"])
def test_every_id_gives_a_run_id_that_airflow_takes(call_id: str) -> None:
    run_id = run_id_of(call_id)
    assert ALLOWED.fullmatch(run_id)
    assert ".." not in run_id
    assert len(run_id) <= 250
    assert run_id == run_id_of(call_id)


def test_different_calls_have_different_runs() -> None:
    ids = ["a/b", "a.b", "a_b", "a-b", "a%b", "x" * 201, "x" * 202]
    assert len({run_id_of(call_id) for call_id in ids}) == len(ids)
