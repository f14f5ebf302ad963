"""The conversation that a task requests, as its trigger receives it: encrypted, since it may hold phone numbers."""

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
    The conversation that a task requests.

    :param plan: Plan of the conversation.
    :param prices: Prices of the user for the estimate of the cost, checked.
    :param call: The accepted call as the switchboard stored it; ``None``: the task still waits for a call. With a
        call, the trigger can begin without the switchboard.
    """

    plan: ConversationPlan
    prices: Mapping[str, Mapping[str, Any]] | None = None
    call: SwitchboardCall | None = None

    def of(self, call: SwitchboardCall) -> WantedConversation:
        """
        Return the conversation for an accepted call.

        :param call: The call.
        """
        return replace(self, call=call)

    def answered_with(self, answer: AnswerPlan) -> AnswerPlan:
        """
        Return the plan for accepting calls with the tools of this conversation added to its session.

        :param answer: The plan without these tools.
        :raises InvalidSession: The session is not valid with these tools.
        """
        from airflow_openai_realtime.api.session.realtime_session import parse_session

        session = with_tools(answer.session, self.plan)
        parse_session(session)
        return replace(answer, session=session)

    def seal(self, api_key: str) -> str:
        """
        Encrypt the conversation; the text is unreadable without the key.

        :param api_key: The API key of the connection.
        """
        call = None if self.call is None else self.call.to_dict()
        return seal({"plan": self.plan.to_dict(), "prices": self.prices, "call": call}, api_key)

    @classmethod
    def unseal(cls, sealed: str, api_key: str) -> WantedConversation:
        """
        Decrypt the text that :meth:`seal` returned.

        :param sealed: The text.
        :param api_key: The API key that it was sealed with.
        :raises ConfigurationError: It was sealed with another key, or the text was changed.
        """
        value = unseal(sealed, api_key, what="the plan of the conversation")
        call = value.get("call")
        return cls(
            plan=ConversationPlan.from_dict(value["plan"]),
            prices=value.get("prices"),
            call=None if call is None else SwitchboardCall.from_dict(call),
        )
