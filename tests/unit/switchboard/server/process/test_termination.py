"""A switchboard that gets SIGTERM in a storm of deliveries: it stores and answers what it has taken."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter

import httpx
import pytest
from tests.unit.switchboard.standalone import Standalone
from tests.unit.switchboard.support import event_body, signed, until

from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store

SENDERS = 12
REFUSED = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""No connection, or one that was closed before a byte of an answer came."""


async def storm(standalone: Standalone, first: int, end_after_seconds: float) -> tuple[Counter[str], set[str]]:
    """Deliver as fast as it goes, with a connection for each delivery, and let the switchboard end meanwhile."""
    came: Counter[str] = Counter()
    acknowledged: set[str] = set()
    numbers = iter(range(first, first + 1_000_000))

    async def send() -> None:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            while True:
                number = next(numbers)
                body = event_body(number, created_at=time.time())
                headers = {**signed(body, number, at=time.time()), "Connection": "close"}
                try:
                    answer = await client.post(f"{standalone.url}/webhook", content=body, headers=headers)
                except REFUSED as error:
                    came[type(error).__name__] += 1
                    return
                came[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    acknowledged.add(f"rtc_{number}")

    senders = [asyncio.ensure_future(send()) for _ in range(SENDERS)]
    await until(lambda: acknowledged)
    await asyncio.sleep(end_after_seconds)
    standalone.process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(asyncio.gather(*senders), 90)
    return came, acknowledged


@pytest.mark.parametrize("workers", [1, 2])
async def test_nothing_that_was_acknowledged_is_lost_and_all_that_was_stored_is_acknowledged(
    store_url: str, workers: int
) -> None:
    with Standalone(store_url, workers=workers) as standalone:
        moment = random.uniform(0.0, 0.7)
        came, acknowledged = await storm(standalone, 0, moment)
        status = standalone.process.wait(60)
        log = standalone.log()
    assert status in (0, -signal.SIGTERM), log
    assert set(came) <= {"200", *(kind.__name__ for kind in REFUSED)}, f"told to end after {moment} s: {came}"
    assert "Traceback" not in log
    assert "Exception" not in log
    store = Store(store_url)
    store.prepare()
    stored = {call.call_id for call in store.calls.select("default", CallFilter(), 1_000_000, utc_now())}
    store.close()
    assert stored == acknowledged, f"told to end after {moment} s: {came}"
