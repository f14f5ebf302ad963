"""
How calls are to be answered: decided and checked before any comes, kept while nobody calls.

A trigger gets the plan as its argument, and Airflow keeps a trigger's arguments: encrypted in its database when it has
a key for that, and up to Airflow 3.2 its REST API shows them to everybody who may read task instances. A session may
hold credentials of tools and what a DAG author wrote about a person. So the plan travels sealed: only who has the
connection's API key can read it.
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

    :param session: The session configuration, as a dict of the shape of ``RealtimeSession``, checked.
    :param max_duration_seconds: When a call is ended at the latest, in seconds from accepting it, above 0, at most
        3,600.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder; ``None``: the instructions
        are sent as they are.
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
        Make a plan, and refuse what would fail only when a call comes.

        :param session: The session configuration.
        :param max_duration_seconds: As for the class; the caller has checked it.
        :param caller_fields: As for the class.
        :raises InvalidInput: The fields cannot be used, or do not fit the instructions.
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
        Write the plan as text that tells nothing to who has not the key.

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
        Read what :meth:`seal` wrote.

        :param sealed: The text.
        :param api_key: The same API key.
        :raises ConfigurationError: It was sealed with another key, or changed.
        """
        return cls(**unseal(sealed, api_key, what="what calls are answered with"))
