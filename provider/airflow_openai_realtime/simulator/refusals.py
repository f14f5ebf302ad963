"""How the imitated services refuse a request: one exception, and the two forms of its body."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """
    A request that is answered with an error. Never leaves the simulator as an exception.

    :param status: HTTP status.
    :param code: OpenAI's word (``call_id_not_found``) or Twilio's number (``21211``).
    :param message: What the service says about it.
    :param error_type: OpenAI's ``error.type``.
    :param param: OpenAI's ``error.param``: path of the field that is wrong.
    :param retry_after_seconds: Value of the ``retry-after`` header; None sends none.
    """

    def __init__(
        self,
        status: int,
        code: str | int | None,
        message: str,
        *,
        error_type: str = "invalid_request_error",
        param: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.error_type = error_type
        self.param = param
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with it."""
        if self.retry_after_seconds is None:
            return {}
        return {"retry-after": f"{self.retry_after_seconds:g}"}

    def openai_body(self) -> dict[str, Any]:
        """
        The body as OpenAI shapes it.

        Source: https://platform.openai.com/docs/guides/error-codes
        """
        error = {"message": self.message, "type": self.error_type, "param": self.param, "code": self.code}
        return {"error": error}

    def twilio_body(self) -> dict[str, Any]:
        """
        The body as Twilio shapes it.

        Source: https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions
        """
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def call_gone() -> Refusal:
    """What OpenAI says of a call that is over or never was. Observed by several users, 2025 and 2026."""
    return Refusal(404, "call_id_not_found", "No session found for the provided call_id")


def already_decided() -> Refusal:
    """
    What OpenAI says to a second decision about a call. The HTTP status is not documented; 400 is assumed.

    Source: https://developers.openai.com/api/docs/guides/voice-sip
    """
    return Refusal(400, "decision_already_made", "A decision was already made for this call.")


def missing_parameter(param: str) -> Refusal:
    """What OpenAI says when a field that is required is absent."""
    return Refusal(400, "missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)
