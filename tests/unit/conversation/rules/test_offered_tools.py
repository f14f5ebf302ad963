from __future__ import annotations

import pytest
from tests.unit.conversation.talk import PLAN, SCHEMA

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.conversation.rules.offered_tools import offered_tools, tools_to_set, with_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan


def test_the_tools_of_a_plan_are_such_as_openai_takes() -> None:
    body = accept_call("rtc_1", with_tools({"instructions": "Help."}, PLAN)).body
    assert body is not None
    names = [tool["name"] for tool in body["tools"]]
    assert names == ["look_up", "book", "record_result", "transfer_call", "end_call"]
    assert body["instructions"] == "Help."


def test_the_result_is_asked_for_by_its_schema() -> None:
    (record,) = offered_tools(ConversationPlan(result_schema=SCHEMA, end_call=False))
    assert (record["name"], record["parameters"]) == ("record_result", SCHEMA)


def test_targets_are_offered_by_name_and_not_by_number() -> None:
    transfer = next(tool for tool in offered_tools(PLAN) if tool["name"] == "transfer_call")
    assert transfer["parameters"]["properties"]["target"]["enum"] == ["desk"]
    assert "- desk: A person" in transfer["description"]
    assert "415" not in str(transfer)


def test_a_plan_without_tools_leaves_the_session_as_it_is() -> None:
    assert with_tools({"instructions": "Help."}, ConversationPlan.only_listening()) == {"instructions": "Help."}


def test_tools_of_the_session_stay() -> None:
    own = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example.com", "require_approval": "never"}
    assert with_tools({"tools": [own]}, PLAN)["tools"][0] == own


@pytest.mark.parametrize(("names", "missing"), [([], True), (["end_call"], False), (["other"], True)])
def test_it_is_known_when_a_tool_is_missing(names: list[str], missing: bool) -> None:
    tools = [{"name": name} for name in names]
    wanted = [*tools, *offered_tools(ConversationPlan())]
    assert tools_to_set(tools, ConversationPlan()) == (wanted if missing else None)
