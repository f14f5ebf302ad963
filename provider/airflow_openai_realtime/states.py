"""
The vocabulary: states, outcomes and end reasons, and the limits that several parts share. Each is defined here once.

The members are text, so they travel as JSON and in SQL as they are.
"""

from __future__ import annotations

import enum

LONGEST_CALL_SECONDS = 3600.0
"""OpenAI ends a session after 60 minutes. Source: https://developers.openai.com/api/docs/guides/realtime"""

LINE_HEADER = "OpenAI-Realtime-Line"
"""Header that names the line in a request to the switchboard."""

LONGEST_WAIT_SECONDS = 25.0
"""How long the switchboard may hold back the answer to a long poll."""


class Word(str, enum.Enum):
    """A word of the vocabulary; as text it is its value."""

    def __str__(self) -> str:
        return str(self.value)


class CallState(Word):
    """
    State of a call's row. It moves ``ringing → claimed → accepted → ended``, or to ``rejected`` or ``missed``.

    The first final state wins.
    """

    #: OpenAI has told of the call, and it may be accepted.
    RINGING = "ringing"
    #: One owner has it, and is about to accept it.
    CLAIMED = "claimed"
    #: OpenAI has accepted it, or is being asked to.
    ACCEPTED = "accepted"
    #: It was declined.
    REJECTED = "rejected"
    #: It is over.
    ENDED = "ended"
    #: It rang out before an owner accepted it.
    MISSED = "missed"


OPEN_CALL_STATES = (CallState.RINGING, CallState.CLAIMED, CallState.ACCEPTED)
"""States from which a call can still change; the others are final."""


class AttemptState(Word):
    """State of an attempt to reach a contact, in the ledger."""

    #: The row is there; the carrier was not asked.
    RESERVED = "reserved"
    #: The carrier is about to be asked, or was.
    DIALING = "dialing"
    #: The carrier has taken the order.
    PLACED = "placed"
    #: It is over; its outcome says how.
    ENDED = "ended"
    #: Whether the carrier took the order is not known. Nothing dials it again by itself.
    UNKNOWN = "unknown"


class AttemptOutcome(Word):
    """What became of an attempt to reach a contact."""

    #: The call came in.
    ANSWERED = "answered"
    #: It was engaged.
    BUSY = "busy"
    #: The phone that was dialled was not answered.
    NO_ANSWER = "no_answer"
    #: The carrier refused the order, or the call failed.
    FAILED = "failed"
    #: It was taken back before it was answered.
    CANCELED = "canceled"
    #: A person or a voicemail picked up, but the call did not reach OpenAI, or was over before an owner took it.
    GONE = "gone"


class Outcome(Word):
    """How a call ended; the list is closed."""

    #: The conversation came to its end: the model ended the call, a task of ours did, or the caller hung up after the
    #: result was recorded.
    COMPLETED = "completed"
    #: The call ended and not by us. Inferred: OpenAI does not say who hung up.
    CALLER_HUNG_UP = "caller_hung_up"
    #: The task that held it was killed: marked failed or successful, or its run failed.
    KILLED = "killed"
    #: Its time was over: ours, the switchboard's, or OpenAI's 60 minutes.
    MAX_DURATION = "max_duration"
    #: Neither side spoke for too long.
    SILENCE = "silence"
    #: The call ended after a transfer was asked for. Whether the target answered is not known.
    TRANSFER_REQUESTED = "transfer_requested"
    #: The call was rejected.
    REJECTED = "rejected"
    #: The phone that was dialled was not answered.
    NO_ANSWER = "no_answer"
    #: It was engaged.
    BUSY = "busy"
    #: The call could not be made or accepted, or an error ended its session.
    FAILED = "failed"
    #: The call was over before its owner could listen: the caller had left, or OpenAI took a session that never lived.
    GONE = "gone"
    #: It is over, and nothing tells how.
    UNKNOWN = "unknown"


