"""A switchboard killed in the middle of a storm of deliveries loses no call that it has acknowledged."""

from __future__ import annotations

import asyncio
import random
import time

import httpx
from tests.unit.switchboard.standalone import Standalone
from tests.unit.switchboard.support import event_body, signed, until

from airflow_openai_realtime.switchboard.server.service import utc_now
from airflow_openai_realtime.switchboard.server.store import CallFilter, Store

ROUNDS = 3
SENDERS = 12


async def storm(standalone: Standalone, first: int, kill_after_seconds: float) -> set[str]:
    """Deliver as fast as it goes, kill the switchboard, and return the calls it had acknowledged."""
    acknowledged: set[str] = set()
    numbers = iter(range(first, first + 1_000_000))
    over = asyncio.Event()

    async def send(client: httpx.AsyncClient) -> None:
        while not over.is_set():
            number = next(numbers)
            body = event_body(number, created_at=time.time())
            headers = signed(body, number, at=time.time())
            try:
                answer = await client.post(f"{standalone.url}/webhook", content=body, headers=headers)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                acknowledged.add(f"rtc_{number}")

    async with httpx.AsyncClient(timeout=30) as client:
        senders = [asyncio.ensure_future(send(client)) for _ in range(SENDERS)]
        await until(lambda: acknowledged)
        await asyncio.sleep(kill_after_seconds)
        standalone.kill()
        over.set()
        await asyncio.gather(*senders)
    return acknowledged


async def test_kill_9_loses_no_acknowledged_call(store_url: str) -> None:
    acknowledged: set[str] = set()
    for number in range(ROUNDS):
        with Standalone(store_url, workers=1 + number % 2) as standalone:
            moment = random.uniform(0.0, 0.7)
            in_this_round = await storm(standalone, number * 1_000_000, moment)
        acknowledged |= in_this_round
        store = Store(store_url)
        store.prepare()
        stored = {call.call_id for call in store.calls.select("default", CallFilter(), 1_000_000, utc_now())}
        store.close()
        assert acknowledged <= stored, f"killed after {moment} s"
