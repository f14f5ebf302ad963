"""Uvicorn's protocol with the quick parser, and limits; for where ``httptools`` is installed."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from airflow_openai_realtime.switchboard.server.process.connection_limits import MOST_HEAD_BYTES, LimitedConnection


class LimitedHttpTools(LimitedConnection, HttpToolsProtocol):
    """
    The quick parser keeps request line and headers without a limit of their size, so they are counted here.

    A head that arrives in one piece is taken whatever its size: a piece is at most some hundred kilobytes.

    :param arguments: Those of uvicorn's protocol.
    :param keywords: Those of uvicorn's protocol.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._coming = self.NOTHING
        self._head_bytes = 0

    def receiving(self) -> str:
        """Which part of a request is still to come."""
        return self._coming

    def data_received(self, data: bytes) -> None:
        """Parse, and see whether a head is still not complete."""
        if self._coming == self.NOTHING:
            self._coming = self.HEAD  # also when the parser takes it for nothing, as an empty line
        super().data_received(data)
        if self._coming == self.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.refuse_large_head()

    def on_message_begin(self) -> None:
        """The first bytes of a request are there."""
        self._coming = self.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._coming = self.BODY
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The whole request is there."""
        self._coming = self.NOTHING
        super().on_message_complete()
