"""
A store that an earlier release wrote, with calls live and ringing, is taken over with nothing lost.

Each test begins at the moment of the recording, at which that release's switchboard was killed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import MetaData, create_engine, text
from tests.upgrade.conftest import SETTINGS, TakenOver, ring_again
from tests.upgrade.recordings import Recording

from airflow_openai_realtime.simulator import PhoneScript, Simulator
from airflow_openai_realtime.switchboard.server.store import Store
from airflow_openai_realtime.switchboard.server.store.schema.tables import SCHEMA_VERSION, VERSION_TABLE

Taking = AbstractAsyncContextManager[TakenOver]

SECONDS = 60.0
#: Calls that were live at OpenAI, and are hung up at their ``hangup_at`` and not before.
LIVE = (
    "live",
    "live_longer",
    "transferred",
    "transfer_wanted",
    "by_order",
    "taken_over",
    "few",
    "held",
    "in_doubt",
)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for something that another task does."""
    for _ in range(int(SECONDS / 0.05)):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


async def two_sweeps(taken: TakenOver) -> None:
    """Wait until the reaper has looked at the calls at the clock's time, and could have acted."""

    async def swept() -> object:
        told = await taken.ask("GET", "/v1/status")
        return told["reaper_last_sweep_at"] == taken.switchboard.clock.at.isoformat()

    await until(swept)
    await asyncio.sleep(4 * SETTINGS.reaper_interval_seconds)


def differences(before: Any, after: Any, where: str = "answer") -> Iterator[str]:
    """What an answer of before has and the one of now has not; fields may be added."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from differences(value, after[key], f"{where}.{key}") if key in after else [f"{where}.{key} is gone"]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, value in enumerate(before):
            yield from differences(value, after[index], f"{where}[{index}]")
    elif before != after:
        yield f"{where}: {before!r} became {after!r}"


# -- the store ---------------------------------------------------------------------------------------------------------


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, as the database has them."""
    engine = create_engine(url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: [dict(row._mapping) for row in connection.execute(table.select().order_by(*table.primary_key))]
            for name, table in tables.tables.items()
            if name != VERSION_TABLE
        }
    engine.dispose()
    return found


def test_no_row_and_no_value_is_lost(store_url: str) -> None:
    before = rows_of(store_url)
    store = Store(store_url)
    store.prepare()
    store.close()
    assert list(differences(before, rows_of(store_url), "store")) == []
    assert all(before.values())


def test_processes_that_start_together_find_the_tables_of_this_release(store_url: str) -> None:
    before = rows_of(store_url)
    stores = [Store(store_url) for _ in range(4)]
    failures: list[Exception] = []

    def prepare(store: Store) -> None:
        try:
            store.prepare()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=prepare, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    query = text(f"SELECT version_num FROM {VERSION_TABLE}")
    assert stores[0].database.read(lambda connection: connection.execute(query).scalars().all()) == [SCHEMA_VERSION]
    for store in stores:
        store.close()
    assert list(differences(before, rows_of(store_url), "store")) == []


async def test_every_answer_is_as_before(taken_over: Taking, recording: Recording) -> None:
    """Calls, conversations with their timelines and results, attempts, orders, and where old cursors lead."""
    async with taken_over as taken:
        for asked in recording.answers:
            answer = await taken.ask(asked["method"], asked["path"], asked["body"], line=asked["line"])
            assert list(differences(asked["answer"], answer, asked["path"])) == []


# -- calls that ring ---------------------------------------------------------------------------------------------------


async def test_a_ringing_call_is_claimed_and_accepted(
    taken_over: Taking, recording: Recording, realtime_simulator: Simulator
) -> None:
    ring_again(recording, realtime_simulator, "ringing")
    async with taken_over as taken:
        await taken.move("ringing", "claim", claimant="me")
        await taken.move("ringing", "accepting", claimant="me", max_duration_seconds=60)
        await taken.accept_at_openai("ringing")
        call = (await taken.move("ringing", "accepted", claimant="me"))["call"]
        kept = {name: call[name] for name in ("from_number", "to_number", "headers", "received_at", "media_security")}
        assert (call["state"], call["claimed_by"]) == ("accepted", "me")
        assert list(differences(kept, recording.call("ringing"))) == []
        last = recording.cursors[-1 if recording.cursors[-1]["line"] == "support" else -2]["cursor"]
        changed = await taken.ask("GET", f"/v1/calls?state=all&after={last}")
        assert recording.calls["ringing"] in {each["call_id"] for each in changed["calls"]}
        taken.set_clock(taken.switchboard.clock.at, later_seconds=61)
        await until(lambda: _is_over(taken, "ringing"))


