"""What the triggers of a process share: one feed, one client of each kind for each that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.switchboard.support import a_line

from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.inbound.shared_clients import shared_calls, shared_feed, shared_switchboard

ONE, OTHER = (SwitchboardAddress(f"http://127.0.0.1:9/{name}", "token", "support") for name in ("one", "other"))
KEY, OTHER_KEY = (replace(a_line().api, api_key=key) for key in ("sk-1", "sk-2"))

Share = Callable[[Any], AbstractAsyncContextManager[object]]


@pytest.mark.parametrize(
    ("share", "one", "other"),
    [(shared_feed, ONE, OTHER), (shared_switchboard, ONE, OTHER), (shared_calls, KEY, OTHER_KEY)],
)
async def test_who_asks_for_the_same_gets_the_same_as_long_as_it_is_used(share: Share, one: Any, other: Any) -> None:
    async with share(one) as first:
        async with share(one) as second, share(other) as different:
            assert second is first
            assert different is not first
        async with share(one) as third:
            assert third is first
    async with share(one) as later:
        assert later is not first
