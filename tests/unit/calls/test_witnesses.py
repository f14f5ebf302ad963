"""Which of two accounts of a call's end stands."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from airflow_openai_realtime.calls.witnesses import Account, standing
from airflow_openai_realtime.states import Witness


@pytest.mark.parametrize(("weaker", "stronger"), list(itertools.combinations(reversed(Witness), 2)))
def test_a_weaker_witness_never_overwrites_a_stronger_one(weaker: Witness, stronger: Witness) -> None:
    weak, strong = Account(weaker, "weak"), Account(stronger, "strong", "me")
    assert standing(weak, strong) == strong
    assert standing(strong, weak) == strong


def test_between_equals_the_first_stands() -> None:
    first, second = (Account(Witness.API, reason, "me") for reason in ("killed", "hung_up"))
    assert standing(first, second) == first


def test_a_weak_witness_still_adds_what_the_strong_one_does_not_know() -> None:
    strong = Account(Witness.API, "killed", "me")
    carrier = Account(Witness.FOUND_GONE, "gone", talk_seconds=6.0)
    assert standing(strong, carrier) == standing(carrier, strong) == replace(strong, talk_seconds=6.0)
