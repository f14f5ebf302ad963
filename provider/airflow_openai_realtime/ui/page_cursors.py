"""
Encrypted cursors of the page: a cursor names the last call that was read, which the user may not be allowed to see.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from airflow_openai_realtime.calls.recent import Place
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_LABEL = b"airflow-provider-openai-realtime calls page cursor v1"
_BLOCK = 512
"""Cursors are padded to a multiple of so many bytes, so that their length reveals nothing."""

_LONGEST = 4000


class SealedCursors:
    """
    Encrypts and decrypts cursors.

    :param secret: The same in all processes that serve the page; ``None``: random, for this process alone.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or os.urandom(32)

    def seal(self, place: Place) -> str:
        """
        Encrypt a place; only this page can read the text.

        :param place: A place in the list.
        """
        text = str(place)
        padded = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
        sealed: str = self._fernet().encrypt(padded.encode()).decode()
        return sealed

    def read(self, text: str) -> Place:
        """
        Decrypt a cursor.

        :param text: Text from a client, untrusted.
        :raises InvalidInput: It is not a cursor, or comes from a page with another secret.
        """
        from cryptography.fernet import InvalidToken

        try:
            if len(text) > _LONGEST:
                raise ValueError
            plain = self._fernet().decrypt(text.encode("ascii")).decode().strip()
        except (InvalidToken, ValueError):
            raise InvalidInput("before must be a cursor from an earlier answer, unchanged", field="before") from None
        return Place.parse(plain)

    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet  # loaded on first use

        digest = hmac.new(self._secret, _LABEL, hashlib.sha256).digest()
        return Fernet(base64.urlsafe_b64encode(digest))
