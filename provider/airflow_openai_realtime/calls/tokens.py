"""The default bearer token of the private API, for lines without a token of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac

_LABEL = b"airflow-provider-openai-realtime switchboard token v1"


def derived_token(webhook_secret: str) -> str:
    """
    Derive the token of a line from its webhook secret. Client and switchboard derive the same token.

    The token does not reveal the secret: it is an HMAC-SHA256 of a fixed label under the secret.

    :param webhook_secret: As OpenAI shows it, for example ``whsec_…``; surrounding blanks are ignored.
    :returns: 43 characters, safe in a header.
    """
    digest = hmac.new(webhook_secret.strip().encode(), _LABEL, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def tokens_equal(presented: str, expected: str) -> bool:
    """
    Compare two tokens in constant time; an empty token equals none.

    :param presented: Token from a request, untrusted.
    :param expected: Token of the line.
    """
    return bool(presented) and bool(expected) and hmac.compare_digest(presented.encode(), expected.encode())
