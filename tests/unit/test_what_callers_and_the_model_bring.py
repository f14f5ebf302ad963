"""What callers and the model bring reaches the next task as plain data, through Airflow's serialisers and wire."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest
from airflow_wire import between_tasks
from airflow_world import CONN_ID, FakeTask, World, context, run_task
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_calls import whole

from airflow_openai_realtime.api.untrusted import DEEPEST, MOST_INTEGER, tame
from airflow_openai_realtime.api.webhooks import parse_event
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.caller_fields import framed
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.rules.result_checking import check_result
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.claim import ClaimCallsOperator
from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor
from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.states import EntryKind
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation, open_conversation
from airflow_openai_realtime.switchboard.server.routes.webhook_route import new_call

NOW = datetime(2026, 11, 30, tzinfo=timezone.utc)
#: Names by which Airflow's serialisers recognise what is to become an object, or refuse a value.
READ_BY_AIRFLOW = (
    "__type",
    "__var",
    "__source",
    "__classname__",
    "__version__",
    "__data__",
    "__id__",
    "__cache__",
    "__CLASSNAME__",
)
ANYTHING = {"type": "object"}

#: A busy machine is no failure.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: JSON as the model can write it, with what hurts more often than chance would have it.
HOSTILE_TEXT = st.text(
    st.one_of(st.sampled_from("\x00\x1b\u202e\u2066\u200b\ufeff\ud800\udfff\n\t"), st.characters()), max_size=30
)
HOSTILE_NAME = st.one_of(st.sampled_from(READ_BY_AIRFLOW), HOSTILE_TEXT)
HOSTILE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**31, -(10**31)]),
        st.floats(),
        HOSTILE_TEXT,
        st.just("airflow.sdk.definitions.connection.Connection"),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(HOSTILE_NAME, inner, max_size=5)),
    max_leaves=20,
)


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = {"a": [value]}
    return value


def is_plain(value: Any) -> bool:
    """Whether a value is of JSON's types alone."""
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def hostile_headers() -> list[tuple[str, str]]:
    return [(name, "airflow.sdk.definitions.connection.Connection") for name in READ_BY_AIRFLOW]


# -- what callers bring ------------------------------------------------------------------------------------------


def test_a_call_with_header_names_that_airflow_reads_reaches_the_next_task(world: World) -> None:
    call_id = world.ring(headers=hostile_headers())
    call = run_task(IncomingCallSensor(task_id="wait"))
    came = between_tasks(call)
    assert came == call
    assert came["call_id"] == call_id
    assert not any(name.startswith("__") for name in came["headers"])


def test_one_hostile_caller_does_not_cost_the_others_of_a_batch_their_calls(world: World) -> None:
    ringing = [world.ring(f"+1415555010{number}") for number in range(5)]
    ringing.append(world.ring("+14155550199", headers=hostile_headers()))
    calls = run_task(ClaimCallsOperator(task_id="claim"), context(FakeTask(task_id="claim")))
    assert {call["call_id"] for call in between_tasks(calls)} == set(ringing)


@UNTIMED
@given(st.lists(st.tuples(HOSTILE_NAME, st.one_of(HOSTILE_TEXT, st.integers())), max_size=8))
def test_whatever_headers_a_caller_sends_the_call_is_plain_data(pairs: list[tuple[str, Any]]) -> None:
    headers = [{"name": name, "value": value} for name, value in pairs]
    event = {"id": "evt_1", "type": "realtime.call.incoming", "created_at": 1_790_000_000}
    body = json.dumps({**event, "data": {"call_id": "rtc_1", "sip_headers": headers, "sip_media_security": "\ud800"}})
    incoming = parse_event(body.encode())
    assert incoming is not None
    row = new_call(incoming, line="l", webhook_id="wh_1", sent_at=1_790_000_000, now=NOW, ring_seconds=60)
    known = {key: getattr(row, key) for key in ("from_number", "to_number", "headers", "media_security")}
    call = SwitchboardCall("rtc_1", "l", "ringing", NOW, NOW, **known).to_dict()
    assert is_plain(call)
    assert between_tasks(call) == call


def test_headers_of_one_call_are_limited_together() -> None:
    headers = [{"name": f"X-{number}", "value": "v" * 2_000} for number in range(200)]
    event = {"id": "evt_1", "type": "realtime.call.incoming", "created_at": 1_790_000_000}
    incoming = parse_event(json.dumps({**event, "data": {"call_id": "rtc_1", "sip_headers": headers}}).encode())
    assert incoming is not None
    assert sum(len(name) + len(value) for name, value in incoming.sip_headers) <= 64 * 1024
    assert incoming.header("X-0") == "v" * 2_000


def test_no_invisible_character_gets_into_the_instructions() -> None:
    ignorable = [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x2D7F, 0x3164, 0xFFA0),
        *(0x16FE4, 0x1107F, 0x1D159),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xE0000, 0xE0080),
    ]
    passed = [f"U+{code:04X}" for code in ignorable if framed(f"a{chr(code)}b") != '[caller data: "ab"]']
    assert passed == []


