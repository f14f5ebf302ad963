from __future__ import annotations

import base64
import json
import math
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.api.webhooks import IncomingCall, parse_event, sign_webhook, verify_webhook
from airflow_openai_realtime.exceptions import InvalidInput, WebhookVerificationError

NOW = 1_763_900_000
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BODY = b'{"type": "realtime.call.incoming"}'


def signed(body: bytes = BODY, *, secret: str = SECRET, timestamp: int = NOW) -> dict[str, str]:
    return sign_webhook(body, webhook_id="wh_1", timestamp=timestamp, secret=secret)


def refused(headers, *, body: bytes = BODY, secrets=(SECRET,), now: float = NOW) -> str:
    with pytest.raises(WebhookVerificationError) as caught:
        verify_webhook(body, headers, secrets, now)
    return caught.value.reason


def event(**changes: object) -> bytes:
    """An event as OpenAI sends it; ``data__name`` changes a field of ``data``."""
    data: dict[str, object] = {
        "call_id": "rtc_u1_abc",
        "sip_headers": [
            {"name": "From", "value": '"Bob" <sip:+14155550123@carrier>;tag=1'},
            {"name": "To", "value": "<sip:+14155550199@sip.api.openai.com>"},
        ],
        "sip_media_security": "srtp",
    }
    whole: dict[str, object] = {
        "object": "event",
        "id": "evt_1",
        "type": "realtime.call.incoming",
        "created_at": NOW,
        "data": data,
    }
    for name, value in changes.items():
        place = data if name.startswith("data__") else whole
        place[name.removeprefix("data__")] = value
    return json.dumps(whole).encode()


def test_a_signed_delivery_is_accepted_and_gives_its_id():
    assert verify_webhook(BODY, signed(), [SECRET], NOW) == "wh_1"


def test_header_names_may_have_any_case():
    headers = {name.title(): value for name, value in signed().items()}
    assert verify_webhook(BODY, headers, [SECRET], NOW) == "wh_1"


def test_headers_of_a_call_are_found_in_any_case_and_repeats_are_kept():
    headers = (("X-Id", "1"), ("x-id ", "2"), ("Other", "3"))
    call = IncomingCall("rtc_1", "evt_1", datetime.fromtimestamp(NOW, timezone.utc), headers)
    assert call.header("X-ID ") == "1, 2"
    assert call.header("missing") is None


def test_while_a_secret_is_rotated_either_secret_and_either_signature_is_enough():
    other = "whsec_" + base64.b64encode(b"another").decode()
    assert verify_webhook(BODY, signed(secret=other), [SECRET, other], NOW) == "wh_1"
    both = signed()
    both["webhook-signature"] = f"v1,AAAA v2,BBBB {signed(secret=other)['webhook-signature']}"
    assert verify_webhook(BODY, both, [other], NOW) == "wh_1"


def test_a_secret_without_prefix_is_used_as_raw_bytes():
    assert verify_webhook(BODY, signed(secret="plain text"), ["plain text"], NOW) == "wh_1"


def test_a_changed_body_id_timestamp_or_signature_is_refused():
    assert refused(signed(), body=BODY + b" ") == "bad_signature"
    assert refused({**signed(), "webhook-id": "wh_2"}) == "bad_signature"
    assert refused({**signed(), "webhook-timestamp": str(NOW + 1)}) == "bad_signature"
    assert (
        refused({**signed(), "webhook-signature": signed()["webhook-signature"].removeprefix("v1,")}) == "bad_signature"
    )
    assert refused({**signed(), "webhook-signature": "v1,"}) == "bad_signature"
    assert refused({**signed(), "webhook-signature": "v1,é\ud800"}) == "bad_signature"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_must_be_there_exactly_once(name):
    headers = signed()
    assert refused({key: value for key, value in headers.items() if key != name}) == "missing_header"
    assert refused({**headers, name: ""}) == "missing_header"
    assert refused({**headers, name.upper(): headers[name]}) == "missing_header"
    assert refused({**headers, name: None}) == "missing_header"