async def test_the_webhook_of_a_known_call_is_no_new_call(taken_over: Taking, recording: Recording) -> None:
    async with taken_over as taken:
        await taken.announce("ringing", "+14155550199")
        assert await taken.call("ringing") == recording.call("ringing")


async def test_a_claimed_call_is_still_its_owner_s(taken_over: Taking, recording: Recording) -> None:
    owner = recording.call("to_claim")["claimed_by"]
    async with taken_over as taken:
        await taken.move("to_claim", "claim", claimant="another", status=409)
        await taken.move("to_claim", "accepting", claimant="another", max_duration_seconds=60, status=409)
        again = (await taken.move("to_claim", "claim", claimant=owner))["call"]
        assert again["claimed_at"] == recording.call("to_claim")["claimed_at"]
        told = (await taken.move("to_claim", "accepting", claimant=owner, max_duration_seconds=60))["call"]
        assert (told["state"], told["claimed_by"]) == ("claimed", owner)


async def test_an_answer_that_was_under_way_is_carried_out(
    taken_over: Taking, recording: Recording, realtime_simulator: Simulator
) -> None:
    """The worker that answered it for a standing order is dead; its lease ends two seconds later."""
    ring_again(recording, realtime_simulator, "being_answered")
    async with taken_over as taken:
        await two_sweeps(taken)
        assert taken.record("being_answered").accepted == 0
        taken.set_clock(recording.at, later_seconds=2.1)

        async def accepted() -> object:
            return (await taken.call("being_answered"))["state"] == "accepted"

        await until(accepted)
        call = await taken.call("being_answered")
        assert call["hangup_at"] == recording.call("being_answered")["hangup_at"]
        assert (taken.record("being_answered").accepted, call["claimed_by"]) == (1, "order:day")


async def test_a_decline_that_was_under_way_is_carried_out(
    taken_over: Taking, recording: Recording, realtime_simulator: Simulator
) -> None:
    ring_again(recording, realtime_simulator, "declining")
    async with taken_over as taken:
        taken.set_clock(recording.instant("declining", "end_wanted_at"), later_seconds=5.1)
        await until(lambda: _is_over(taken, "declining"))
        call = await taken.call("declining")
        assert (call["state"], call["status_code"], call["ended_by"]) == ("rejected", 480, "admin")
        assert taken.record("declining").sip_status == 480


# -- calls that are live -----------------------------------------------------------------------------------------------


async def _is_over(taken: TakenOver, label: str) -> bool:
    return (await taken.call(label))["ended_at"] is not None


async def _bring_to_life(taken: TakenOver, labels: tuple[str, ...]) -> None:
    ring_again(taken.recording, taken.simulator, *labels)
    for label in labels:
        await taken.accept_at_openai(label)
        assert taken.record(label).open


async def test_every_live_call_is_hung_up_at_its_time(taken_over: Taking, recording: Recording) -> None:
    due = sorted((recording.instant(label, "hangup_at"), label) for label in LIVE)
    async with taken_over as taken:
        await _bring_to_life(taken, LIVE)
        for hangup_at, label in due:
            taken.set_clock(hangup_at, later_seconds=-0.001)
            await two_sweeps(taken)
            assert taken.record(label).open, label
            taken.set_clock(hangup_at, later_seconds=0.001)
            await until(lambda: _is_over(taken, label))  # noqa: B023 - called at once
            assert (taken.record(label).open, taken.record(label).ended_by) == (False, "api_hangup")
            call = await taken.call(label)
            assert (call["state"], call["end_reason"], call["end_witness"]) == ("ended", "max_duration", "api")


async def test_a_call_that_could_not_be_hung_up_is_tried_again(taken_over: Taking, recording: Recording) -> None:
    async with taken_over as taken:
        await _bring_to_life(taken, ("overdue",))
        await two_sweeps(taken)
        assert taken.record("overdue").open
        taken.set_clock(recording.at, later_seconds=31)
        await until(lambda: _is_over(taken, "overdue"))
        assert taken.record("overdue").ended_by == "api_hangup"
        assert (await taken.call("overdue"))["end_reason"] == "max_duration"


