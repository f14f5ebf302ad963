"""Tools of a session: which branch an object is, and what of an MCP server is secret."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.api.session.session_part import SessionPart
from airflow_openai_realtime.api.session.tools import (
    FunctionTool,
    McpApprovalFilter,
    McpTool,
    McpToolFilter,
    Tool,
    ToolChoice,
    ToolChoiceFunction,
    ToolChoiceMcp,
)
from airflow_openai_realtime.exceptions import InvalidSession

TUNNEL = "tunnel_" + "a1" * 16


class Holder(SessionPart):
    """Where a session has these unions."""

    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None


def sent(part: Any) -> dict[str, Any]:
    body: dict[str, Any] = part.model_dump(exclude_unset=True)
    return body


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"type": "function", "name": "f"}, FunctionTool),
        ({"name": "f"}, FunctionTool),
        ({"server_label": "crm"}, McpTool),
        ({"server_label": "crm", "type": "mcp"}, McpTool),
        (FunctionTool(name="f"), FunctionTool),
        (McpTool(server_label="crm"), McpTool),
    ],
)
def test_a_tool_without_a_type_is_what_its_fields_say(given: Any, kind: type) -> None:
    tools = Holder(tools=[given]).tools
    assert tools is not None
    assert type(tools[0]) is kind
    assert sent(tools[0])["type"] == ("mcp" if kind is McpTool else "function")


@pytest.mark.parametrize("given", [{}, {"type": "web_search"}, {"type": 7, "name": "f"}, "f", 7, None])
def test_what_is_neither_is_refused_with_its_place(given: Any) -> None:
    with pytest.raises(InvalidSession, match=r"tools\.1: must be an object with type function or mcp"):
        Holder(tools=[{"name": "f"}, given])


@pytest.mark.parametrize(
    "given",
    [
        {"server_url": "https://crm.example/mcp"},
        {"connector_id": "connector_gmail"},
        {"tunnel_id": TUNNEL},
        {"allowed_tools": ["find"]},
        {"allowed_callers": ["direct"]},
        {"require_approval": "never"},
        {"headers": None},
    ],
)
def test_a_field_of_an_mcp_server_is_sent_as_it_was_given(given: dict[str, Any]) -> None:
    assert sent(McpTool(server_label="crm", **given)) == {"type": "mcp", "server_label": "crm", **given}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_url", "crm.example"),
        ("server_url", "https://a b"),
        ("server_url", "ftp://crm.example"),
        ("connector_id", "connector_jira"),
        ("tunnel_id", TUNNEL[:-1]),
        ("tunnel_id", TUNNEL.upper()),
        ("allowed_callers", []),
        ("allowed_callers", ["anyone"]),
        ("headers", {"a": 7}),
        ("require_approval", "sometimes"),
        ("require_approval", 7),
        ("allowed_tools", 7),
        ("server_label", ""),
    ],
)
def test_a_field_that_openai_would_refuse_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidSession) as refused:
        McpTool(**{"server_label": "crm", name: value})
    assert str(refused.value.field).split(".")[0] == name


def test_tools_and_approvals_can_be_filtered() -> None:
    tool = McpTool(
        server_label="crm",
        allowed_tools={"read_only": True},
        require_approval={"always": {"tool_names": ["delete"]}, "never": {"read_only": True}},
    )
    assert tool.allowed_tools == McpToolFilter(read_only=True)
    assert tool.require_approval == McpApprovalFilter(
        always=McpToolFilter(tool_names=["delete"]), never=McpToolFilter(read_only=True)
    )


def test_no_secret_of_an_mcp_server_shows() -> None:
    tool = McpTool(server_label="crm", authorization="hunter2", headers={"X-Key": "hunter3"})
    assert "hunter" not in repr(tool)
    assert sent(tool)["headers"] == {"X-Key": "hunter3"}


def test_the_parameters_of_a_function_are_an_object_of_json() -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}}
    assert sent(FunctionTool(name="book", parameters=schema))["parameters"] == schema
    for wrong in ({"a": float("nan")}, ["day"], "day"):
        with pytest.raises(InvalidSession, match="parameters"):
            FunctionTool(name="book", parameters=wrong)


@pytest.mark.parametrize(
    ("given", "sends"),
    [
        ("required", "required"),
        ({"type": "function", "name": "f"}, ToolChoiceFunction(name="f")),
        ({"type": "mcp", "server_label": "crm", "name": None}, ToolChoiceMcp(server_label="crm", name=None)),
        (ToolChoiceFunction(name="f"), ToolChoiceFunction(name="f")),
    ],
)
def test_a_choice_is_a_word_or_names_a_tool(given: Any, sends: Any) -> None:
    assert Holder(tool_choice=given).tool_choice == sends


@pytest.mark.parametrize("given", ["always", {"name": "f"}, 7, {"type": "function"}, {"type": "mcp"}])
def test_any_other_choice_is_refused(given: Any) -> None:
    with pytest.raises(InvalidSession, match="tool_choice"):
        Holder(tool_choice=given)


def test_any_tool_of_a_server_is_chosen_by_null() -> None:
    assert sent(ToolChoiceMcp(server_label="crm", name=None))["name"] is None
    assert "name" not in sent(ToolChoiceMcp(server_label="crm"))
