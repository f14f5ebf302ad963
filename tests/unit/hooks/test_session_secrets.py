from __future__ import annotations

import pytest
from airflow.sdk._shared.secrets_masker import redact

from airflow_openai_realtime.hooks.session_secrets import (
    hide_session_secrets,
    hide_session_secrets_async,
    secrets_in,
)

TOOL = {
    "type": "mcp",
    "server_label": "crm",
    "authorization": "oauth-secret-1",
    "headers": {"X-Key": "header-secret-1", "X-Empty": ""},
}


@pytest.mark.parametrize(
    "value",
    [
        TOOL,
        [TOOL],
        ({"type": "function", "name": "f"}, TOOL),
        {"tools": [TOOL]},
        {key: value for key, value in TOOL.items() if key != "type"},
    ],
)
def test_the_credentials_of_tools_are_found_wherever_the_tools_are(value: object) -> None:
    assert list(secrets_in(value)) == ["oauth-secret-1", "header-secret-1"]


@pytest.mark.parametrize("value", [None, "text", 5, {"tools": None}, {"type": "mcp", "headers": ["x"]}, [[]]])
def test_anything_else_has_none(value: object) -> None:
    assert list(secrets_in(value)) == []


def test_they_are_masked_from_then_on() -> None:
    hide_session_secrets({"tools": [{**TOOL, "authorization": "oauth-secret-sync"}]})
    assert "oauth-secret-sync" not in str(redact("bearer oauth-secret-sync"))


async def test_they_are_masked_from_within_an_event_loop_too() -> None:
    await hide_session_secrets_async([{**TOOL, "authorization": "oauth-secret-async"}])
    assert "oauth-secret-async" not in str(redact("bearer oauth-secret-async"))
