"""
All errors of this package, in one tree::

    OpenAIRealtimeError
    ├── InvalidInput                 an argument is invalid; nothing was sent
    │   ├── InvalidSession           the session configuration of a call
    │   └── InvalidPhoneNumber       not E.164
    ├── ConfigurationError           a connection or setting is missing or invalid; nothing was sent
    ├── WebhookVerificationError     a delivery that is not proven to come from OpenAI
    ├── CallError                    OpenAI's answer to accept, reject, refer or hang up
    │   ├── CallGone                 the call is over or never existed
    │   ├── CallAlreadyDecided       the call was accepted or rejected before
    │   ├── AcceptFailed             our accept failed, and the call has stopped ringing since
    │   ├── AuthenticationError      the key was refused
    │   ├── RequestRefused           any other 4xx
    │   ├── ServiceUnavailable       429, 5xx or no connection, after the last attempt
    │   └── OutcomeUnknown           the request was sent, but no answer came: it may have been carried out
    ├── SwitchboardError             the switchboard's answer
    │   ├── SwitchboardUnreachable   no connection, 5xx
    │   │   ├── StoreUnavailable     inside the switchboard: its store does not answer
    │   │   └── LinesUnavailable     inside the switchboard: a line cannot be looked up now
    │   │       └── TooManyLookups   too many unknown lines were looked up a moment ago
    │   ├── SwitchboardRefused       the token was refused, or the request was wrong
    │   │   └── ConversationSuperseded  another owner runs this conversation now, or it is finished
    │   ├── UnknownCall              the switchboard has no such call
    │   └── ClaimLost                another owner has the call, or it has stopped ringing
    │       └── MoveRefused          the state of a call or attempt does not allow the transition
    └── DialError                    the carrier's answer to placing a call
        ├── CarrierRefused           refused; no phone rang
        │   └── NumberRefused        this number cannot be dialed
        ├── CarrierUnavailable       the carrier was not reached; no phone rang
        └── PlacementUnknown         the request was sent, but no answer came: the phone may ring

All carry ``call_id``, ``status`` (an HTTP status) and ``safe_to_retry``: whether the same request may be sent
again without a second effect on a phone. No message holds a secret or a full phone number.
"""

from __future__ import annotations


