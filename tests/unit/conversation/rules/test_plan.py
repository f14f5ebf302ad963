"""What happens in a call travels as JSON, and shows nothing personal in a log."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.conversation.rules.offered_tools import offered_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, FunctionSpec, TransferTarget

SCHEMAS = st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=5), st.integers(), st.none()), max_size=3)
FUNCTIONS = st.builds(
    FunctionSpec,
    name=st.text("abc_", min_size=1, max_size=5),
    path=st.just("shop.book"),
    description=st.text(max_size=10),
    parameters=SCHEMAS,
    timeout_seconds=st.floats(0.1, 60),
    wants_call=st.booleans(),
)
TARGETS = st.builds(TransferTarget, target_uri=st.just("tel:+14155550177"), description=st.text(max_size=10))
PLANS = st.builds(
    ConversationPlan,
    greeting=st.none() | st.text(max_size=10),
    silence_seconds=st.none() | st.floats(1, 600),
    end_call=st.booleans(),
    goodbye=st.none() | st.text(max_size=10),
    result_schema=st.none() | SCHEMAS,
    result_model=st.none() | st.just("shop.Agreement"),
    functions=st.lists(FUNCTIONS, max_size=3).map(tuple),
    transfer_targets=st.dictionaries(st.text("abc", min_size=1, max_size=3), TARGETS, max_size=2),
)


@settings(deadline=None)
@given(PLANS)
def test_a_plan_is_the_same_after_it_has_travelled(plan: ConversationPlan) -> None:
    assert ConversationPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_plan_of_another_release_is_read_as_far_as_it_is_known() -> None:
    assert ConversationPlan.from_dict({}) == ConversationPlan()
    read = ConversationPlan.from_dict({"greeting": "Hi", "mood": "sunny", "functions": None, "transfer_targets": None})
    assert read == ConversationPlan(greeting="Hi")


def test_a_call_that_another_client_steers_is_only_listened_to() -> None:
    plan = ConversationPlan.only_listening()
    assert offered_tools(plan) == []
    assert (plan.greeting, plan.goodbye, plan.silence_seconds) == (None, None, None)


def test_neither_words_nor_numbers_show_in_a_log() -> None:
    plan = ConversationPlan(
        greeting="Hello Ann", goodbye="Bye Ann", transfer_targets={"boss": TransferTarget("tel:+14155550177")}
    )
    assert "Ann" not in repr(plan)
    assert "415" not in repr(plan)
    assert "boss" in repr(plan)


def test_two_plans_share_nothing_that_can_be_changed() -> None:
    assert ConversationPlan().transfer_targets is not ConversationPlan().transfer_targets
    assert FunctionSpec("a", "b.c").parameters is not FunctionSpec("a", "b.c").parameters
