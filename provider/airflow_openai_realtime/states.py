"""
The vocabulary: states, outcomes and end reasons, and the limits that several parts share. Each is defined once, here.

The members are text, so JSON and SQL contain them unchanged.
"""

from __future__ import annotations

import enum

LONGEST_CALL_SECONDS = 3600.0
"""OpenAI ends a session after 60 minutes. Source: https://developers.openai.com/api/docs/guides/realtime"""

LINE_HEADER = "OpenAI-Realtime-Line"
"""Header that names the line in a request to the switchboard."""

LONGEST_WAIT_SECONDS = 25.0
"""Longest delay of the switchboard's answer to a long poll, in seconds."""

TRANSFER_CALL = "transfer_call"
"""Name of the tool with which the model transfers a call."""


class Word(str, enum.Enum):
    """A word of the vocabulary; ``str`` returns its value."""

    def __str__(self) -> str:
        return str(self.value)


class CallState(Word):
    """
    State of a call's row. It moves ``ringing → claimed → accepted → ended``, or to ``rejected`` or ``missed``.

    The first final state wins.
    """

    #: OpenAI has reported the call, and it may be accepted.
    RINGING = "ringing"
    #: An owner has claimed it and is about to accept it.
    CLAIMED = "claimed"
    #: OpenAI has accepted it, or has received the request to.
    ACCEPTED = "accepted"
    #: It was declined.
    REJECTED = "rejected"
    #: It is over.
    ENDED = "ended"
    #: It stopped ringing before an owner accepted it.
    MISSED = "missed"


OPEN_CALL_STATES = (CallState.RINGING, CallState.CLAIMED, CallState.ACCEPTED)
"""States from which a call can still change; the others are final."""

FINAL_CALL_STATES = tuple(state for state in CallState if state not in OPEN_CALL_STATES)
"""States that a call does not leave."""


class AttemptState(Word):
    """State of an attempt to reach a contact, in the ledger."""

    #: The row exists; no request was sent to the carrier.
    RESERVED = "reserved"
    #: The request to the carrier is about to be sent, or was sent.
    DIALING = "dialing"
    #: The carrier has accepted the request.
    PLACED = "placed"
    #: It is over; its outcome says how.
    ENDED = "ended"
    #: It is not known whether the carrier accepted the request. It is not dialed again automatically.
    UNKNOWN = "unknown"


class AttemptOutcome(Word):
    """Result of an attempt to reach a contact."""

    #: The call came in.
    ANSWERED = "answered"
    #: The dialed phone was busy.
    BUSY = "busy"
    #: The dialed phone was not answered.
    NO_ANSWER = "no_answer"
    #: The carrier refused the request, or the call failed.
    FAILED = "failed"
    #: It was canceled before it was answered.
    CANCELED = "canceled"
    #: A person or a voicemail picked up, but the call did not reach OpenAI, or was over before an owner took it.
    GONE = "gone"


class Outcome(Word):
    """How a call ended; the list is closed."""

    #: The conversation came to its end: the model ended the call, a task of ours did, or the caller hung up after the
    #: result was recorded.
    COMPLETED = "completed"
    #: The call ended, and not because of us. Inferred: OpenAI does not report who hung up.
    CALLER_HUNG_UP = "caller_hung_up"
    #: The task that ran it was killed: marked failed or successful, or its run failed.
    KILLED = "killed"
    #: Its time was over: ours, the switchboard's, or OpenAI's 60 minutes.
    MAX_DURATION = "max_duration"
    #: Neither side spoke for too long.
    SILENCE = "silence"
    #: The call ended after a transfer was requested. Whether the target answered is not known.
    TRANSFER_REQUESTED = "transfer_requested"
    #: The call was rejected.
    REJECTED = "rejected"
    #: The dialed phone was not answered.
    NO_ANSWER = "no_answer"
    #: The dialed phone was busy.
    BUSY = "busy"
    #: The call could not be placed or accepted, or an error ended its session.
    FAILED = "failed"
    #: The call was over before its owner could listen: the caller had left, or OpenAI accepted a session that it could
    #: not use.
    GONE = "gone"
    #: It is over, and how it ended is not known.
    UNKNOWN = "unknown"


