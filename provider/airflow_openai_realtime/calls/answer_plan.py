"""
How to answer calls: checked before any call comes, and kept until then.

A trigger gets the plan as an argument, and Airflow stores trigger arguments: encrypted in its database if a Fernet key
is set. Up to Airflow 3.2 its REST API shows them to all users who may read task instances. A session may hold
credentials of tools and personal data. The plan is therefore encrypted with the API key of the connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.caller_fields import check_caller_fields, fill_in
from airflow_openai_realtime.calls.sealing import seal, unseal
from airflow_openai_realtime.exceptions import InvalidInput

if TYPE_CHECKING:
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession


@dataclass(frozen=True)
class AnswerPlan:
    """
    What a call is accepted with.

    :param session: The session configuration, a dict in the form of ``RealtimeSession``, validated.
    :param max_duration_seconds: Longest call in seconds from the accept, above 0, at most 3,600.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder; ``None``: the instructions
        are sent unchanged.
    """

    session: Mapping[str, Any] = field(repr=False)
    max_duration_seconds: float
    caller_fields: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        session: RealtimeSession,
        max_duration_seconds: float,
        caller_fields: Mapping[str, Any] | None = None,
    ) -> AnswerPlan:
        """
        Make a plan. Reject what would otherwise fail when a call comes.

        :param session: The session configuration.
        :param max_duration_seconds: As for the class; already checked.
        :param caller_fields: As for the class.
        :raises InvalidInput: The fields are invalid, or do not match the placeholders of the instructions.
        """
        if caller_fields is not None:
            if session.instructions is None:
                raise InvalidInput(
                    "caller_fields need instructions with placeholders, for example 'The caller's number is "
                    "{caller_number}.'",
                    field="caller_fields",
                )
            check_caller_fields(caller_fields, session.instructions)
        plain = session.model_dump(mode="json", exclude_unset=True)
        return cls(plain, max_duration_seconds, dict(caller_fields) if caller_fields is not None else None)

    def session_for(self, call: SwitchboardCall) -> Mapping[str, Any]:
        """
        Return the session for one call.

        :param call: The incoming call; its fields are treated as hostile.
        """
        if self.caller_fields is None:
            return self.session
        return {**self.session, "instructions": fill_in(self.session["instructions"], self.caller_fields, call)}

    def seal(self, api_key: str) -> str:
        """
        Encrypt the plan; the text is unreadable without the key.

        :param api_key: The API key of the connection that will accept the calls.
        """
        plan = {
            "session": self.session,
            "max_duration_seconds": self.max_duration_seconds,
            "caller_fields": self.caller_fields,
        }
        return seal(plan, api_key)

    @classmethod
    def unseal(cls, sealed: str, api_key: str) -> AnswerPlan:
        """
        Decrypt the text that :meth:`seal` returned.

        :param sealed: The text.
        :param api_key: The API key that it was sealed with.
        :raises ConfigurationError: It was sealed with another key, or the text was changed.
        """
        return cls(**unseal(sealed, api_key, what="the configuration for answering calls"))
