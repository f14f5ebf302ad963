"""What a store and a client say when a move of a call or an attempt does not happen."""

from __future__ import annotations

from airflow_openai_realtime.exceptions import ClaimLost, SwitchboardUnreachable

CLAIMED_BY_OTHER = "claimed_by_other"
HAS_ANOTHER = "has_another"
NOT_RINGING = "not_ringing"
NOT_ACCEPTED = "not_accepted"
ENDED = "ended"
ACCEPT_FAILED = "accept_failed"
ATTEMPT_MOVED = "attempt_moved"
SUPERSEDED = "superseded"
FINISHED = "finished"


class MoveRefused(ClaimLost):
    """
    A call or an attempt is not in the state that the move starts from.

    :param code: ``claimed_by_other``: another claimant has the call; ``has_another``: the claimant has another open
        call, and said that it must not; ``not_ringing``: it was rejected, accepted or rang out; ``not_accepted``: it
        was not accepted; ``ended``: it is over; ``accept_failed``: it is over, and an accept of ours had failed while
        it rang; ``attempt_moved``: another client has changed the attempt's state.
    """

    def __init__(self, message: str, *, code: str, call_id: str | None = None, status: int | None = None) -> None:
        super().__init__(message, call_id=call_id, status=status)
        self.code = code


class StoreUnavailable(SwitchboardUnreachable):
    """The switchboard's own store cannot be reached; nothing was stored. Asking again later is safe."""


class LinesUnavailable(SwitchboardUnreachable):
    """A line cannot be looked up now, for example because a secrets backend does not answer."""


class TooManyLookups(LinesUnavailable):
    """Too many names of lines that are not there were asked for a moment ago."""
