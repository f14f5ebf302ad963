"""
The switchboard listens while no process holds a call: real sockets at the simulator, a real store, and leases timed by
our own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from tests.unit.simulator.support import CALLER, PERSON
from tests.unit.switchboard.support import Clock, a_call, a_line, until

from airflow_openai_realtime.api.call_requests import accept_call
from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.line_settings import line_from_fields
from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.calls.saved_conversation import Conversation, Progress
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, entry_of
from airflow_openai_realtime.calls.timeline.summary import Summary
from airflow_openai_realtime.exceptions import StoreUnavailable
from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript, Reply, Simulator
from airflow_openai_realtime.states import EntryKind, Note
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.process.metrics import STANDBY_ACTIONS, Counters
from airflow_openai_realtime.switchboard.server.standby.standby import Standby
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

pytestmark = pytest.mark.realtime_simulator(speed=0, settle_seconds=30)

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    "tools": [{"type": "function", "name": "book", "parameters": {"type": "object", "properties": {}}}],
}


class Scene:
    """Calls at the simulator, a store that knows them, and workers that stand by."""

    def __init__(self, simulator: Simulator, store: Store, clock: Clock) -> None:
        self.simulator, self.store, self.clock = simulator, store, clock
        fields = {"webhook_secret": "whsec_dGVzdC1zZWNyZXQ=", "timeout_seconds": 30}
        self.line: Line = line_from_fields("support", simulator.api_key, simulator.openai_base_url, fields)
        self.workers: list[Standby] = []
        self._directories: list[LineDirectory] = []
        self.counters = Counters()

    def worker(self, lines: StaticLines | None = None, **changes: Any) -> Standby:
        """Another worker, whose rounds the test makes."""
        settings = SwitchboardSettings(**changes)
        self._directories.append(LineDirectory(lines or StaticLines([self.line]), settings))
        made = Standby(self.store, self._directories[-1], settings, self.clock, self.counters)
        self.workers.append(made)
        return made

    async def close(self) -> None:
        for worker in self.workers:
            await worker.close()
        for directory in self._directories:
            directory.close()

    async def accepted(self, *steps: Move, replies: tuple[Any, ...] = ("Hello.", "I see.")) -> str:
        """Let a person call, and accept the call."""
        script = PhoneScript.talks_for_ever(dialogue=Dialogue(replies, steps))
        call_id = self.simulator.call_in(PERSON, CALLER, script=script)
        async with CallsClient(self.line.api) as client:
            await client.asend(accept_call(call_id, SESSION))
        self.store.calls.add([a_call(call_id, at=self.clock(), call_id=call_id)])
        rule = partial(moves.accepted, owner="me", now=self.clock(), default_duration_seconds=600)
        self.store.calls.move("support", call_id, rule, self.clock())
        return call_id

    async def held(self, *steps: Move, process: str | None = "p1", replies: tuple[Any, ...] = ("Hello.",)) -> str:
        """A call that a process holds and is attached to, until just now."""
        call_id = await self.accepted(*steps, replies=replies)
        self.open(call_id, process)
        return call_id

    def open(self, call_id: str, process: str | None, *, attach: bool = True) -> int:
        """A process becomes the holder."""
        opened = self.store.conversations.open("support", call_id, "me", self.clock(), process=process)
        if attach:
            self.attached(call_id, opened.generation)
        return opened.generation

    def attached(self, call_id: str, generation: int) -> None:
        """The holder is attached."""
        note = entry_of(EntryKind.NOTE, self.clock(), Note.ATTACHED, generation, 1, what=Note.ATTACHED, gap_seconds=0.0)
        self.store.conversations.append("support", call_id, generation, [note], self.clock())

    def lives(self, process: str, *, leaving: bool = False) -> None:
        """A sign of life."""
        self.store.conversations.save_progress("support", process, [], self.clock(), leaving=leaving)

    async def silence(self, seconds: float = 2.0) -> None:
        """Let time pass without a sign of life from any process."""
        self.clock.move(seconds)

    async def advance(self, seconds: float) -> None:
        """Let the calls go on."""
        await asyncio.to_thread(self.simulator.clock.advance, seconds)

    def sockets(self) -> int:
        """How many sockets are open."""
        log = self.simulator.log
        return len(log.of_kind("sideband.attached")) - len(log.of_kind("sideband.detached"))

    def conversation(self, call_id: str) -> Conversation:
        return self.store.conversations.find("support", call_id)

    def notes(self, call_id: str, what: str) -> list[TimelineEntry]:
        return [each for each in self.conversation(call_id).entries if each.body.get("what") == what]

    def said(self, call_id: str) -> list[str]:
        return [each.body["text"] for each in self.conversation(call_id).entries if each.kind in ("caller", "agent")]

    async def written(self, worker: Standby, condition: Callable[[], object]) -> None:
        """Let a worker write until something is there."""
        for _ in range(3_000):
            await worker.write()
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it was not written within 30 s")

    def actions(self) -> dict[str, int]:
        return dict(self.counters.of(STANDBY_ACTIONS, "support"))


@pytest.fixture
async def scene(realtime_simulator: Simulator, sqlite_store: Store, clock: Clock) -> AsyncIterator[Scene]:
    made = Scene(realtime_simulator, sqlite_store, clock)
    yield made
    await made.close()


async def listening(scene: Scene, worker: Standby, call_id: str) -> None:
    """The process falls silent, and the worker begins to listen."""
    await scene.silence()
    await worker.look()
    await scene.written(worker, lambda: scene.notes(call_id, "stood_by"))


async def test_what_is_said_while_the_process_is_silent_is_written(scene: Scene) -> None:
    call_id = await scene.held(Move.says("Is anybody there?"), Move.presses("7"), replies=("I am.",))
    worker = scene.worker()
    await worker.look()
    assert worker.listening_to("support") == 0
    scene.clock.move(2.5)
    await worker.look()
    assert worker.listening_to("support") == 1
    await scene.written(worker, lambda: scene.notes(call_id, "stood_by"))
    (note,) = scene.notes(call_id, "stood_by")
    assert 2.5 <= note.body["gap_seconds"] <= 3.5
    assert (note.body["model"], note.body["transcription_model"]) == ("gpt-realtime-2.1", "gpt-transcribe")
    await scene.advance(20)
    scene.clock.move(1)
    await scene.written(worker, lambda: any(each.kind == "key" for each in scene.conversation(call_id).entries))
    assert scene.said(call_id) == ["Is anybody there?", "I am."]
    kept = scene.conversation(call_id)
    assert kept.heard_until == scene.clock()
    assert {each.kind for each in kept.entries} == {"note", "caller", "agent", "usage", "key"}
    assert (kept.is_finished, kept.generation) == (False, 1)
    assert not scene.simulator.log.of_kind("sideband.command")
    assert scene.store.calls.find("support", call_id).state == "accepted"
    assert scene.simulator.log.call(call_id=call_id).open


async def test_a_tool_that_the_model_calls_is_noted_and_not_run(scene: Scene) -> None:
    call_id = await scene.held(Move.says("A table, please."), replies=(Reply.calls("book", {"seats": 4}),))
    worker = scene.worker()
    await listening(scene, worker, call_id)
    await scene.advance(10)
    await scene.written(worker, lambda: scene.notes(call_id, "asked"))
    (asked,) = scene.notes(call_id, "asked")
    assert (asked.body["name"], asked.body["arguments"]) == ("book", '{"seats": 4}')
    assert asked.key == f"note:asked:{asked.body['tool_call_id']}"
    assert not [each for each in scene.conversation(call_id).entries if each.kind.startswith("tool")]
    assert not scene.simulator.log.of_kind("sideband.command")


async def test_it_leaves_when_the_next_holder_is_attached_and_not_earlier(scene: Scene) -> None:
    call_id = await scene.held(Move.says("Hello?"))
    worker = scene.worker()
    await listening(scene, worker, call_id)
    generation = scene.open(call_id, "p2", attach=False)
    scene.clock.move(1)
    await worker.write()
    assert worker.listening_to("support") == 1
    await scene.advance(5)
    await scene.written(worker, lambda: "Hello?" in scene.said(call_id))
    scene.clock.move(1)
    scene.lives("p2")
    scene.attached(call_id, generation)
    await worker.write()
    assert worker.listening_to("support") == 0
    kept = scene.conversation(call_id)
    assert kept.heard_until == scene.clock()
    assert Summary.of(kept.entries, kept.heard_until).gap_seconds <= 3.0
    await until(lambda: scene.sockets() == 0)
    assert not scene.notes(call_id, "stood_down")
    assert scene.actions() == {"began": 1, "relieved": 1}
    scene.clock.move(1)
    scene.lives("p2")
    await worker.look()
    assert worker.listening_to("support") == 0


async def test_a_process_that_was_only_slow_loses_nothing_and_misses_nothing(scene: Scene) -> None:
    call_id = await scene.held()
    worker = scene.worker()
    for times in range(1, 4):
        await scene.silence(2.5)
        await worker.look()
        await scene.written(worker, lambda times=times: len(scene.notes(call_id, "stood_by")) == times)  # type: ignore[misc]
        scene.lives("p1")
        await worker.write()
        assert worker.listening_to("support") == 0
        assert len(scene.notes(call_id, "stood_down")) == times
    kept = scene.conversation(call_id)
    assert Summary.of(kept.entries, kept.heard_until).gap_seconds == 0.0
    assert kept.generation == 1
    note = entry_of(EntryKind.NOTE, scene.clock(), "greeted", what="greeted")
    assert scene.store.conversations.append("support", call_id, 1, [note], scene.clock()) == [note.key]
    assert scene.actions() == {"began": 3, "process_back": 3}
    await until(lambda: scene.sockets() == 0)


async def test_a_process_that_says_it_leaves_is_stood_by_for_at_once(scene: Scene) -> None:
    call_id = await scene.held()
    scene.clock.move(1)
    scene.lives("p1")
    worker = scene.worker()
    scene.lives("p1", leaving=True)
    await worker.look()
    await scene.written(worker, lambda: scene.notes(call_id, "stood_by"))
    assert scene.notes(call_id, "stood_by")[0].body["gap_seconds"] == 0.0
    # It may hold other calls later; this one it gave up.
    scene.lives("p1")
    await worker.write()
    assert worker.listening_to("support") == 1


async def test_a_conversation_that_was_given_up_is_stood_by_for_though_its_process_lives(scene: Scene) -> None:
    given_up, kept = await scene.held(), await scene.held()
    listed = [Progress(given_up, 1, (), given_up=True), Progress(kept, 1)]
    scene.store.conversations.save_progress("support", "p1", listed, scene.clock())
    worker = scene.worker()
    await worker.look()
    assert worker.listening_to("support") == 1
    await scene.written(worker, lambda: scene.notes(given_up, "stood_by"))


async def test_of_several_workers_one_listens(scene: Scene) -> None:
    calls = [await scene.held() for _ in range(6)]
    workers = [scene.worker() for _ in range(3)]
    await scene.silence()
    await asyncio.gather(*(worker.look() for worker in workers))
    assert sum(worker.listening_to("support") for worker in workers) == 6
    for worker in workers:
        for call_id in calls:
            if (worker_has := ("support", call_id) in worker._calls) and worker_has:
                await scene.written(worker, lambda call_id=call_id: scene.notes(call_id, "stood_by"))  # type: ignore[misc]
    assert [len(scene.notes(call_id, "stood_by")) for call_id in calls] == [1] * 6


async def test_another_worker_goes_on_where_one_died(scene: Scene) -> None:
    call_id = await scene.held(Move.says("One."), Move.says("Two.", after_seconds=30), replies=("I see.", "Well."))
    dead, other = scene.worker(), scene.worker()
    await listening(scene, dead, call_id)
    await scene.advance(10)
    await scene.written(dead, lambda: "I see." in scene.said(call_id))
    scene.clock.move(2.9)
    await other.look()
    assert other.listening_to("support") == 0
    scene.clock.move(0.2)
    await other.look()
    await scene.written(other, lambda: len(scene.notes(call_id, "stood_by")) == 2)
    assert scene.notes(call_id, "stood_by")[1].body["gap_seconds"] == pytest.approx(3.1)
    # The first was only slow: it writes nothing more, and leaves.
    before = scene.conversation(call_id)
    await dead.write()
    assert dead.listening_to("support") == 0
    assert scene.conversation(call_id).entries == before.entries
    await scene.advance(60)
    await scene.written(other, lambda: "Two." in scene.said(call_id))
    assert scene.actions() == {"began": 2, "lost": 1}


async def test_a_worker_that_died_is_replaced_though_the_next_holder_is_alive_and_not_attached_yet(
    scene: Scene,
) -> None:
    call_id = await scene.held()
    dead, other = scene.worker(), scene.worker()
    await listening(scene, dead, call_id)
    generation = scene.open(call_id, "p2", attach=False)
    scene.clock.move(3)
    scene.lives("p2")
    await other.look()
    assert other.listening_to("support") == 1
    scene.attached(call_id, generation)
    await other.write()
    assert other.listening_to("support") == 0
    assert scene.actions()["relieved"] == 1


async def test_a_lease_that_a_dead_worker_left_on_a_call_that_is_held_is_cleared(scene: Scene) -> None:
    call_id = await scene.held()
    dead, other = scene.worker(), scene.worker()
    await listening(scene, dead, call_id)
    scene.open(call_id, "p2")
    scene.clock.move(3)
    scene.lives("p2")
    await other.look()
    assert other.listening_to("support") == 0
    assert scene.store.standing_by.silent(other._lease, scene.clock()) == []


async def test_a_worker_that_stops_lets_another_listen_at_once(scene: Scene) -> None:
    call_id = await scene.held(Move.says("Hello?"), replies=("I see.",))
    first, other = scene.worker(), scene.worker()
    await listening(scene, first, call_id)
    await scene.advance(5)
    await until(lambda: first._calls["support", call_id].hearing.has_more_than(0))
    await first.close()
    assert "Hello?" in scene.said(call_id)
    await until(lambda: scene.sockets() == 0)
    await other.look()
    assert other.listening_to("support") == 1


async def test_a_socket_that_breaks_is_opened_again(scene: Scene) -> None:
    call_id = await scene.held(Move.socket_breaks(after_seconds=5), Move.says("Still here."), replies=("I see.",))
    worker = scene.worker()
    await listening(scene, worker, call_id)
    await scene.advance(5)
    await scene.written(worker, lambda: len(scene.notes(call_id, "stood_by")) == 2)
    first, second = scene.notes(call_id, "stood_by")
    assert first.body["lease"] == second.body["lease"]
    assert second.body["gap_seconds"] == 0.0  # by our clock, which stood still
    await scene.advance(10)
    await scene.written(worker, lambda: "Still here." in scene.said(call_id))


async def test_while_the_socket_is_away_nothing_counts_as_heard(scene: Scene) -> None:
    call_id = await scene.held(Move.socket_breaks(after_seconds=5))
    worker = scene.worker()
    await listening(scene, worker, call_id)
    broke_at = scene.clock()
    scene.simulator.faults.status("sideband", 503, times=10_000)
    await scene.advance(5)
    hearing = worker._calls["support", call_id].hearing
    await until(lambda: not hearing._is_open)
    scene.clock.move(4)
    await worker.write()
    assert scene.conversation(call_id).heard_until == broke_at
    scene.simulator.faults.clear()
    await scene.written(worker, lambda: len(scene.notes(call_id, "stood_by")) == 2)
    assert scene.notes(call_id, "stood_by")[1].body["gap_seconds"] == 4.0
    await worker.write()
    assert scene.conversation(call_id).heard_until == scene.clock()


@pytest.mark.parametrize("clean", [True, False])
async def test_when_the_call_is_gone_it_rests_and_ends_nothing(scene: Scene, clean: bool) -> None:
    scene.simulator.reset(speed=0, settle_seconds=30, clean_sideband_close=clean)
    call_id = await scene.held(Move.says("Bye."), Move.hangs_up(), replies=("I see.",))
    worker, other = scene.worker(), scene.worker()
    await listening(scene, worker, call_id)
    await scene.advance(30)
    await scene.written(worker, lambda: worker.listening_to("support") == 0)
    assert scene.said(call_id) == ["Bye.", "I see."]
    assert scene.store.calls.find("support", call_id).state == "accepted"
    assert not scene.conversation(call_id).is_finished
    attached = len(scene.simulator.log.of_kind("sideband.attached"))
    for each in (worker, other):
        await each.look()
        assert each.listening_to("support") == 0
    assert len(scene.simulator.log.of_kind("sideband.attached")) == attached
    assert scene.actions() == {"began": 1, "call_gone": 1}
    scene.clock.move(30)
    await worker.look()
    assert worker.listening_to("support") == 1


async def test_a_call_that_is_over_in_the_store_is_left(scene: Scene) -> None:
    call_id = await scene.held(Move.says("Bye."), replies=("I see.",))
    worker = scene.worker()
    await listening(scene, worker, call_id)
    await scene.advance(5)
    await until(lambda: worker._calls["support", call_id].hearing.has_more_than(0))
    before = scene.conversation(call_id)
    rule = partial(moves.ended, now=scene.clock(), reason="hung_up")
    scene.store.calls.move("support", call_id, rule, scene.clock())
    await worker.write()
    assert worker.listening_to("support") == 0
    assert scene.conversation(call_id).entries[: len(before.entries)] == before.entries
    assert "Bye." in scene.said(call_id)
    await worker.look()
    assert worker.listening_to("support") == 0


async def test_nothing_is_written_to_a_conversation_that_is_finished(scene: Scene) -> None:
    call_id = await scene.held(Move.says("Bye."), replies=("I see.",))
    worker = scene.worker()
    await listening(scene, worker, call_id)
    await scene.advance(5)
    await until(lambda: worker._calls["support", call_id].hearing.has_more_than(0))
    done = scene.store.conversations.finish("support", call_id, 1, "completed", {"a": 1}, [], scene.clock())
    await worker.write()
    assert worker.listening_to("support") == 0
    assert scene.conversation(call_id) == done
    assert scene.actions() == {"began": 1, "finished": 1}


async def test_a_store_that_is_away_costs_nothing_that_was_heard(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    call_id = await scene.held(Move.says("Hello?"), Move.hangs_up(), replies=("I see.",))
    worker = scene.worker()
    await listening(scene, worker, call_id)

    def away(*_: Any) -> None:
        raise StoreUnavailable("the switchboard's store does not answer")

    monkeypatch.setattr(scene.store.standing_by, "hold", away)
    await scene.advance(30)
    await until(lambda: worker._calls["support", call_id].socket_end is not None)
    for _ in range(3):
        scene.clock.move(20)
        with pytest.raises(StoreUnavailable):
            await worker.write()
    monkeypatch.undo()
    await worker.write()
    assert scene.said(call_id) == ["Hello?", "I see."]
    assert worker.listening_to("support") == 0


async def test_when_the_store_fails_as_it_leaves_it_leaves_the_next_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = await scene.held()
    worker = scene.worker()
    await listening(scene, worker, call_id)
    scene.lives("p1")
    hold, asked = scene.store.standing_by.hold, []

    def second_fails(*arguments: Any) -> Any:
        asked.append(1)
        if len(asked) == 2:
            raise StoreUnavailable("the switchboard's store does not answer")
        return hold(*arguments)

    monkeypatch.setattr(scene.store.standing_by, "hold", second_fails)
    with pytest.raises(StoreUnavailable):
        await worker.write()
    # By now the process is silent again: it is left all the same, as nothing is heard any more, and found anew.
    scene.clock.move(2)
    await worker.write()
    assert worker.listening_to("support") == 0
    assert len(scene.notes(call_id, "stood_down")) == 1
    await worker.look()
    assert worker.listening_to("support") == 1


async def test_a_key_that_is_refused_is_not_tried_for_a_while(scene: Scene) -> None:
    call_id = await scene.held()
    wrong = line_from_fields(
        "support", "sk-wrong", scene.simulator.openai_base_url, {"webhook_secret": "whsec_dGVzdC1zZWNyZXQ="}
    )
    worker = scene.worker(StaticLines([wrong]))
    await scene.silence()
    await worker.look()
    await scene.written(worker, lambda: worker.listening_to("support") == 0)
    assert scene.actions() == {"began": 1, "refused": 1}
    await worker.look()
    assert worker.listening_to("support") == 0
    assert scene.conversation(call_id).heard_until is None


async def test_calls_of_a_line_that_is_not_configured_are_left_alone(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.held()
    worker, other = scene.worker(StaticLines([a_line("sales"), a_line("press")])), scene.worker()
    await scene.silence()
    for _ in range(3):
        await worker.look()
    assert worker.listening_to("support") == 0
    assert caplog.text.count("standby.no_key_for") == 1
    await other.look()
    assert other.listening_to("support") == 1


async def test_a_worker_listens_to_so_many_calls_and_another_to_the_rest(scene: Scene) -> None:
    for _ in range(3):
        await scene.held()
    worker, other = scene.worker(standby_concurrency=2), scene.worker()
    await scene.silence()
    await worker.look()
    await worker.look()
    await other.look()
    assert (worker.listening_to("support"), other.listening_to("support")) == (2, 1)


async def test_nobody_stands_by_for_holders_without_a_process(scene: Scene) -> None:
    await scene.held(process=None)
    worker = scene.worker()
    await scene.silence(60)
    await worker.look()
    assert worker.listening_to("support") == 0


async def test_a_holder_without_a_process_relieves_it_too(scene: Scene) -> None:
    call_id = await scene.held()
    worker = scene.worker()
    await listening(scene, worker, call_id)
    generation = scene.open(call_id, None, attach=False)
    await worker.write()
    assert worker.listening_to("support") == 1
    scene.attached(call_id, generation)
    await worker.write()
    assert worker.listening_to("support") == 0


async def test_switched_off_it_does_nothing(scene: Scene) -> None:
    assert scene.worker(standby_after_seconds=0).sweeps == ()


async def test_a_switchboard_that_was_away_waits_until_processes_could_show_themselves(scene: Scene) -> None:
    call_id = await scene.held()
    await scene.silence(30)  # the switchboard was away: no process could report to it
    worker = scene.worker(standby_look_seconds=0.01, standby_write_seconds=0.01)
    running = asyncio.ensure_future(run(worker))
    try:
        await looked_twice(worker, scene)
        assert worker.listening_to("support") == 0
        scene.lives("p1")
        scene.clock.move(1.9)
        await looked_twice(worker, scene)
        assert worker.listening_to("support") == 0
        scene.clock.move(0.2)
        await until(lambda: worker.listening_to("support") == 1)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert scene.sockets() <= 1, call_id


async def test_a_call_that_was_given_up_while_the_switchboard_was_away_is_listened_to_at_once(scene: Scene) -> None:
    await scene.held()
    scene.lives("p1", leaving=True)
    await scene.silence(30)
    worker = scene.worker(standby_look_seconds=0.01, standby_write_seconds=0.01)
    running = asyncio.ensure_future(run(worker))
    try:
        await until(lambda: worker.listening_to("support") == 1)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def run(worker: Standby) -> None:
    """Look and write without end, as the service does."""
    await asyncio.gather(*(sweep.run() for sweep in worker.sweeps))


async def looked_twice(worker: Standby, scene: Scene) -> None:
    """Wait until a worker has looked at everything as it is now."""
    for _ in range(2):
        worker.sweep.last_at = None
        await until(lambda: worker.sweep.last_at is not None)


async def test_it_runs_by_itself_and_looks_at_once_when_a_process_leaves(scene: Scene) -> None:
    call_id = await scene.held(Move.says("Hello?"))
    worker = scene.worker(standby_look_seconds=600, standby_write_seconds=0.01)
    running = asyncio.ensure_future(run(worker))
    await until(lambda: worker.sweep.last_at is not None)
    scene.lives("p1", leaving=True)
    worker.sweep.soon()
    await until(lambda: scene.notes(call_id, "stood_by"))
    await scene.advance(5)
    await until(lambda: "Hello?" in scene.said(call_id))
    running.cancel()
    await asyncio.wait([running])


async def test_nothing_that_was_said_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    call_id = await scene.held(Move.says("My number is 555"), Move.hangs_up(), replies=("A secret.",))
    worker = scene.worker()
    with caplog.at_level("DEBUG", logger="airflow_openai_realtime"):
        await listening(scene, worker, call_id)
        await scene.advance(30)
        await scene.written(worker, lambda: worker.listening_to("support") == 0)
    told = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("airflow_openai_realtime."))
    assert "standby.began" in told
    assert "standby.ended" in told
    for secret in ("555", "A secret", scene.simulator.api_key, PERSON):
        assert secret not in told


async def test_many_calls_that_fall_silent_at_once_are_all_listened_to(scene: Scene) -> None:
    calls = [await scene.held() for _ in range(40)]
    worker = scene.worker()
    await scene.silence()
    await worker.look()
    assert worker.listening_to("support") == 40
    await until(lambda: scene.sockets() == 40)
    await scene.written(worker, lambda: all(scene.notes(call_id, "stood_by") for call_id in calls))
    for call_id in calls:
        scene.open(call_id, "p2")
    await worker.write()
    assert worker.listening_to("support") == 0
    await until(lambda: scene.sockets() == 0)
