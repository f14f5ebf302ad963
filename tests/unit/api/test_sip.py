from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_openai_realtime.api.sip import (
    caller_in,
    canonical_target_uri,
    check_call_id,
    check_status_code,
    check_target_uri,
    number_in,
    openai_sip_uri,
)
from airflow_openai_realtime.exceptions import InvalidInput


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ('"Bob" <sip:+14155550123@carrier;user=phone>;tag=x', "+14155550123"),
        ('"Bob \\"<sip:+1@evil>\\"" <sip:+14155550123@carrier>', "+14155550123"),
        ('"Eve <sip:+19990000000@evil>" <sip:+14155550123@carrier>', "+14155550123"),
        ("Bob <sips:+14155550123@carrier:5061>", "+14155550123"),
        ("<SIP:+14155550123:secret@carrier>", "+14155550123"),
        ("sip:+14155550123;phone-context=x@carrier;tag=1", "+14155550123"),
        ("<tel:+1-415-555-0123>", "+14155550123"),
        ("tel:+1(415)555.0123;ext=1", "+14155550123"),
        ("sip:%2B14155550123@carrier", "+14155550123"),
        ("sip:4155550123@carrier", "4155550123"),
        ("sip:+4402071838750@carrier", "+442071838750"),
        ("<tel:+44-(0)20-7183-8750>", "+442071838750"),
        ("<sip:+14155550123@a>;reason=unconditional, <sip:+19990000000@b>", "+14155550123"),
        ("<sip:+14155550123@a", "+14155550123"),
        ("<sip:sales@pbx.example>", "sales"),
        ("<sip:proj_abc@sip.api.openai.com;transport=tls>", "proj_abc"),
        ("<sip:anonymous@anonymous.invalid>", None),
        ("<sip:Unavailable@x>", None),
        ("<sip:carrier.example>", None),
        ("<sip:@carrier>", None),
        ("<mailto:bob@example.com>", None),
        ("tel:", None),
        ('"unclosed <sip:+1@x>', "+1"),
        ("", None),
        ("\x00\ufffd", None),
    ],
)
def test_the_number_is_read_from_hostile_headers(header, number):
    assert number_in(header) == number


@pytest.mark.parametrize(
    "user",
    [
        "anonymous",
        "Restricted",
        "unavailable",
        "private",
        "unknown",
        "blocked",
        *("+266696687", "+7378742833", "+86282452253", "+7748283", "+8656696", "+2562533"),
        *("266696687", "7378742833", "86282452253"),
    ],
)
def test_a_caller_who_hides_is_nobody_in_words_and_as_keypad_digits(user):
    assert caller_in(f'"Bob" <sip:{user}@carrier.example>') is None


@pytest.mark.parametrize("user", ["+14155550123", "4155550123", "sales", "+17378742833", "anonymous1"])
def test_a_caller_who_does_not_hide_is_told(user):
    assert caller_in(f"<sip:{user}@carrier.example>") == user


def test_keypad_digits_are_a_number_when_they_were_dialed():
    assert number_in("<sip:7378742833@carrier.example>") == "7378742833"


@given(st.text() | st.from_regex(r'"?.*"? ?<?(sip|tel):[%+0-9a-f@;:.]*>?.*', fullmatch=True))
def test_reading_any_header_never_fails_and_gives_printable_text(header):
    found = number_in(header)
    assert found is None or (0 < len(found) <= 128 and found.isprintable())


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+14155550123",
        "TEL:+1-415-555-0123;ext=5",
        "tel:7042;phone-context=example.com",
        "sip:agent@example.com",
        "sips:agent@example.com:5061;transport=tls?X-A=1",
        "sip:example.com",
        "sip:+14155550123@[2001:db8::1]:5060",
    ],
)
def test_targets_that_a_call_can_be_referred_to_pass(uri):
    assert check_target_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "+14155550123",
        "4155550123",
        "tel:4155550123",
        "tel:",
        "sip:",
        "sip:agent@",
        "sip:a b@example.com",
        "sip:agent@example.com\r\nX-Evil: 1",
        "<sip:agent@example.com>",
        "https://example.com",
        "mailto:a@example.com",
        "sip:é@example.com",
        "sip:" + "a" * 2000 + "@x",
        None,
        5,
    ],
)
def test_other_targets_are_refused_with_field_and_remedy_and_masked(uri):
    with pytest.raises(InvalidInput, match=r"tel:\+14155550123") as caught:
        check_target_uri(uri)
    assert caught.value.field == "target_uri"
    assert "4155550123" not in str(caught.value).replace("tel:+14155550123", "")


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("tel:+4402071838750", "tel:+442071838750"),
        ("TEL:+1-415-555-0123;ext=5", "tel:+14155550123;ext=5"),
        ("tel:7042;phone-context=example.com", "tel:7042;phone-context=example.com"),
        ("sip:+4402071838750@example.com", "sip:+4402071838750@example.com"),
    ],
)
def test_a_number_to_transfer_to_has_one_spelling(written, target):
    assert canonical_target_uri(written) == target


@pytest.mark.parametrize("uri", ["tel:+1415", "tel:+15550123", "tel:+9991234567890"])
def test_a_number_that_no_phone_has_is_no_target(uri):
    with pytest.raises(InvalidInput, match="target_uri") as caught:
        canonical_target_uri(uri)
    assert caught.value.field == "target_uri"


@pytest.mark.parametrize("code", [300, 486, 603, 699])
def test_final_sip_status_codes_pass(code):
    assert check_status_code(code) == code


@pytest.mark.parametrize("code", [299, 700, 0, -1, True, "486", 486.0, None])
def test_other_status_codes_are_refused(code):
    with pytest.raises(InvalidInput, match="300 to 699") as caught:
        check_status_code(code)
    assert caught.value.field == "status_code"


@pytest.mark.parametrize("call_id", ["rtc_u1_abc", "live_u0_1", "a/b?c#d%2F"])
def test_call_ids_are_opaque(call_id):
    assert check_call_id(call_id) == call_id


@pytest.mark.parametrize("call_id", ["", " ", "a b", "a\nb", "..", ".", "é", "x" * 256, None, 5])
def test_what_cannot_be_a_call_id_is_refused(call_id):
    with pytest.raises(InvalidInput, match="call_id"):
        check_call_id(call_id)


def test_openai_takes_calls_over_tls():
    assert openai_sip_uri("proj_1", "sip.api.openai.com") == "sip:proj_1@sip.api.openai.com;transport=tls"
