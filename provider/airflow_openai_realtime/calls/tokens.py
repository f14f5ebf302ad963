"""The bearer token of the private API, for lines that set none of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac

_LABEL = b"airflow-provider-openai-realtime switchboard token v1"


def derived_token(webhook_secret: str) -> str:
    """
    Derive a line's token from its webhook secret, the same on both sides, so that a user need not invent one.

    The token does not reveal the secret: it is an HMAC-SHA256 of a fixed label under the secret.

    :param webhook_secret: As OpenAI shows it, for example ``whsec_…``; blanks around it do not count.
    :returns: 43 characters, safe in a header.
    """
    digest = hmac.new(webhook_secret.strip().encode(), _LABEL, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def tokens_equal(presented: str, expected: str) -> bool:
    """
    Whether two tokens are the same, compared in constant time; an empty one never is.

    :param presented: Token that a client brings.
    :param expected: Token that would be right.
    """
    return bool(presented) and bool(expected) and hmac.compare_digest(presented.encode(), expected.encode())
