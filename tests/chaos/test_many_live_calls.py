"""200 calls with random lives at once, run by triggers in one event loop; simulator and switchboard outside of it."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from demo.simulator_process import SimulatorProcess
from tests.random_lives import KINDS, RandomLife, random_script
from tests.unit.switchboard.standalone import Standalone

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.conversation.rules.offered_tools import with_tools
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan, TransferTarget
from airflow_openai_realtime.conversation.run import tool_tasks
from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
from airflow_openai_realtime.simulator.log import LogEntry
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.switchboard.client.conversation_requests import get_conversation
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import announce_accept, list_calls, report_accepted
from airflow_openai_realtime.testing.local_airflow import CONN_ID, connections
from airflow_openai_realtime.triggers.live_call import LiveCallTrigger

pytestmark = pytest.mark.chaos

CALLS = 200
#: Longer than any of these lives takes on a busy machine, but for those that end by themselves only in this way.
LONG_SECONDS = 180.0
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}
PLAN = ConversationPlan(
    greeting="Good morning.",
    silence_seconds=LONG_SECONDS,
    result_schema={"type": "object", "properties": {"agreed": {"type": "boolean"}}, "required": ["agreed"]},
    transfer_targets={"desk": TransferTarget("tel:+14155550177", "A person")},
)
#: These people do not wait until they are greeted.
IMPOLITE = ("interrupts", "leaves_at_once", "never_stops", "is_born_dead")
#: In these lives the person may speak while no process is attached.
UNHEARD = ("loses_sockets", "leaves_at_once")


@dataclass(frozen=True)
class Lived:
    """A life, the call it became, and what the switchboard has of it."""

    life: RandomLife
    call_id: str
    event: Mapping[str, Any]
    conversation: Conversation


class Party:
    """Everybody who takes part, at their addresses."""

    def __init__(self, simulator: SimulatorProcess, switchboard_url: str) -> None:
        self.simulator = simulator
        endpoints = endpoints_for(base_url=simulator.openai_base_url)
        api = ApiSettings(api_key=simulator.api_key, endpoints=endpoints, timeout_seconds=60)
        self.calls = CallsClient(api)
        token = derived_token(simulator.webhook_secret)
        self.switchboard = SwitchboardClient(switchboard_url, token, timeout_seconds=60)
        self._few = asyncio.Semaphore(10)

    async def live(self, life: RandomLife, number: str) -> Lived:
        """Let a person with a life call, accept the call, and run it in a trigger."""
        plan = replace(PLAN, silence_seconds=4.0) if life.kind == "falls_silent" else PLAN
        seconds = 15.0 if life.kind == "never_stops" else LONG_SECONDS
        async with self._few:
            call_id = await asyncio.to_thread(self._call_in, life, number)
            await self.switchboard.asend(announce_accept(call_id, number, seconds))
            await self.calls.asend(accept_call(call_id, with_tools(SESSION, plan)))
            row = await self.switchboard.asend(report_accepted(call_id, number))
        wanted = WantedConversation(plan).of(row)
        trigger = LiveCallTrigger(CONN_ID, call_id, number, wanted.seal(self.simulator.api_key))
        events = [event.payload async for event in trigger.run()]
        found = await self.switchboard.asend(get_conversation(call_id))
        assert len(events) == 1
        assert found is not None, events
        return Lived(life, call_id, events[0], found)

    def _call_in(self, life: RandomLife, number: str) -> str:
        if life.fault is not None:
            self.simulator.faults.add(replace(life.fault, number=number))
        return self.simulator.call_in(number, "+14155550100", script=life.script)


@pytest.fixture
def party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Party]:
    """A simulator and a switchboard, each a process."""
    # A tool whose call cannot be noted for so long does not run; the disk of a busy machine may take as long.
    monkeypatch.setattr(tool_tasks, "NOTE_SECONDS", LONG_SECONDS)
    with SimulatorProcess(ring_seconds=120, calls_per_second=None, transfers_need_refer_url=False) as simulator:
        env = {
            "OPENAI_API_KEY": simulator.api_key,
            "OPENAI_WEBHOOK_SECRET": simulator.webhook_secret,
            "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
        }
        with Standalone(f"sqlite:///{tmp_path / 'calls.db'}", changes=env) as switchboard:
            simulator.webhooks.add(f"{switchboard.url}/webhook")
            for name, value in connections(simulator, switchboard.url).items():  # type: ignore[arg-type]
                monkeypatch.setenv(name, value)
            yield Party(simulator, switchboard.url)


def some_lives(rng: random.Random, count: int) -> list[RandomLife]:
    """Random lives, each kind at least once."""
    kinds = [*KINDS, *rng.choices(list(KINDS), k=count - len(KINDS))]
    rng.shuffle(kinds)
    return [_polite(random_script(rng, kind=kind)) for kind in kinds]


def _polite(life: RandomLife) -> RandomLife:
    """Who is greeted speaks after that; a busy machine may greet late."""
    if life.kind in IMPOLITE:
        return life
    dialogue = life.script.dialogue
    listens = Move("waits", when="speaking", after_seconds=0)
    return replace(life, script=replace(life.script, dialogue=replace(dialogue, moves=(listens, *dialogue.moves))))


def entries_by_call(simulator: SimulatorProcess) -> dict[str | None, list[LogEntry]]:
    """The simulator's log, for each call."""
    found: dict[str | None, list[LogEntry]] = {}
    for entry in simulator.log.entries:
        found.setdefault(entry.call_id, []).append(entry)
    return found


