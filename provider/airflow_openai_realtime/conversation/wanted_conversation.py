"""What a task wants of a call, as it travels to the trigger that runs it: sealed, since it may hold phone numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.sealing import seal, unseal
from airflow_openai_realtime.conversation.rules.offered_tools import with_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan


@dataclass(frozen=True)
class WantedConversation:
    """
    What is to happen in a call.

    :param plan: What happens.
    :param prices: Own prices for the estimate of the cost, checked.
    :param call: The accepted call, as the switchboard had it; ``None``: it is still waited for. With it, who runs the
        call needs no switchboard to begin.
    """

    plan: ConversationPlan
    prices: Mapping[str, Mapping[str, Any]] | None = None
    call: SwitchboardCall | None = None

    def of(self, call: SwitchboardCall) -> WantedConversation:
        """
        Return the same for a call that was accepted.

        :param call: The call.
        """
        return replace(self, call=call)

    def answered_with(self, answer: AnswerPlan) -> AnswerPlan:
        """
        Return what calls are accepted with, when this conversation follows: with its tools in the session.

        :param answer: What calls would be accepted with alone.
        :raises InvalidSession: The session cannot have these tools.
        """
        from airflow_openai_realtime.api.session.realtime_session import parse_session

        session = with_tools(answer.session, self.plan)
        parse_session(session)
        return replace(answer, session=session)

    def seal(self, api_key: str) -> str:
        """
        Write it as text that tells nothing to who has not the key.

        :param api_key: The API key of the connection.
        """
        call = None if self.call is None else self.call.to_dict()
        return seal({"plan": self.plan.to_dict(), "prices": self.prices, "call": call}, api_key)

    @classmethod
    def unseal(cls, sealed: str, api_key: str) -> WantedConversation:
        """
        Read what :meth:`seal` wrote.

        :param sealed: The text.
        :param api_key: The same API key.
        :raises ConfigurationError: It was sealed with another key, or changed.
        """
        value = unseal(sealed, api_key, what="what is to happen in the call")
        call = value.get("call")
        return cls(
            plan=ConversationPlan.from_dict(value["plan"]),
            prices=value.get("prices"),
            call=None if call is None else SwitchboardCall.from_dict(call),
        )
