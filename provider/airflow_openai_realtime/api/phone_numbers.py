"""Phone numbers: the E.164 check, and masking for logs and messages."""

from __future__ import annotations

import re

from airflow_openai_realtime.exceptions import InvalidPhoneNumber

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EXAMPLE = "+14155550123"

# What looks like a number in free text. The first alternatives (ids, dates, addresses) are kept as they are.
_IN_TEXT = re.compile(
    r"(?P<keep>"
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
    r"|\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?(?![0-9-])"
    r"|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])"
    r")"
    r"|(?P<plus>(?:\+|%2[Bb])[ ]?(?:[0-9][ ().\-/]{0,2}){4,20}[0-9])"
    r"|(?P<bare>(?<![\w%])\(?(?:[0-9][ ().\-/]{0,2}){6,20}[0-9])(?![A-Za-z_])"
)
_BARE_WITH_SEPARATORS_DIGITS = 10


def check_e164(number: str, field: str = "to") -> str:
    """
    Return ``number`` when a phone could have it.

    :param number: E.164: ``+``, country code, number; no spaces, for example ``+14155550123``.
    :param field: Name of the parameter, for the message.
    :raises InvalidPhoneNumber: Another shape, or a length that its country does not have. The message masks it.

    Source: ITU-T E.164; country lengths from the ``phonenumbers`` package.
    """
    if not isinstance(number, str):
        raise InvalidPhoneNumber(f"{field} must be a string such as {_EXAMPLE}", field=field)
    if not _E164.fullmatch(number):
        raise InvalidPhoneNumber(
            f"{field} {mask_number(number)} is not E.164: write + and the country code, no spaces, like {_EXAMPLE}",
            field=field,
        )
    import phonenumbers  # heavy: loaded on first use

    try:
        possible = phonenumbers.is_possible_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        raise InvalidPhoneNumber(
            f"{field} {mask_number(number)} is no possible number of its country: check its length and country code "
            f"(an example: {_EXAMPLE})",
            field=field,
        )
    return number


def mask_number(number: str) -> str:
    """
    Return a number as it may stand in a log: ``+14155551234`` → ``+1***1234``.

    Fewer than eight digits, or no number at all (a SIP user's name), give ``***``.
    """
    digits = re.sub(r"[^0-9]", "", number)
    if len(digits) < 8:
        return "***"
    sign = "+" if number.strip().startswith(("+", "%2B", "%2b")) else ""
    if number.strip()[:3].lower() == "%2b":
        digits = digits[1:]
    return f"{sign}{digits[0]}***{digits[-4:]}"


def mask_numbers(text: str) -> str:
    """
    Mask every phone number in free text, for example an error text of a carrier.

    Dates, IP addresses and UUIDs are left alone. Without a ``+``, seven digits in a row or ten with separators count.
    """
    return _IN_TEXT.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    text = found.group(0)
    if found["keep"] is not None:
        return text
    if found["bare"] is not None:
        digits = re.sub(r"[^0-9]", "", text)
        if not re.search(r"[0-9]{7}", text) and len(digits) < _BARE_WITH_SEPARATORS_DIGITS:
            return text
    return mask_number(text)
