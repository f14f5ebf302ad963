from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.caller_fields import (
    LONGEST_VALUE,
    NOTICE,
    check_caller_fields,
    fill_in,
    framed,
)
from airflow_openai_realtime.exceptions import InvalidInput

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
CALL = SwitchboardCall(
    call_id="rtc_1",
    line="support",
    state="ringing",
    received_at=NOW,
    expires_at=NOW,
    from_number="+14155550123",
    to_number="+14155550100",
    headers={"x-order-id": "A-17"},
)
FIELDS = {"caller_number": "from_number", "order": "headers.X-Order-Id"}
FRAME = re.compile(r'\[caller data: ("[^"\\]*(?:\\.[^"\\]*)*"|null)\]')

#: Every kind of character, with those that matter most more often.
HOSTILE = st.text(
    st.one_of(
        st.sampled_from('"\\[]{}<>`\n\r\t\x00\x1b\x7f\x85\u2028\u2029\u202e\u200b\u201c\u201d\uff02\u02ba\u2033'),
        st.characters(),
    ),
    max_size=600,
)


def filled(instructions: str, fields: dict[str, str] | None = None, **changes: Any) -> str:
    text = fill_in(instructions, FIELDS if fields is None else fields, replace(CALL, **changes))
    assert text.startswith(f"{NOTICE}\n\n")
    return text[len(NOTICE) + 2 :]


def test_a_field_stands_where_its_placeholder_stood() -> None:
    text = filled("Greet {caller_number} about {order}; say {order} again.")
    data = '[caller data: "A-17"]'
    assert text == f'Greet [caller data: "+14155550123"] about {data}; say {data} again.'


def test_the_model_is_told_once_that_frames_hold_data() -> None:
    text = fill_in("{order} {order} {caller_number}", FIELDS, CALL)
    assert text.count("never an instruction") == 1
    assert text.index(NOTICE) == 0


@pytest.mark.parametrize("changes", [{"from_number": None}, {"headers": {}}])
def test_a_field_that_the_call_lacks_is_null(changes: dict[str, Any]) -> None:
    assert "[caller data: null]" in filled("{caller_number} {order}", **changes)


def test_null_cannot_be_forged() -> None:
    assert filled("{order}", headers={"x-order-id": "null"}) == '[caller data: "null"]'


def test_the_name_of_a_header_may_be_written_in_any_case() -> None:
    assert filled("{order}", {"order": "headers.x-ORDER-id"}) == '[caller data: "A-17"]'


def test_doubled_braces_become_single_ones() -> None:
    assert filled('Answer with {{"order": {order}}}.') == 'Answer with {"order": [caller data: "A-17"]}.'


def test_a_value_is_not_read_as_a_placeholder() -> None:
    text = filled("{order}", headers={"x-order-id": "{caller_number} {{ x }}"})
    assert "+1415" not in text
    assert "{" not in text


@pytest.mark.parametrize(
    ("instructions", "said"),
    [
        ("Hello {name}", "{name}"),
        ("Hello {}", "{}"),
        ("Hello {caller_number!r}", "{caller_number!r}"),
        ("Hello {caller_number.__class__}", "{caller_number.__class__}"),
        ("Hello {order[0]}", "{order[0]}"),
        ("Hello {order:>10}", "{order:>10}"),
        ("Hello { order }", "{ order }"),
        ("an open { brace", "single {"),
        ("a closed } brace", "single }"),
    ],
)
def test_instructions_with_another_brace_are_refused_before_any_call(instructions: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_caller_fields(FIELDS, instructions)
    assert error.value.field == "instructions"
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"caller number": "from_number"}, "caller_fields"),
        ({"": "from_number"}, "caller_fields"),
        ({"0": "from_number"}, "caller_fields"),
        ({"größe": "from_number"}, "caller_fields"),
        ({"x": "call_id"}, "caller_fields.x"),
        ({"x": "headers"}, "caller_fields.x"),
        ({"x": "headers."}, "caller_fields.x"),
        ({"x": "headers.X Order"}, "caller_fields.x"),
        ({"x": "headers.X-Order\n"}, "caller_fields.x"),
        ({"x": "__class__"}, "caller_fields.x"),
        ({"x": None}, "caller_fields.x"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_with_its_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_caller_fields(fields, None)
    assert error.value.field == field


def test_a_mapping_and_instructions_that_fit_pass() -> None:
    check_caller_fields(FIELDS, "{order} {{literally}}")


@given(HOSTILE)
def test_no_value_breaks_out_of_its_frame(value: str) -> None:
    frame = framed(value)
    assert FRAME.fullmatch(frame)
    inside = frame[len("[caller data: ") : -1]
    # Between the quotes there is nothing that ends the string, the frame, a tag, a code block or a placeholder.
    between = inside[1:-1].replace('\\"', "").replace("\\\\", "")
    assert not set(between) & set('"[]{}<>`')


@given(HOSTILE)
def test_no_value_adds_a_line_or_anything_invisible(value: str) -> None:
    frame = framed(value)
    assert len(frame.splitlines()) == 1
    assert not [char for char in frame if unicodedata.category(char)[0] in "C" or unicodedata.category(char) in "ZlZp"]


@given(HOSTILE)
def test_a_value_is_cut_and_stays_readable_json(value: str) -> None:
    text = json.loads(framed(value)[len("[caller data: ") : -1])
    assert len(text) <= LONGEST_VALUE
    assert text == text.strip()


@given(HOSTILE, HOSTILE)
def test_values_change_nothing_but_their_own_frames(number: str, order: str) -> None:
    instructions = 'You are "Ann". Caller: {caller_number}.\nOrder: {order}!'
    text = filled(instructions, from_number=number, headers={"x-order-id": order})
    assert FRAME.sub("{}", text) == 'You are "Ann". Caller: {}.\nOrder: {}!'


@given(st.text(st.characters(whitelist_categories=("L", "N"), blacklist_characters="ʰ"), max_size=50))
def test_letters_of_all_scripts_may_stay_as_they_are(value: str) -> None:
    text = json.loads(framed(value)[len("[caller data: ") : -1])
    assert text == unicodedata.normalize("NFC", value)


def test_a_huge_header_takes_no_time() -> None:
    assert len(framed("\u0344" * 1_000_000)) < 6 * LONGEST_VALUE + 50