async def test_a_call_that_lost_its_holder_ends_when_that_was_due(taken_over: Taking, recording: Recording) -> None:
    async with taken_over as taken:
        await _bring_to_life(taken, ("holder_lost",))
        taken.set_clock(recording.instant("holder_lost", "end_due_at"), later_seconds=-0.001)
        await two_sweeps(taken)
        assert taken.record("holder_lost").open
        taken.set_clock(recording.instant("holder_lost", "end_due_at"), later_seconds=0.001)
        await until(lambda: _is_over(taken, "holder_lost"))
        assert (await taken.call("holder_lost"))["end_reason"] == "killed"


async def test_the_holder_of_a_conversation_goes_on_with_it(taken_over: Taking, recording: Recording) -> None:
    before = recording.conversation("held")
    async with taken_over as taken:
        opened = (await taken.move("held", "conversation/open", holder="me", process="p"))["conversation"]
        assert opened["generation"] == before["generation"] + 1
        assert opened["entries"] == before["entries"]
        late = {"key": "caller:late", "kind": "caller", "at": before["saved_at"], "body": {}}
        old = {"generation": before["generation"], "entries": [late]}
        await taken.move("held", "conversation/append", **old, status=409)
        new = await taken.move("held", "conversation/append", generation=opened["generation"], entries=[late])
        assert new == {"new": ["caller:late"]}
        again = {"generation": opened["generation"], "entries": [*before["entries"]]}
        assert await taken.move("held", "conversation/append", **again) == {"new": []}


async def test_the_switchboard_listens_on_in_the_place_of_a_silent_holder(
    taken_over: Taking, recording: Recording
) -> None:
    before = recording.conversation("held")
    async with taken_over as taken:
        await _bring_to_life(taken, ("held",))
        taken.set_clock(recording.at, later_seconds=SETTINGS.standby_lease_seconds + 0.1)

        async def heard() -> object:
            # A switchboard that has just started waits for signs of life before it takes a process for silent.
            taken.switchboard.clock.move(0.1)
            return (await taken.conversation("held"))["heard_until"] > before["heard_until"]

        await until(heard)
        assert (await taken.conversation("held"))["entries"][: len(before["entries"])] == before["entries"]


# -- orders and attempts -----------------------------------------------------------------------------------------------


async def test_standing_orders_answer_with_what_they_were_given(
    taken_over: Taking, recording: Recording, realtime_simulator: Simulator
) -> None:
    uses = {order["name"]: order["uses_left"] for order in _orders(recording)}
    async with taken_over as taken:
        for label, number in (("by_day", "+14155550119"), ("by_few", "+14155550121")):
            recording.calls[label] = realtime_simulator.call_in(
                number, "+14155550100", script=PhoneScript.talks_for_ever()
            )
            await taken.announce(label, number)

            async def accepted() -> object:
                taken.switchboard.clock.move(
                    0.05
                )  # a switchboard that has just started finds the call by a later sweep
                return (await taken.call(label))["state"] == "accepted"  # noqa: B023 - called at once

            await until(accepted)
        assert (await taken.call("by_day"))["claimed_by"] == "order:day"
        left = {each["name"]: each["uses_left"] for each in (await taken.ask("GET", "/v1/orders"))["orders"]}
        assert left == {**uses, "few": uses["few"] - 1}


def _orders(recording: Recording) -> list[dict[str, Any]]:
    wanted = ("support", "/v1/orders")
    orders: list[dict[str, Any]] = next(
        each["answer"]["orders"] for each in recording.answers if (each["line"], each["path"]) == wanted
    )
    return orders


async def test_no_phone_rings_a_second_time(taken_over: Taking, recording: Recording) -> None:
    found = next(each["answer"]["attempts"] for each in recording.answers if each["path"] == "/v1/attempts/find")
    assert {attempt["state"] for attempt in found} == {"reserved", "dialing", "placed", "ended", "unknown"}
    contacts = {attempt["contact"]: "a very long contact " * 20 for attempt in found if "~" in attempt["contact"]}
    async with taken_over as taken:
        for attempt in found:
            wanted = {name: attempt[name] for name in ("campaign", "contact", "attempt", "to_number")}
            wanted["contact"] = contacts.get(wanted["contact"], wanted["contact"])
            again = (await taken.ask("POST", "/v1/attempts", wanted))["attempt"]
            assert list(differences(attempt, again)) == []
            assert not again["created"]
