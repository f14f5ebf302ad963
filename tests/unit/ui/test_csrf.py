"""A change is taken only from a script of the page itself."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from airflow_openai_realtime.ui.csrf import HEADER, check_same_site

GOOD = {"content-type": "application/json", HEADER.lower(): "1", "sec-fetch-site": "same-origin"}


def request(**changes: str | None) -> Request:
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    sent = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": sent})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sec_fetch_site": None},
        {"content_type": "Application/JSON; charset=utf-8"},
    ],
)
async def test_a_script_of_the_page_may_change_something(changes: dict[str, Any]) -> None:
    await check_same_site(request(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"content_type": None},
        {"content_type": "text/plain"},
        {"content_type": "text/plain; application/json"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {HEADER.lower().replace("-", "_"): None},
        {HEADER.lower().replace("-", "_"): "0"},
    ],
)
async def test_what_another_site_can_send_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(HTTPException) as refused:
        await check_same_site(request(**changes))
    assert refused.value.status_code == 403
    assert HEADER in refused.value.detail
