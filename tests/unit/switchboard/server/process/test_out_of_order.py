"""What answers in place of a mounted switchboard that cannot be made."""

from __future__ import annotations

import httpx
import pytest

from airflow_openai_realtime.switchboard.server.process.out_of_order import out_of_order


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/health"), ("POST", "/webhook"), ("POST", "/webhook/support")]
)
async def test_everything_is_asked_to_come_back_later(method: str, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(out_of_order()), base_url="http://sb") as http:
        answer = await http.request(method, path, content=b"{}" if method == "POST" else None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert "see the log" in answer.json()["error"]["message"]


async def test_it_has_no_pages_of_its_own() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(out_of_order()), base_url="http://sb") as http:
        assert {(await http.get(path)).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {503}
