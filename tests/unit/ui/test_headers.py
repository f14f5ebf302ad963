"""Every answer tells the browser to run nothing but the page's own script."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_openai_realtime.ui.headers import POLICY, SecureHeaders


async def sent_by(app: Any, kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    await SecureHeaders(app)({"type": kind}, receive, send)
    return sent


def answering(*headers: tuple[bytes, bytes], kind: str = "http.response.start") -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": kind, "status": 500, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"x"})

    return app


async def test_headers_are_added_to_an_error_as_well_and_the_body_is_left_alone() -> None:
    start, body = await sent_by(answering((b"content-type", b"text/html")))
    headers = dict(start["headers"])
    assert headers[b"content-type"] == b"text/html"
    assert headers[b"content-security-policy"] == POLICY.encode()
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert (start["status"], body) == (500, {"type": "http.response.body", "body": b"x"})


async def test_a_route_cannot_loosen_them() -> None:
    loose = ((b"cache-control", b"public"), (b"content-security-policy", b"default-src *"))
    start, _ = await sent_by(answering(*loose))
    assert [value for name, value in start["headers"] if name == b"cache-control"] == [b"no-store"]
    assert b"default-src *" not in dict(start["headers"]).values()


async def test_what_is_no_answer_of_http_is_passed_on_as_it_is() -> None:
    start, _ = await sent_by(answering(kind="websocket.accept"), "websocket")
    assert start["headers"] == []


@pytest.mark.parametrize("directive", ["script-src", "style-src", "connect-src", "img-src"])
def test_nothing_is_loaded_from_elsewhere_and_no_inline_script_runs(directive: str) -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules[directive] == "'self'"
    assert "unsafe" not in POLICY
