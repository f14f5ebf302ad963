"""Tools that a model may use during a call: functions of the DAG, and MCP servers that OpenAI calls."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from airflow_openai_realtime.api.session.session_part import JsonObject, NonEmpty, SessionPart


class FunctionTool(SessionPart):
    """
    A function that the model may call; the process on the sideband must answer.

    :param name: Unique among the functions.
    :param description: When and how to call it, and what to tell the caller meanwhile.
    :param parameters: JSON Schema of its arguments.
    """

    type: Literal["function"] = "function"
    name: NonEmpty
    description: str | None = None
    parameters: JsonObject | None = None


class McpToolFilter(SessionPart):
    """
    Picks tools of an MCP server.

    :param tool_names: By name.
    :param read_only: By the server's ``readOnlyHint``.
    """

    tool_names: list[str] | None = None
    read_only: bool | None = None


class McpApprovalFilter(SessionPart):
    """
    Says which tools need approval.

    :param always: These do.
    :param never: These do not.
    """

    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


def _plain_or_object(value: Any) -> str | None:
    if isinstance(value, (str, list, tuple)):
        return "<plain>"
    return "<object>" if isinstance(value, (dict, SessionPart)) else None


AllowedTools = Annotated[
    Annotated[list[str], Tag("<plain>")] | Annotated[McpToolFilter, Tag("<object>")],
    Discriminator(
        _plain_or_object,
        custom_error_type="unknown_type",
        custom_error_message="must be a list of tool names or an object with tool_names and read_only",
    ),
]

RequireApproval = Annotated[
    Annotated[Literal["always", "never"], Tag("<plain>")] | Annotated[McpApprovalFilter, Tag("<object>")],
    Discriminator(
        _plain_or_object,
        custom_error_type="unknown_type",
        custom_error_message="must be always, never or an object with always and never",
    ),
]


class McpTool(SessionPart):
    """
    An MCP server that OpenAI itself calls. Exactly one of ``server_url``, ``connector_id``, ``tunnel_id`` is needed.

    :param server_label: Names it in tool calls; unique among the servers.
    :param server_url: ``https://…``.
    :param connector_id: One of OpenAI's connectors; deprecated for models released after 2026-09-01.
    :param tunnel_id: ``tunnel_`` and 32 lower-case letters or digits.
    :param authorization: OAuth access token; a secret.
    :param headers: HTTP headers for the server; may hold secrets.
    :param server_description: What it is for.
    :param allowed_tools: Names, or a filter.
    :param allowed_callers: ``direct``, ``programmatic``.
    :param require_approval: ``always`` (OpenAI's default), ``never`` or a filter. A tool that needs approval does not
        run on a call that no process watches: a warning says so.
    :param defer_loading: Whether it is found by tool search only.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"headers", "allowed_tools", "allowed_callers", "require_approval"})

    type: Literal["mcp"] = "mcp"
    server_label: NonEmpty
    server_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    connector_id: (
        Literal[
            "connector_dropbox",
            "connector_gmail",
            "connector_googlecalendar",
            "connector_googledrive",
            "connector_microsoftteams",
            "connector_outlookcalendar",
            "connector_outlookemail",
            "connector_sharepoint",
        ]
        | None
    ) = None
    tunnel_id: Annotated[str, Field(pattern=r"^tunnel_[a-z0-9]{32}$")] | None = None
    authorization: str | None = Field(default=None, repr=False)
    headers: dict[str, str] | None = Field(default=None, repr=False)
    server_description: str | None = None
    allowed_tools: AllowedTools | None = None
    allowed_callers: Annotated[list[Literal["direct", "programmatic"]], Field(min_length=1)] | None = None
    require_approval: RequireApproval | None = None
    defer_loading: bool | None = None


def _tool_tag(value: Any) -> str | None:
    """Return the branch of a tool; without a type, an ``server_label`` makes it MCP and a ``name`` a function."""
    if not isinstance(value, dict):
        return f"<{value.type}>" if isinstance(value, (FunctionTool, McpTool)) else None
    kind = value.get("type")
    if kind is None:
        kind = "mcp" if "server_label" in value else "function" if "name" in value else None
    return f"<{kind}>" if isinstance(kind, str) else None


Tool = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[McpTool, Tag("<mcp>")],
    Discriminator(
        _tool_tag,
        custom_error_type="unknown_type",
        custom_error_message="must be an object with type function or mcp",
    ),
]


class ToolChoiceFunction(SessionPart):
    """
    Makes the model call one function.

    :param name: Name of a function among the tools.
    """

    type: Literal["function"] = "function"
    name: NonEmpty


class ToolChoiceMcp(SessionPart):
    """
    Makes the model call an MCP server.

    :param server_label: Label of a server among the tools.
    :param name: One tool of it; ``None`` is sent and means any.
    """

    nullable: ClassVar[frozenset[str]] = frozenset({"name"})

    type: Literal["mcp"] = "mcp"
    server_label: NonEmpty
    name: str | None = None


def _choice_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "<plain>"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<plain>")]
    | Annotated[ToolChoiceFunction, Tag("<function>")]
    | Annotated[ToolChoiceMcp, Tag("<mcp>")],
    Discriminator(
        _choice_tag,
        custom_error_type="unknown_type",
        custom_error_message="must be none, auto, required, or an object with type function or mcp",
    ),
]