@pytest.mark.parametrize("timestamp", ["1e5", "٣", "-5", "+5", "1.5", " 5", "9" * 400, "nan", "0x10", "1_000"])
def test_a_timestamp_that_is_not_plain_seconds_is_refused(timestamp):
    assert refused({**signed(), "webhook-timestamp": timestamp}) == "bad_timestamp"


def test_deliveries_up_to_300_seconds_off_are_accepted_and_no_others():
    for now in (NOW - 300, NOW + 300):
        assert verify_webhook(BODY, signed(), [SECRET], now) == "wh_1"
    assert refused(signed(), now=NOW + 300.1) == "too_old"
    assert refused(signed(), now=NOW - 300.1) == "too_new"
    assert verify_webhook(BODY, signed(), [SECRET], NOW + 5, tolerance_seconds=5) == "wh_1"


@pytest.mark.parametrize("now", [math.nan, math.inf, 10**400])
def test_a_clock_that_is_no_time_proves_nothing(now):
    assert refused(signed(), now=now) == "too_old"


def test_without_a_secret_nothing_is_proven():
    assert refused(signed(), secrets=[]) == "no_secret"
    assert refused(signed(), secrets=["", "  ", None]) == "no_secret"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_***", "whsec_MDEy*MzQ1", "whsec_é", "whsec_A"])
def test_a_secret_that_gives_no_key_is_named_and_never_used_as_an_empty_key(secret):
    assert refused(signed(), secrets=[secret]) == "bad_secret"
    assert verify_webhook(BODY, signed(), [secret, SECRET], NOW) == "wh_1"


def test_no_message_holds_a_secret_or_a_signature():
    for headers, secrets in ((signed(), ["whsec_***hunter2"]), (signed(secret="hunter2"), [SECRET])):
        with pytest.raises(WebhookVerificationError) as caught:
            verify_webhook(BODY, headers, secrets, NOW)
        assert "hunter2" not in str(caught.value)
        assert headers["webhook-signature"] not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"webhook_id": ""}, {"webhook_id": "a b"}, {"timestamp": -1}, {"secret": "whsec_!"}, {"secret": "whsec_"}]
)
def test_signing_refuses_what_could_never_be_verified(wrong):
    with pytest.raises(InvalidInput):
        sign_webhook(BODY, **{"webhook_id": "wh_1", "timestamp": NOW, "secret": SECRET, **wrong})


header_names = st.sampled_from(["webhook-id", "Webhook-ID", "webhook-timestamp", "webhook-signature", "x"]) | st.text()
header_values = (
    st.text(alphabet=st.characters(codec=None))
    | st.sampled_from(["9" * 400, "1e5", "٣", "-1", "v1,", "v1,\ud800", f"{NOW}"])
    | st.integers().map(str)
)


@given(
    st.binary(),
    st.dictionaries(header_names, header_values),
    st.lists(st.text(alphabet=st.characters(codec=None)) | st.text().map("whsec_".__add__)),
    st.floats() | st.integers(),
    st.floats(),
)
def test_whatever_comes_in_only_a_verification_error_comes_out(body, headers, secrets, now, tolerance):
    with pytest.raises(WebhookVerificationError):
        verify_webhook(body, headers, secrets, now, tolerance)


@given(
    st.binary(),
    header_values,
    st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
    st.text(alphabet=st.characters(codec=None), min_size=1),
)
def test_one_hostile_header_beside_two_good_ones_proves_nothing(body, value, name, secret):
    good = signed(body)
    if good[name] == value:
        return
    with pytest.raises(WebhookVerificationError):
        verify_webhook(body, {**good, name: value}, [SECRET, secret], NOW)


@given(st.binary(), st.from_regex(r"[!-~]{1,255}", fullmatch=True), st.integers(0, 10**12 - 1), st.text(min_size=1))
def test_what_is_signed_is_verified(body, webhook_id, timestamp, secret):
    if secret.startswith("whsec_") or not secret.strip():
        return
    headers = sign_webhook(body, webhook_id=webhook_id, timestamp=timestamp, secret=secret)
    assert verify_webhook(body, headers, [secret], timestamp) == webhook_id


