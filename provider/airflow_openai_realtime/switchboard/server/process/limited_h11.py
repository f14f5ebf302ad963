"""Uvicorn's protocol with the parser that is always there, and limits; that parser limits the head's size by itself."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_openai_realtime.switchboard.server.process.connection_limits import LimitedConnection


class LimitedH11(LimitedConnection, H11Protocol):
    """For where ``httptools`` is not installed."""

    def receiving(self) -> str:
        """Which part of a request is still to come."""
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            return self.BODY
        return self.HEAD if state is h11.IDLE and self.conn.trailing_data[0] else self.NOTHING