def differences(lived: Lived, ended_by: str | None, log: list[LogEntry]) -> list[str]:
    """In what the result of a call differs from what really happened."""
    life, result = lived.life, lived.conversation.result or {}
    entries = [entry.body for entry in lived.conversation.entries if entry.kind == "caller"]
    heard = [body["text"] for body in entries if not body.get("problem")]
    written = [each.detail for each in log if each.kind == "session.transcribed"]
    said = [each["text"] for each in written if each["status"] == "completed" and each["listeners"]]
    called = [each.detail["name"] for each in log if each.kind == "session.tool_called"]
    pressed = "".join(each.detail["key"] for each in log if each.kind == "session.pressed")
    expected = {
        "ended_by": (ended_by, life.ended_by),
        "event": (lived.event, {"status": "over", "call_id": lived.call_id}),
        "outcome": (result.get("outcome") in life.outcomes, True),
        "keys": (result.get("keys"), pressed),
        "tools": ([tool["name"] for tool in result.get("tools", ())], called),
        "result": (result.get("result"), life.result),
        "said": (sorted(heard), sorted(heard if life.kind in UNHEARD else said)),
    }
    return [f"{name}: {is_} {should}" for name, (is_, should) in expected.items() if is_ != should]


async def test_200_calls_with_random_lives_at_once_come_out_as_the_simulator_s_log_says(party: Party) -> None:
    seed = int(os.environ.get("LIVES_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"the seed of these lives is {seed}; they come again with LIVES_SEED={seed}")
    lives = some_lives(random.Random(seed), CALLS)
    numbers = [f"+1415556{number:04}" for number in range(CALLS)]
    async with party.calls, party.switchboard:
        everybody = await asyncio.gather(*map(party.live, lives, numbers))
        rows = {
            row.call_id: row.state
            for row in (await party.switchboard.asend(list_calls(state="ended", limit=1000))).calls
        }
    log, records = entries_by_call(party.simulator), {row.call_id: row for row in party.simulator.log.calls}
    wrong = [
        f"{lived.life.kind} {lived.call_id}: {found}"
        for lived in everybody
        if (found := differences(lived, records[lived.call_id].ended_by, log[lived.call_id]))
    ]
    assert not wrong, "\n".join(wrong)
    assert [record for record in records.values() if record.open] == []
    assert set(rows) == set(records)
    assert len(records) == CALLS
    print(Counter((lived.conversation.result or {})["outcome"] for lived in everybody))
