"""Phone numbers: their one spelling, and masking for logs and messages."""

from __future__ import annotations

import re
from functools import lru_cache

from airflow_openai_realtime.exceptions import InvalidPhoneNumber

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EXAMPLE = "+14155550123"
#: How many prefixes may stand before a number, one removed at a time.
_MOST_PREFIXES = 4

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
_LOCAL_DIGITS = 6


def to_e164(number: str, field: str = "to") -> str:
    """
    Return the one spelling of a phone number: E.164, without the trunk prefix that some write after the country code.

    ``+4402071838750`` and ``+442071838750`` are one phone; both give ``+442071838750``.

    :param number: ``+``, country code, number; no spaces, for example ``+14155550123``.
    :param field: Name of the parameter, for the message.
    :raises InvalidPhoneNumber: Another shape, or not possible as a whole number: a length that the country does not
        have, or a number without its area code. The message masks it.

    Source: ITU-T E.164; lengths and trunk prefixes from the ``phonenumbers`` package.
    """
    if not isinstance(number, str):
        raise InvalidPhoneNumber(f"{field} must be a string such as {_EXAMPLE}", field=field)
    if not _E164.fullmatch(number):
        raise InvalidPhoneNumber(
            f"{field} {mask_number(number)} is not E.164: write + and the country code, no spaces, like {_EXAMPLE}",
            field=field,
        )
    spelled = _one_spelling(number)
    if spelled is None:
        raise InvalidPhoneNumber(
            f"{field} {mask_number(number)} is no possible number of its country: check its length, area code and "
            f"country code (an example: {_EXAMPLE})",
            field=field,
        )
    return spelled


def canonical_number(text: str) -> str:
    """
    Return the one spelling of a phone number as :func:`to_e164` does; any other text unchanged, without an error.

    :param text: What a caller, a contact list or an older ledger row calls a number. Untrusted.
    """
    if not _E164.fullmatch(text):
        return text
    return _one_spelling(text) or text


def number_with_plus(text: str) -> str | None:
    """
    Return digits that a trunk sent without the ``+`` in the one spelling of a phone number.

    Only for comparing: a number without its country code can look like one of another country, so it is not to be
    dialed.

    :param text: ``14155550123`` or ``0014155550123``. Untrusted.
    :returns: ``+14155550123``; ``None`` when it is no number, or not possible as a whole number with a country code.
    """
    digits = text.removeprefix("00")
    return _one_spelling(f"+{digits}") if _E164.fullmatch(f"+{digits}") else None


def canonical_pattern(pattern: str) -> str:
    """
    Return a pattern for phone numbers as it is compared with numbers in their one spelling.

    A pattern without wildcards is read as a number. One with them loses the trunk prefix 0 behind the country code:
    ``+44020*`` gives ``+4420*``, since no number in its one spelling has that 0.

    :param pattern: Text with ``*`` and ``?``; other text than a number with ``+`` is returned unchanged.
    """
    if not pattern.startswith("+"):
        return pattern
    return _without_trunk_zero(pattern) if "*" in pattern or "?" in pattern else canonical_number(pattern)


def load_number_rules() -> None:
    """Load the library of number rules now, so that the first call of a process does not wait for it."""
    canonical_number(_EXAMPLE)


@lru_cache(maxsize=4096)
def _one_spelling(number: str) -> str | None:
    """Return E.164 of what has its shape; ``None`` when it is not possible as a whole number."""
    import phonenumbers  # heavy: loaded on first use

    for _ in range(_MOST_PREFIXES):
        try:
            parsed = phonenumbers.parse(number, None)
        except phonenumbers.NumberParseException:
            return None
        # Not is_possible_number: that takes a number without its area code, too.
        if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
            return None
        spelled = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        if spelled == number:
            return number
        number = spelled
    return None


@lru_cache(maxsize=1024)
def _without_trunk_zero(pattern: str) -> str:
    import phonenumbers

    for digits in (1, 2, 3):
        code, rest = pattern[1 : 1 + digits], pattern[1 + digits :]
        if not (code.isascii() and code.isdigit()):
            break
        if int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            region = phonenumbers.region_code_for_country_code(int(code))
            # Elsewhere a 0 here belongs to the number (Italy), or a prefix such as 8 may (Russia).
            if rest.startswith("0") and phonenumbers.ndd_prefix_for_region(region, True) == "0":
                return f"+{code}{rest[1:]}"
            break
    return pattern


def mask_number(number: str) -> str:
    """
    Return a number as it may stand in a log: ``+14155551234`` → ``+1***1234``.

    Fewer than eight digits, or no number at all (a SIP user's name), give ``***``.

    :param number: A phone number in any spelling, or any other text.
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

    :param text: Any text.
    """
    return _IN_TEXT.sub(_masked, text)


def mask_contact(contact: str, number: str | None) -> str:
    """
    Return a contact's key as it may be shown: phone numbers in it are masked, a customer's id is not.

    :param contact: The key, as the author of the DAG gave it; often the number itself.
    :param number: The contact's number, E.164; ``None`` when it is not known: then whatever may be a number is masked.
    """
    if number is None:
        return mask_numbers(contact)
    digits = re.sub(r"[^0-9]", "", contact).lstrip("0")
    if len(digits) >= _LOCAL_DIGITS and re.sub(r"[^0-9]", "", number).endswith(digits):
        return mask_number(number)
    return _IN_TEXT.sub(lambda found: found.group(0) if found["plus"] is None else _masked(found), contact)


def _masked(found: re.Match[str]) -> str:
    text = found.group(0)
    if found["keep"] is not None:
        return text
    if found["bare"] is not None:
        digits = re.sub(r"[^0-9]", "", text)
        if not re.search(r"[0-9]{7}", text) and len(digits) < _BARE_WITH_SEPARATORS_DIGITS:
            return text
    return mask_number(text)
