"""
The tools that a plan offers to the model, in OpenAI's format.

:func:`with_tools` puts them into the accept body, so that the model has them from the first word on. To a call that was
accepted without them, for example by a standing order, the runner of the conversation adds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.states import TRANSFER_CALL

END_CALL = "end_call"
RECORD_RESULT = "record_result"
#: Names that no function of a DAG author may have.
RESERVED_NAMES = (END_CALL, RECORD_RESULT, TRANSFER_CALL)

_END_CALL_TEXT = (
    "Ends the phone call. Call it when the conversation is over: say goodbye first, and call this in the same turn. "
    "Say nothing afterwards."
)
_RECORD_TEXT = (
    "Records what came of this phone call. Call it as soon as you know everything that it asks for, and before you say "
    "goodbye. Record only what the caller really said. Say nothing to the caller about recording it."
)
_TRANSFER_TEXT = (
    "Transfers the phone call to another person. Tell the caller so first, and call this in the same turn. Targets:"
)


def offered_tools(plan: ConversationPlan) -> list[dict[str, Any]]:
    """
    Return the tools of a plan, in the form of ``session.tools``.

    :param plan: Plan of the conversation.
    """
    tools = [_function(spec.name, spec.description, spec.parameters) for spec in plan.functions]
    if plan.result_schema is not None:
        tools.append(_function(RECORD_RESULT, _RECORD_TEXT, plan.result_schema))
    if plan.transfer_targets:
        tools.append(_transfer_tool(plan))
    if plan.end_call:
        tools.append(_function(END_CALL, _END_CALL_TEXT, {}))
    return tools


def with_tools(session: Mapping[str, Any], plan: ConversationPlan) -> dict[str, Any]:
    """
    Return a session configuration with the tools of a plan added.

    :param session: As for ``parse_session``; tools of the plan replace tools of the same name.
    :param plan: Plan of the conversation.
    """
    offered = offered_tools(plan)
    return {**session, "tools": joined(session.get("tools") or (), offered)} if offered else dict(session)


def joined(tools: Sequence[Mapping[str, Any]], offered: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the tools of a session, followed by those of a plan.

    :param tools: Tools of the session; those with a name of the plan are left out.
    :param offered: Tools of the plan, from :func:`offered_tools`.
    """
    names = {tool["name"] for tool in offered}
    return [*(dict(tool) for tool in tools if tool.get("name") not in names), *(dict(tool) for tool in offered)]


def tools_to_set(tools: Sequence[Mapping[str, Any]], plan: ConversationPlan) -> list[dict[str, Any]] | None:
    """
    Return the tools to give to a session that lacks a tool of a plan.

    :param tools: Tools of the session.
    :param plan: Plan of the conversation.
    :return: All tools that it then has; ``None`` when none is missing.
    """
    offered = offered_tools(plan)
    missing = {tool["name"] for tool in offered} - {tool.get("name") for tool in tools}
    return joined(tools, offered) if missing else None


def _transfer_tool(plan: ConversationPlan) -> dict[str, Any]:
    lines = [f"- {name}: {target.description}".rstrip(": ") for name, target in plan.transfer_targets.items()]
    target = {"type": "string", "enum": list(plan.transfer_targets)}
    parameters = {"type": "object", "properties": {"target": target}, "required": ["target"]}
    return _function(TRANSFER_CALL, "\n".join([_TRANSFER_TEXT, *lines]), parameters)


def _function(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    schema = dict(parameters) or {"type": "object", "properties": {}}
    return {"type": "function", "name": name, "description": description, "parameters": schema}