class EndReason(Word):
    """
    Why a call ended, in raw words. The list is open: OpenAI's error codes and what clients give come besides.

    Where an outcome says all there is to say, the reason is that outcome's word.
    """

    #: Its time was over.
    MAX_DURATION = "max_duration"
    #: Its task was killed.
    KILLED = "killed"
    #: A task or a user ended it.
    HUNG_UP = "hung_up"
    #: The triggerer stopped it.
    STOPPED = "stopped"
    #: The model ended it.
    END_CALL = "end_call"
    #: Neither side spoke for too long.
    SILENCE = "silence"
    #: It ended after a transfer was asked for.
    TRANSFER_REQUESTED = "transfer_requested"
    #: The other side hung up.
    CALLER_HUNG_UP = "caller_hung_up"
    #: It was declined.
    REJECTED = "rejected"
    #: OpenAI says that there is no such call.
    GONE = "gone"
    #: The hang-up was refused, so OpenAI ends the call.
    HANG_UP_FAILED = "hang_up_failed"
    #: The decline was refused.
    REJECT_FAILED = "reject_failed"
    #: The accept was refused.
    ACCEPT_FAILED = "accept_failed"
    #: Another client of OpenAI accepted or declined it.
    DECIDED_ELSEWHERE = "decided_elsewhere"
    #: The carrier says that it failed.
    CARRIER_FAILED = "carrier_failed"
    #: The carrier says that it was engaged.
    BUSY = "busy"
    #: The carrier says that it was not answered.
    NO_ANSWER = "no_answer"
    #: OpenAI says that the session's 60 minutes are over.
    SESSION_EXPIRED = "session_expired"
    #: The socket closed, and nothing says why.
    SOCKET_CLOSED = "socket_closed"
    #: There was nothing to attach to within seconds of the accept: the caller has left, or the session never lived.
    NO_SESSION = "no_session"
    #: There was nothing to attach to at a later try: the call may have lived in between.
    OVER_BEFORE_ATTACHING = "over_before_attaching"
    #: The socket was never open.
    NEVER_ATTACHED = "never_attached"
    #: The conversation's owner saved no end.
    NOT_SAVED = "not_saved"
    #: A client says no more than that it ended.
    ENDED = "ended"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class EndedBy(Word):
    """Who ended a call, besides tasks and users, who are named by what they gave as ``by``."""

    AGENT = "agent"
    CALLER = "caller"
    CARRIER = "carrier"
    OPENAI = "openai"
    #: Its own time, or too long a silence.
    LIMIT = "limit"


class Witness(Word):
    """How the end of a call is known; the strongest first."""

    #: A person, a task, the model or the switchboard ended it: the hang-up was carried out, or may have been.
    API = "api"
    #: It was transferred, and ended after that.
    TRANSFER = "transfer"
    #: The carrier says how it ended.
    CARRIER = "carrier"
    #: Its socket closed, or OpenAI said why it closes.
    SOCKET = "socket"
    #: OpenAI says that there is no such call.
    FOUND_GONE = "found_gone"


class RefusalCode(Word):
    """Why the switchboard refused to move a call, an attempt or a conversation."""

    #: Another owner has the call.
    CLAIMED_BY_OTHER = "claimed_by_other"
    #: The owner has another open call, and said that it must not.
    HAS_ANOTHER = "has_another"
    #: It was rejected, accepted or rang out.
    NOT_RINGING = "not_ringing"
    #: It was not accepted.
    NOT_ACCEPTED = "not_accepted"
    #: It is over.
    ENDED = "ended"
    #: It is over, and an accept of ours had failed while it rang.
    ACCEPT_FAILED = "accept_failed"
    #: Another client has changed the attempt's state.
    ATTEMPT_MOVED = "attempt_moved"
    #: A later owner has opened the conversation.
    SUPERSEDED = "superseded"
    #: The conversation is finished.
    FINISHED = "finished"


class EntryKind(Word):
    """Kind of a timeline entry."""

    #: What the caller said.
    CALLER = "caller"
    #: What the agent said.
    AGENT = "agent"
    #: A key of the phone (DTMF).
    KEY = "key"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    USAGE = "usage"
    ERROR = "error"
    NOTE = "note"


class Note(Word):
    """What a timeline entry of kind ``note`` is about."""

    GREETED = "greeted"
    ATTACHED = "attached"
    OPENED_LATE = "opened_late"
    INTERRUPTED = "interrupted"
    ENDING = "ending"
    #: The switchboard listens, since the process of the owner is silent; for ``gap_seconds`` no process had.
    STOOD_BY = "stood_by"
    #: That process came back: it has heard itself what was counted as missed. The same ``lease`` as of STOOD_BY.
    STOOD_DOWN = "stood_down"
    #: The model called a tool while only the switchboard listened, which runs none: ``tool_call_id, name, arguments``.
    ASKED = "asked"
