from __future__ import annotations

import re
import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.phone_numbers import (
    canonical_number,
    canonical_pattern,
    mask_number,
    mask_numbers,
    to_e164,
)
from airflow_openai_realtime.exceptions import InvalidPhoneNumber


@pytest.mark.parametrize("number", ["+14155550123", "+493012345678", "+442079460123", "+6591234567"])
def test_numbers_that_a_phone_can_have_pass(number):
    assert to_e164(number) == number


@pytest.mark.parametrize(
    "number",
    [
        "4155550123",
        "+1 415 555 0123",
        "+04155550123",
        "+1415555012",  # one digit short for its country
        "+141555501234",
        "+9991234567890",  # no such country code
        "+15550123",  # no area code
        "tel:+14155550123",
        "+14155550123\n",
        "+١٤١٥٥٥٥٠١٢٣",
        "",
        "+",
        None,
        14155550123,
    ],
)
def test_other_values_are_refused_with_field_and_example_and_without_the_number(number):
    with pytest.raises(InvalidPhoneNumber, match=r"caller.*\+14155550123") as caught:
        to_e164(number, "caller")
    assert caught.value.field == "caller"
    assert "4155550123" not in str(caught.value).replace("+14155550123", "")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+4402071838750", "+442071838750"),
        ("+49015112345678", "+4915112345678"),
        ("+114155550123", "+14155550123"),
        ("+788001234567", "+78001234567"),
        ("+390612345678", "+390612345678"),  # the 0 belongs to the number
        ("+2250102030405", "+2250102030405"),
        ("+78001234567", "+78001234567"),  # the 8 belongs to the number
    ],
)
def test_a_phone_has_one_spelling(written, number):
    assert to_e164(written) == canonical_number(written) == canonical_pattern(written) == number


@given(
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)),
    st.sampled_from(["", "0", "1", "8", "00"]),
    st.from_regex(r"[0-9]{4,12}", fullmatch=True),
)
def test_the_one_spelling_of_a_spelling_is_itself(code, prefix, rest):
    number = canonical_number(f"+{code}{prefix}{rest}")
    assert canonical_number(number) == number


@given(st.text(max_size=40))
def test_other_texts_are_left_as_they_are(text):
    assert canonical_number(text) == text or text.startswith("+")
    assert canonical_pattern(text) == text or text.startswith("+")


@pytest.mark.parametrize(
    ("pattern", "compared"),
    [
        ("+44020*", "+4420*"),
        ("+440?071838750", "+44?071838750"),
        ("+4420*", "+4420*"),
        ("+3906*", "+3906*"),
        ("+78*", "+78*"),
        ("+1*", "+1*"),
        ("+*", "+*"),
        ("*", "*"),
        ("sales*", "sales*"),
    ],
)
def test_a_pattern_is_compared_without_the_trunk_zero(pattern, compared):
    assert canonical_pattern(pattern) == compared


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+14155551234", "+1***1234"),
        ("%2B14155551234", "+1***1234"),
        ("4155551234", "4***1234"),
        ("(415) 555-1234", "4***1234"),
        ("911", "***"),
        ("+4912345", "***"),
        ("alice", "***"),
        ("", "***"),
    ],
)
def test_masking_leaves_the_first_digit_and_the_last_four(number, masked):
    assert mask_number(number) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to tel:+14155550123 failed", "to tel:+1***0123 failed"),
        ("'To' number 4155550123 is not valid.", "'To' number 4***0123 is not valid."),
        ("(415) 555-0123.", "4***0123."),
        ("sip:14155550123@host", "sip:1***0123@host"),
        ("sip:%2b14155550123@host", "sip:+1***0123@host"),
        ("a+1 415-555-0123b", "a+1***0123b"),
        ("shutdown on 2027-01-20 10:30:00", "shutdown on 2027-01-20 10:30:00"),
        ("at 2026-11-22T10:00:00+00:00", "at 2026-11-22T10:00:00+00:00"),
        ("from 13.79.45.80 or 192.168.100.100", "from 13.79.45.80 or 192.168.100.100"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id 123e4567-e89b-12d3-a456-426614174000"),
        ("code 21211, call rtc_u1_1234567890", "code 21211, call rtc_u1_1234567890"),
        ("CA0123456789abcdef0123456789abcdef", "CA0123456789abcdef0123456789abcdef"),
    ],
)
def test_numbers_in_free_text_are_masked_and_other_digits_left_alone(text, masked):
    assert mask_numbers(text) == masked


@given(
    st.text(alphabet=st.characters(blacklist_categories=["N"], blacklist_characters="+%")),
    st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True),
    st.text(alphabet=st.characters(blacklist_categories=["N"])),
)
def test_no_e164_number_survives_in_any_text(before, number, after):
    assert number not in mask_numbers(before + number + after)
    assert not re.search(r"[0-9]{7}", mask_numbers(before + number + after))


def test_the_number_library_is_loaded_only_when_a_number_is_checked():
    code = "import sys, airflow_openai_realtime.api.phone_numbers"
    code += "; import airflow_openai_realtime.outbound.carriers.port"
    code += "; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