def test_letters_of_all_scripts_and_emoji_stay_in_texts() -> None:
    for text in ("Zoë", "می‌خواهم", "नमस्ते", "日本語", "👩‍🚀 ✔️", "שלום", "two\nlines\tand a tab"):
        assert tame(text) == text


# -- what the model brings ---------------------------------------------------------------------------------------


def recorded(value: Any) -> Any:
    """What a record of the model's is when the call is over."""
    answer = check_result(ConversationPlan(result_schema=ANYTHING), json.dumps(value))
    return answer.detail["value"]


def test_a_record_that_names_a_class_of_airflows_arrives_as_data() -> None:
    record = {"__type": "airflow.sdk.definitions.connection.Connection", "__var": {"conn_id": "stolen"}}
    came = between_tasks(recorded({"note": record, "__classname__": "x", "__version__": 1}))
    assert is_plain(came)
    assert came["note"] == {"x__type": record["__type"], "x__var": record["__var"]}


def test_a_number_of_31_digits_in_a_record_reaches_the_next_task_as_text() -> None:
    assert between_tasks(recorded({"n": 10**30, "m": MOST_INTEGER})) == {"n": str(10**30), "m": MOST_INTEGER}


def test_a_record_that_is_nested_too_deeply_is_not_recorded_and_the_model_learns_why() -> None:
    answer = check_result(ConversationPlan(result_schema=ANYTHING), json.dumps(nested(126)))
    assert answer.status == "invalid"
    assert "nested" in answer.output


def test_a_number_that_python_does_not_even_write_is_no_record_and_harms_nothing() -> None:
    answer = check_result(ConversationPlan(result_schema=ANYTHING), '{"n": ' + "9" * 5_000 + "}")
    assert answer.status == "invalid"
    assert is_plain(tame([10**5_000]))


@UNTIMED
@given(HOSTILE)
def test_whatever_the_model_records_the_result_is_plain_data(value: Any) -> None:
    answer = check_result(ConversationPlan(result_schema=ANYTHING), json.dumps({"value": value}))
    detail = dict(answer.detail)
    assert is_plain(detail)
    assert between_tasks(detail) == detail


@UNTIMED
@given(HOSTILE)
def test_whatever_is_written_on_the_timeline_is_plain_data_and_stays_as_it_is(value: Any) -> None:
    made = entry_of(EntryKind.CALLER, NOW, "1", text=value)
    assert is_plain(made.body)
    checked = TimelineEntry("caller:1", EntryKind.CALLER, NOW, {"text": value}).check()
    assert checked.body == made.body
    assert between_tasks(checked.body) == checked.body
    assert replace(made, key="caller:1").check() == checked


@UNTIMED
@given(HOSTILE)
def test_the_gate_changes_nothing_that_has_passed_it(value: Any) -> None:
    passed = tame(value)
    assert is_plain(passed)
    assert tame(passed) == passed
    assert between_tasks(passed) == passed


@pytest.mark.parametrize("levels", [DEEPEST, 63, 126])
def test_the_switchboard_reads_back_what_is_nested_as_deeply_as_it_likes(world: World, levels: int) -> None:
    call_id = world.ring()
    run_task(AcceptCallOperator(task_id="accept", call_id=call_id))
    line = {"Authorization": f"Bearer {world.token}", "X-Openai-Realtime-Line": CONN_ID}
    at = f"{world.url}/v1/calls/{call_id}/conversation"
    with world.client() as client:
        generation = client.send(open_conversation(call_id, "holder")).generation
        entry = {"key": "note:1", "kind": "note", "at": NOW.isoformat(), "body": {"value": nested(levels)}}
        body = {"generation": generation, "outcome": "completed", "result": {"x": nested(levels)}, "entries": [entry]}
        answer = httpx.post(f"{at}/finish", json=body, headers=line)
        assert answer.status_code < 500
        kept = httpx.get(at, headers=line)
        assert kept.status_code == 200
        assert client.send(get_conversation(call_id)) is not None


async def test_a_whole_call_whose_model_records_a_live_object_gives_the_next_task_data(world: World) -> None:
    record = {
        "__type": "airflow.sdk.definitions.connection.Connection",
        "__var": {"conn_id": "stolen"},
        "text": "a\u202eb\u0000",
        "many": 2**70,
    }
    replies = (
        Reply("Hi?", thinks_seconds=0.05),
        Reply.calls("record_result", record, thinks_seconds=0.05),
        Reply.calls("end_call", {}, text="Bye.", thinks_seconds=0.05),
    )
    dialogue = Dialogue(replies, (Move.says("Five!", after_seconds=0.1),))
    script = PhoneScript.talks_for_ever(after_seconds=0.1, dialogue=dialogue)
    call_id = await asyncio.to_thread(world.ring, script=script)
    survey = {"greeting": "Hello.", "result_model": ANYTHING}
    result = await whole(AcceptCallOperator(task_id="talk", call=call_id, wait_for_end=True, **survey))
    came = between_tasks(result)
    assert came == result
    assert came["result"] == {
        "x__type": record["__type"],
        "x__var": {"conn_id": "stolen"},
        "text": "ab",
        "many": str(2**70),
    }
