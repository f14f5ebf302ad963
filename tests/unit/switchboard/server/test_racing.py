"""20 sensors in several processes race for 20 calls, at a switchboard of two processes."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
from tests.unit.switchboard.standalone import Standalone
from tests.unit.switchboard.support import SECRET, event_body, signed

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls

SENSORS = """
import asyncio, sys
from airflow_openai_realtime.exceptions import ClaimLost
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, list_calls

async def sensor(client, name):
    page = await client.asend(list_calls())
    print("waiting", flush=True)
    while True:
        for call in page.calls:
            try:
                won = await client.asend(claim_call(call.call_id, name))
            except ClaimLost:
                continue
            print("won", name, won.call_id, flush=True)
            return
        page = await client.asend(list_calls(after=page.cursor, wait_seconds=20, state="ringing"))

async def main(url, token, names):
    async with SwitchboardClient(url, token) as client:
        await asyncio.gather(*(sensor(client, name) for name in names))

url = sys.stdin.readline().strip()
asyncio.run(main(url, sys.argv[1], sys.argv[2:]))
"""


def test_20_sensors_get_one_of_20_calls_each(store_url: str) -> None:
    names = [f"sensor-{number}" for number in range(20)]
    token = derived_token(SECRET)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SENSORS, token, *names[start::4]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for start in range(4)
    ]
    with Standalone(store_url, workers=2) as standalone:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(standalone.url + "\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(5)] == ["waiting\n"] * 5
        with httpx.Client(timeout=30) as openai:
            for number in range(20):
                body = event_body(number, created_at=time.time())
                headers = signed(body, number, at=time.time())
                assert openai.post(f"{standalone.url}/webhook", content=body, headers=headers).status_code == 200
        won: dict[str, str] = {}
        for process in processes:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0
            for line in said.splitlines():
                _, name, call_id = line.split()
                assert name not in won
                won[name] = call_id
        with SwitchboardClient(standalone.url, token) as client:
            claimed = {call.claimed_by: call.call_id for call in client.send(list_calls(state="claimed")).calls}
        assert "Traceback" not in standalone.log()
    assert sorted(won) == sorted(names)
    assert len(set(won.values())) == 20
    assert claimed == won