def test_an_incoming_call_is_read():
    call = parse_event(event())
    assert call is not None
    assert (call.call_id, call.event_id, call.media_security) == ("rtc_u1_abc", "evt_1", "srtp")
    assert call.created_at == datetime.fromtimestamp(NOW, tz=timezone.utc)
    assert (call.from_number, call.to_number) == ("+14155550123", "+14155550199")
    assert call.header("FROM") == '"Bob" <sip:+14155550123@carrier>;tag=1'
    assert call.header("missing") is None


def test_the_repr_of_a_call_shows_no_number():
    assert "4155550123" not in repr(parse_event(event()))


def test_the_dialled_number_comes_from_diversion_when_to_is_the_project():
    headers = [
        {"name": "to", "value": "<sip:proj_abc@sip.api.openai.com>"},
        {"name": "diversion", "value": "<sip:+14155550111@carrier>;reason=unconditional"},
        {"name": "Diversion", "value": "<sip:+19990000000@carrier>"},
    ]
    call = parse_event(event(data__sip_headers=headers))
    assert call is not None
    assert call.to_number == "+14155550111"
    assert call.from_number is None
    assert call.header("Diversion") == "<sip:+14155550111@carrier>;reason=unconditional, <sip:+19990000000@carrier>"


@pytest.mark.parametrize("kind", ["live.transport.incoming", "response.completed", ""])
def test_events_of_other_types_are_not_for_us_whatever_they_hold(kind):
    assert parse_event(event(type=kind, id=None, data=None)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"type": "realtime.call.incoming"}',
        event(type=5),
        event(id=None),
        event(id="a\x00b"),
        event(data=[]),
        event(created_at="now"),
        event(created_at=True),
        event(created_at=-1),
        event(created_at=10**400),
        event(created_at=1e300),
        event(created_at=math.nan),
        event(created_at=math.inf),
        event(data__call_id=""),
        event(data__call_id=5),
        event(data__call_id="rtc_\x00"),
        event(data__call_id="rtc_\ud800"),
        event(data__call_id=".."),
    ],
)
def test_a_body_that_is_no_event_is_refused(body):
    with pytest.raises(WebhookVerificationError) as caught:
        parse_event(body)
    assert caught.value.reason == "bad_body"


def test_malformed_headers_cost_nothing_but_themselves():
    headers = ["x", {"name": "A"}, {"name": 1, "value": "x"}, {"name": "B", "value": None}, {"name": "X", "value": "y"}]
    call = parse_event(event(data__sip_headers=headers))
    assert call is not None
    assert call.sip_headers == (("X", "y"),)
    for other in (None, {}, "x", 5):
        assert parse_event(event(data__sip_headers=other)).sip_headers == ()  # type: ignore[union-attr]


def test_headers_are_cut_to_200_of_2000_characters_without_control_characters_and_half_characters():
    long = {"name": "X-0", "value": "a\x00b\r\n\ud800" + "v" * 5_000}
    headers = [long, *({"name": f"X-{number}", "value": "v"} for number in range(500))]
    call = parse_event(event(data__sip_headers=headers, data__sip_media_security="s\x00"))
    assert call is not None
    assert len(call.sip_headers) == 200
    value = call.sip_headers[0][1]
    assert value.startswith("a b  vvv")
    assert len(value) == 2_000
    assert call.media_security == "s "


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def read(body: bytes) -> IncomingCall | None:
    """Read a body; the only error that may come out counts as ``None``."""
    try:
        call = parse_event(body)
    except WebhookVerificationError:
        return None
    if call is not None:
        text = "".join([call.call_id, call.event_id, *(part for pair in call.sip_headers for part in pair)])
        text += (call.from_number or "") + (call.to_number or "")
        text.encode("utf-8")
        assert "\x00" not in text
    return call


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body):
    assert read(body) is None


@settings(max_examples=300)
@given(
    st.sampled_from(["id", "created_at", "data", "data__call_id", "data__sip_headers", "data__sip_media_security"]),
    json_values | st.lists(st.fixed_dictionaries({"name": st.text(), "value": json_values})),
)
def test_any_value_in_any_field_is_read_or_refused(name, value):
    read(event(**{name: value}))
