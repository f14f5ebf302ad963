from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, TransferTarget
from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
from airflow_openai_realtime.exceptions import ConfigurationError

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
PLAN = ConversationPlan(greeting="Hi.", transfer_targets={"desk": TransferTarget("tel:+14155550177")})
CALL = SwitchboardCall("rtc_1", "default", "accepted", NOW, NOW, "+14155550123", hangup_at=NOW, accepted_at=NOW)


def test_it_travels_sealed_and_comes_back_the_same() -> None:
    wanted = WantedConversation(PLAN, {"gpt-realtime-2.1": {"audio_output": 1.0}}).of(CALL)
    sealed = wanted.seal("key")
    assert "+1415555" not in sealed
    assert WantedConversation.unseal(sealed, "key") == wanted
    assert WantedConversation.unseal(WantedConversation(PLAN).seal("key"), "key").call is None


def test_another_key_cannot_read_it() -> None:
    with pytest.raises(ConfigurationError, match="the plan of the conversation"):
        WantedConversation.unseal(WantedConversation(PLAN).seal("key"), "another key")


def test_calls_are_accepted_with_its_tools() -> None:
    answer = AnswerPlan({"instructions": "Be kind."}, 60)
    session = WantedConversation(PLAN).answered_with(answer).session
    assert [tool["name"] for tool in session["tools"]] == ["transfer_call", "end_call"]
    assert session["instructions"] == "Be kind."