class OpenAIRealtimeError(Exception):
    """
    Base of all errors of this package.

    :param message: What happened and what to do; no secret, no full phone number.
    :param call_id: OpenAI's id of the call; ``None``: the error does not concern a call.
    :param status: HTTP status of the answer that caused it; ``None``: there was no answer.
    :param safe_to_retry: Whether the same request may be sent again without a second effect; ``None``: the default of
        the class.
    """

    safe_to_retry: bool = False

    def __init__(
        self,
        message: str,
        *,
        call_id: str | None = None,
        status: int | None = None,
        safe_to_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.call_id = call_id
        self.status = status
        if safe_to_retry is not None:
            self.safe_to_retry = safe_to_retry


class InvalidInput(OpenAIRealtimeError, ValueError):
    """
    An argument is invalid. Raised before anything is sent.

    :param message: What is wrong, and what to do.
    :param field: Name of the field or parameter, with its path (``audio.output.speed``).
    :param call_id: OpenAI's id of the call.
    """

    def __init__(self, message: str, *, field: str | None = None, call_id: str | None = None) -> None:
        super().__init__(message, call_id=call_id)
        self.field = field


class InvalidSession(InvalidInput):
    """The session configuration has unknown, contradictory or out-of-range fields; the message names all of them."""


class InvalidPhoneNumber(InvalidInput):
    """A phone number is not E.164, for example ``+14155550123``."""


class ConfigurationError(OpenAIRealtimeError):
    """A connection or setting is incomplete, invalid or contradictory."""


class WebhookVerificationError(OpenAIRealtimeError):
    """
    A webhook delivery is not proven to come from OpenAI.

    :param message: What is wrong.
    :param reason: One of ``missing_header, bad_timestamp, too_old, too_new, bad_signature, no_secret, bad_secret,
        bad_body``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CallError(OpenAIRealtimeError):
    """
    OpenAI did not carry out a request for a call.

    :param message: What happened, and what to do.
    :param call_id: OpenAI's id of the call.
    :param status: HTTP status of the answer; ``None`` without one.
    :param safe_to_retry: Whether the same request may be sent again; ``None``: what holds for this kind of error.
    :param code: OpenAI's ``error.code``, for example ``call_id_not_found``.
    :param request_id: OpenAI's ``x-request-id``; may be missing on call endpoints.
    """

    may_have_happened: bool = False
    """Whether the request, or an earlier attempt to send it, may have been carried out despite the error."""

    def __init__(
        self,
        message: str,
        *,
        call_id: str | None = None,
        status: int | None = None,
        safe_to_retry: bool | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, call_id=call_id, status=status, safe_to_retry=safe_to_retry)
        self.code = code
        self.request_id = request_id


class CallGone(CallError):
    """The call is over, never existed, or belongs to another project or region (404, or 400 on hang up)."""


class CallAlreadyDecided(CallError):
    """The call was accepted or rejected before (``decision_already_made``)."""


class AcceptFailed(CallError):
    """The call is over and was not answered, since our accept failed while it rang. A retry cannot help."""


class AuthenticationError(CallError):
    """The API key was refused (401, 403)."""


class RequestRefused(CallError):
    """OpenAI refused the request for another reason (4xx); repeating it unchanged cannot help."""


class ServiceUnavailable(CallError):
    """Rate limit (429), server error (5xx) or no connection, after the last allowed attempt."""

    safe_to_retry = True


class OutcomeUnknown(CallError):
    """The request was sent, but no answer came: it may or may not have been carried out."""

    may_have_happened = True


class SwitchboardError(OpenAIRealtimeError):
    """The switchboard did not carry out a request."""


class SwitchboardUnreachable(SwitchboardError):
    """No connection to the switchboard, or it answered 5xx."""

    safe_to_retry = True


class SwitchboardRefused(SwitchboardError):
    """The switchboard refused the token (401, 403) or the request (4xx)."""


class ConversationSuperseded(SwitchboardRefused):
    """
    The requesting process no longer runs this conversation and must leave the call alone.

    :param message: What happened.
    :param code: ``superseded``: another owner has opened it; ``finished``: its outcome is stored.
    :param call_id: OpenAI's id of the call.
    :param status: HTTP status of the answer.
    """

    def __init__(
        self, message: str, *, code: str = "superseded", call_id: str | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, call_id=call_id, status=status)
        self.code = code


class UnknownCall(SwitchboardError):
    """The switchboard has never seen this call."""


class ClaimLost(SwitchboardError):
    """Another owner has the call, or it has stopped ringing."""


class DialError(OpenAIRealtimeError):
    """
    A carrier did not place a call.

    :param message: What happened, and what to do.
    :param status: HTTP status of the answer; ``None`` without one.
    :param safe_to_retry: Whether the same request may be sent again; ``None``: what holds for this kind of error.
    :param code: The carrier's own error code, for example Twilio's ``21211``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        safe_to_retry: bool | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, status=status, safe_to_retry=safe_to_retry)
        self.code = code


class CarrierRefused(DialError):
    """
    The carrier refused (4xx): no phone rang.

    Except for :class:`NumberRefused`, the reason is the account (key, balance, permissions, caller number), the rate or
    the request, and the same number may be dialed once that is corrected.
    """


class NumberRefused(CarrierRefused):
    """The carrier cannot dial this number: correct it."""


class CarrierUnavailable(DialError):
    """The carrier could not be reached: no phone rang."""

    safe_to_retry = True


class PlacementUnknown(DialError):
    """
    The request was sent, but no clear answer came: the phone may be ringing.

    The attempt is not dialed again automatically; look at the carrier's log first.
    """


class MoveRefused(ClaimLost):
    """
    The state of a call or an attempt does not allow the transition.

    :param message: What happened.
    :param code: A :class:`~airflow_openai_realtime.states.RefusalCode`. ``claimed_by_other``: another owner has the
        call; ``has_another``: the owner has another open call, and asked for at most one; ``not_ringing``: the call
        was rejected or accepted, or has stopped ringing; ``not_accepted``: it was not accepted; ``ended``: it is over;
        ``accept_failed``: it is over, and our accept failed while it rang; ``attempt_moved``: another client has
        changed the state of the attempt.
    :param call_id: OpenAI's id of the call.
    :param status: HTTP status of the answer.
    """

    def __init__(self, message: str, *, code: str, call_id: str | None = None, status: int | None = None) -> None:
        super().__init__(message, call_id=call_id, status=status)
        self.code = code


class StoreUnavailable(SwitchboardUnreachable):
    """The switchboard's own store cannot be reached; nothing was stored. A later retry is safe."""


class LinesUnavailable(SwitchboardUnreachable):
    """A line cannot be looked up now, for example because a secrets backend does not answer."""


class TooManyLookups(LinesUnavailable):
    """Too many names of unknown lines were looked up a moment ago."""