class EndReason(Word):
    """
    Detailed reason for the end of a call. The list is open: OpenAI's error codes and reasons of clients also occur.

    Where the outcome says everything, the reason is the outcome's word.
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
    #: It ended after a transfer was requested.
    TRANSFER_REQUESTED = "transfer_requested"
    #: The other side hung up.
    CALLER_HUNG_UP = "caller_hung_up"
    #: It was declined.
    REJECTED = "rejected"
    #: OpenAI answered that there is no such call.
    GONE = "gone"
    #: The hang-up was refused, so OpenAI ends the call.
    HANG_UP_FAILED = "hang_up_failed"
    #: The decline was refused.
    REJECT_FAILED = "reject_failed"
    #: The accept was refused.
    ACCEPT_FAILED = "accept_failed"
    #: Another client of OpenAI accepted or declined it.
    DECIDED_ELSEWHERE = "decided_elsewhere"
    #: The carrier reported that it failed.
    CARRIER_FAILED = "carrier_failed"
    #: The carrier reported that it was busy.
    BUSY = "busy"
    #: The carrier reported that it was not answered.
    NO_ANSWER = "no_answer"
    #: OpenAI reported that the session's 60 minutes are over.
    SESSION_EXPIRED = "session_expired"
    #: The socket closed without a stated reason.
    SOCKET_CLOSED = "socket_closed"
    #: There was no session to attach to within seconds of the accept: the caller had left, or it never started.
    NO_SESSION = "no_session"
    #: There was no session to attach to at a later try: it may have existed in between.
    OVER_BEFORE_ATTACHING = "over_before_attaching"
    #: The socket was never open.
    NEVER_ATTACHED = "never_attached"
    #: The conversation's owner saved no end.
    NOT_SAVED = "not_saved"
    #: A client reported the end without a reason.
    ENDED = "ended"
    COMPLETED = "completed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class EndedBy(Word):
    """Who ended a call. Tasks and users are not listed: they appear under the name that they gave as ``by``."""

    AGENT = "agent"
    CALLER = "caller"
    CARRIER = "carrier"
    OPENAI = "openai"
    #: Its time limit, or its silence limit.
    LIMIT = "limit"


class Witness(Word):
    """How the end of a call is known; strongest witness first."""

    #: A person, a task, the model or the switchboard ended it: the hang-up was carried out, or may have been.
    API = "api"
    #: It was transferred, and ended after that.
    TRANSFER = "transfer"
    #: The carrier reported how it ended.
    CARRIER = "carrier"
    #: Its socket closed, or OpenAI reported why it closes.
    SOCKET = "socket"
    #: OpenAI answered that there is no such call.
    FOUND_GONE = "found_gone"


class RefusalCode(Word):
    """Why the switchboard refused a transition of a call, an attempt or a conversation."""

    #: Another owner has the call.
    CLAIMED_BY_OTHER = "claimed_by_other"
    #: The owner has another open call, and asked for at most one.
    HAS_ANOTHER = "has_another"
    #: It was rejected or accepted, or has stopped ringing.
    NOT_RINGING = "not_ringing"
    #: It was not accepted.
    NOT_ACCEPTED = "not_accepted"
    #: It is over.
    ENDED = "ended"
    #: It is over, and our accept failed while it rang.
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
    """Kind of event that a timeline entry of kind ``note`` records."""

    GREETED = "greeted"
    ATTACHED = "attached"
    OPENED_LATE = "opened_late"
    INTERRUPTED = "interrupted"
    ENDING = "ending"
    #: The switchboard listens because the owner's process is silent; no process had listened for ``gap_seconds``.
    STOOD_BY = "stood_by"
    #: The owner's process was there after all, so nothing was missed. Has the ``lease`` of STOOD_BY.
    STOOD_DOWN = "stood_down"
    #: The model called a tool while only the switchboard listened, which runs none: ``tool_call_id, name, arguments``.
    ASKED = "asked"
