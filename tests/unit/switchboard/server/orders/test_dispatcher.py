"""Standing orders carried out by one worker, by its own clock and with OpenAI's answers made up."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest
from tests.unit.switchboard.support import OTHER_SECRET, Clock, LinesElsewhere, a_call, a_line, until

from airflow_openai_realtime.api.client import CallsClient, Pace
from airflow_openai_realtime.api.request import Answer, Request
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.lines import Line, StaticLines
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import OrderAnswer, OrderDraft, StandingOrder
from airflow_openai_realtime.exceptions import LinesUnavailable, StoreUnavailable
from airflow_openai_realtime.switchboard.server.intake.line_directory import LineDirectory
from airflow_openai_realtime.switchboard.server.orders.dispatcher import FORGET_AFTER, OrderDispatcher
from airflow_openai_realtime.switchboard.server.store import NewCall, Store
from airflow_openai_realtime.switchboard.server.store.schema.tables import orders
from airflow_openai_realtime.switchboard.server.switchboard_settings import SwitchboardSettings

GONE = httpx.Response(404, json={"error": {"code": "call_id_not_found", "message": "no"}})
DECIDED = httpx.Response(400, json={"error": {"code": "decision_already_made", "message": "no"}})
ANY = CallMatch(headers={"X-Correlation-Id": "*"})


class OpenAI:
    """OpenAI as far as decisions about calls go."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.answer: Callable[[str, str], httpx.Response | Exception] = lambda operation, call_id: httpx.Response(200)
        self.live: bool | None = False
        self.slept = 0.0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def client(self, settings: ApiSettings) -> CallsClient:
        async def handler(request: httpx.Request) -> httpx.Response:
            *_, call_id, operation = request.url.path.split("/")
            self.asked.append((operation, call_id))
            self.bodies.append(json.loads(request.content or b"{}"))
            await self.may_answer.wait()
            answer = self.answer(operation, call_id)
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def sleep(seconds: float) -> None:
            self.slept += seconds

        world = self

        class Client(CallsClient):
            async def _knock(self, request: Request[Any]) -> Answer:
                if world.live is None:
                    return Answer(500, {}, b"", self.service)
                return Answer(101 if world.live else 404, {}, b"", self.service)

        pace = Pace(sleep=sleep, clock=lambda: self.slept)
        return Client(settings, transport=httpx.MockTransport(handler), pace=pace)


@pytest.fixture
def openai() -> OpenAI:
    return OpenAI()


MakeDispatcher = Callable[..., OrderDispatcher]


@pytest.fixture
async def make_dispatcher(store: Store, openai: OpenAI, clock: Clock) -> AsyncIterator[MakeDispatcher]:
    """Makes dispatchers, each as of a worker of its own."""
    made: list[tuple[OrderDispatcher, LineDirectory]] = []

    def make(lines: Any = None, **settings: Any) -> OrderDispatcher:
        tuned = SwitchboardSettings(**settings)
        directory = LineDirectory(lines or StaticLines([a_line(), a_line("sales", OTHER_SECRET)]), tuned)
        dispatcher = OrderDispatcher(store, directory, openai.client, tuned, clock, changed.append)
        made.append((dispatcher, directory))
        return dispatcher

    changed: list[str] = []
    make.changed = changed  # type: ignore[attr-defined]
    yield make
    openai.may_answer.set()
    for dispatcher, directory in made:
        await dispatcher.close()
        directory.close()


@pytest.fixture
def dispatcher(make_dispatcher: MakeDispatcher) -> OrderDispatcher:
    return make_dispatcher()


def put(store: Store, clock: Clock, name: str = "day", line: str = "support", **changes: Any) -> StandingOrder:
    """An order that accepts every call."""
    fields: dict[str, Any] = {"match": ANY, "action": "accept", "edition": "e", "max_duration_seconds": 60.0}
    if changes.get("action") == "reject":
        fields["max_duration_seconds"] = None
    return store.orders.put(line, OrderDraft(name, **{**fields, **changes}).check(), clock())


def new_call(store: Store, clock: Clock, number: int = 1, **changes: Any) -> NewCall:
    """A call that was stored just now."""
    call = a_call(number, at=clock(), **changes)
    store.calls.add([call])
    return call


async def deliver(dispatcher: OrderDispatcher, clock: Clock, number: int = 1, **changes: Any) -> None:
    """Let a call come in at this worker, which knows of the orders."""
    await dispatcher.sweep.once()
    call = a_call(number, at=clock(), **changes)
    stored = dispatcher.store([call])
    assert stored.added == {(call.line, call.call_id)}
    dispatcher.answer(stored)


async def deliver_unswept(dispatcher: OrderDispatcher, clock: Clock, number: int = 1) -> None:
    """Let a call come in at this worker as it is."""
    call = a_call(number, at=clock())
    stored = dispatcher.store([call])
    assert stored.added == {(call.line, call.call_id)}
    dispatcher.answer(stored)
    await dispatcher.settled()


async def ring(dispatcher: OrderDispatcher, store: Store, clock: Clock, *numbers: int) -> None:
    """Let calls come in at this worker, and wait until they are dealt with."""
    for number in numbers or (1,):
        await deliver(dispatcher, clock, number)
    await dispatcher.settled()


async def sweep(dispatcher: OrderDispatcher) -> None:
    await dispatcher.sweep.once()
    await dispatcher.settled()


def look(store: Store, number: int = 1, line: str = "support") -> SwitchboardCall:
    return store.calls.find(line, f"rtc_{number}")


def brief(call: SwitchboardCall) -> tuple[str, str | None, str | None]:
    return call.state, call.claimed_by, call.end_reason


async def test_a_new_call_is_accepted_with_the_session_of_its_order(
    dispatcher: OrderDispatcher, make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, answer=OrderAnswer({"instructions": "Hi", "extra_fields": {"new": 1}}))
    await ring(dispatcher, store, clock)
    assert openai.asked == [("accept", "rtc_1")]
    assert openai.bodies == [{"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Hi", "new": 1}]
    call = look(store)
    assert brief(call) == ("accepted", "order:day", None)
    assert (call.hangup_at, call.accepted_at) == (clock().replace(minute=1), clock())
    assert make_dispatcher.changed == ["support"]  # type: ignore[attr-defined]


async def test_a_call_without_an_order_rings_on(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, line="sales")
    await ring(dispatcher, store, clock)
    assert openai.asked == []
    assert brief(look(store)) == ("ringing", None, None)


async def test_the_fields_of_the_caller_are_filled_in(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, answer=OrderAnswer({"instructions": "It is {who}."}, None, {"who": "from_number"}))
    await ring(dispatcher, store, clock)
    assert '[caller data: "+14155550123"]' in openai.bodies[0]["instructions"]


async def test_a_call_is_declined(dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock) -> None:
    put(store, clock, action="reject", status_code=486)
    await ring(dispatcher, store, clock)
    assert openai.asked == [("reject", "rtc_1")]
    assert openai.bodies == [{"status_code": 486}]
    assert (look(store).state, look(store).status_code) == ("rejected", 486)


async def test_a_call_that_came_too_late_is_not_offered(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    await deliver(dispatcher, clock, state="missed", ended_at=clock())
    await dispatcher.settled()
    assert openai.asked == []


async def test_a_burst_is_answered_side_by_side(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    openai.may_answer.clear()
    for number in range(20):
        await deliver(dispatcher, clock, number)
    await until(lambda: len(openai.asked) == 20)
    openai.may_answer.set()
    await dispatcher.settled()
    assert {look(store, number).state for number in range(20)} == {"accepted"}


async def test_no_more_calls_of_a_line_are_answered_at_once_than_are_allowed(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    dispatcher = make_dispatcher(order_concurrency=2)
    put(store, clock)
    put(store, clock, line="sales")
    openai.may_answer.clear()
    for number in range(5):
        await deliver(dispatcher, clock, number)
    await until(lambda: len(openai.asked) == 2)
    await deliver(dispatcher, clock, 9, line="sales")
    await until(lambda: ("accept", "rtc_9") in openai.asked)
    assert len(openai.asked) == 3
    openai.may_answer.set()
    await dispatcher.settled()
    assert len(openai.asked) == 6


async def test_a_caller_who_is_gone_costs_nothing(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    openai.answer = lambda operation, call_id: GONE
    await ring(dispatcher, store, clock)
    assert openai.asked == [("accept", "rtc_1")]
    assert brief(look(store)) == ("ended", "order:day", "gone")


async def test_somebody_elses_decision_is_left_alone(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    openai.answer = lambda operation, call_id: DECIDED
    await ring(dispatcher, store, clock)
    assert openai.asked == [("accept", "rtc_1")]
    assert brief(look(store)) == ("ended", "order:day", "decided_elsewhere")


async def test_a_call_that_an_order_could_not_get_accepted_rings_on_for_others(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, uses=3)
    openai.answer = lambda operation, call_id: httpx.Response(401)
    await ring(dispatcher, store, clock)
    assert (look(store).state, look(store).claimed_by, look(store).hangup_at) == ("ringing", None, None)
    assert store.orders.find("support", "day").uses_left == 3
    await sweep(dispatcher)
    clock.move(2)
    await sweep(dispatcher)
    assert openai.asked == [("accept", "rtc_1")]
    store.calls.move("support", "rtc_1", partial(moves.claim, owner="a task", now=clock()), clock())
    clock.move(30)
    await sweep(dispatcher)
    assert look(store).claimed_by == "a task"


async def test_another_order_answers_a_call_that_the_first_could_not_get_accepted(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, priority=1)
    put(store, clock, "fallback", unclaimed_after_seconds=5)
    refusals = iter([httpx.Response(400, json={"error": {}})])
    openai.answer = lambda operation, call_id: next(refusals, httpx.Response(200))
    await ring(dispatcher, store, clock)
    assert look(store).state == "ringing"
    clock.move(5)
    await sweep(dispatcher)
    assert brief(look(store)) == ("accepted", "order:fallback", None)


async def test_an_order_that_was_corrected_while_it_rings_answers(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    openai.answer = lambda operation, call_id: httpx.Response(400, json={"error": {}})
    await ring(dispatcher, store, clock)
    openai.answer = lambda operation, call_id: httpx.Response(200)
    put(store, clock, edition="corrected", max_duration_seconds=90.0)
    clock.move(2)
    await sweep(dispatcher)
    assert brief(look(store)) == ("accepted", "order:day", None)


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("no answer"), httpx.Response(500)])
async def test_a_call_that_was_accepted_without_a_clear_answer_goes_on(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, failure: Any
) -> None:
    put(store, clock)
    openai.live = True
    openai.answer = lambda operation, call_id: failure
    await ring(dispatcher, store, clock)
    assert ("hangup", "rtc_1") not in openai.asked
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_a_busy_openai_is_asked_again_as_long_as_the_phone_rings(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    busy = iter([httpx.Response(503), httpx.Response(429)] * 10)
    openai.answer = lambda operation, call_id: next(busy, httpx.Response(200))
    await ring(dispatcher, store, clock)
    assert brief(look(store)) == ("accepted", "order:day", None)
    assert len(openai.asked) == 21


async def test_a_call_of_which_nobody_can_tell_is_left_to_the_next_look_and_the_reaper(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    openai.live = None
    openai.answer = lambda operation, call_id: httpx.ReadTimeout("no answer")
    await ring(dispatcher, store, clock)
    assert brief(look(store)) == ("claimed", "order:day", "accept_failed")
    assert store.reaping.overdue(clock().replace(minute=1))
    clock.move(2)
    openai.answer = lambda operation, call_id: DECIDED if operation == "accept" else httpx.Response(200)
    await sweep(dispatcher)
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_a_call_that_could_not_be_declined_rings_on(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=603)
    openai.answer = lambda operation, call_id: httpx.Response(401)
    await ring(dispatcher, store, clock)
    assert {operation for operation, _ in openai.asked} == {"reject"}
    assert (look(store).state, look(store).claimed_by, look(store).end_wanted) == ("ringing", None, None)
    openai.answer = lambda operation, call_id: DECIDED
    await ring(dispatcher, store, clock, 2)
    assert brief(look(store, 2)) == ("ended", "order:day", "decided_elsewhere")
    openai.answer = lambda operation, call_id: GONE
    await ring(dispatcher, store, clock, 3)
    assert brief(look(store, 3)) == ("ended", "order:day", "gone")


async def test_a_decline_without_a_clear_answer_is_sent_again(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=486)
    openai.answer = lambda operation, call_id: httpx.Response(503)
    await ring(dispatcher, store, clock)
    assert look(store).state == "claimed"
    openai.answer = lambda operation, call_id: DECIDED
    clock.move(2)
    await sweep(dispatcher)
    assert (look(store).state, look(store).status_code) == ("rejected", 486)


async def test_who_declines_is_committed_before_openai_is_asked(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=486)
    before: list[SwitchboardCall] = []

    def answer(operation: str, call_id: str) -> httpx.Response:
        before.append(look(store))
        return httpx.Response(200)

    openai.answer = answer
    await ring(dispatcher, store, clock)
    assert [(call.state, call.end_wanted, call.end_wanted_by) for call in before] == [
        ("claimed", "rejected", "order:day")
    ]
    call = look(store)
    assert (call.state, call.end_reason, call.ended_by, call.end_witness) == (
        "rejected",
        "rejected",
        "order:day",
        "api",
    )


@pytest.mark.parametrize("is_resumed", [False, True])
async def test_a_decline_whose_answer_is_lost_is_not_told_as_the_caller_s_end(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, is_resumed: bool
) -> None:
    put(store, clock, action="reject", status_code=486)
    lost = httpx.ReadTimeout("no answer")
    answers = iter([lost, lost, GONE] if is_resumed else [lost, GONE])
    openai.answer = lambda operation, call_id: next(answers)
    await ring(dispatcher, store, clock)
    if is_resumed:
        assert look(store).state == "claimed"
        clock.move(2)
        await sweep(dispatcher)
    assert next(answers, None) is None
    call = look(store)
    assert (call.end_reason, call.ended_by, call.end_witness) == ("rejected", "order:day", "api")


async def test_a_decline_that_the_reaper_sent_meanwhile_is_the_order_s(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=486)

    def late(operation: str, call_id: str) -> httpx.Response:
        clock.move(moves.ACTING_SECONDS)
        return DECIDED

    openai.answer = late
    await ring(dispatcher, store, clock)
    assert (look(store).state, look(store).ended_by) == ("rejected", "order:day")


async def test_a_call_whose_decline_is_in_doubt_is_declined_by_the_reaper_unless_its_order_goes(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=486)
    openai.answer = lambda operation, call_id: httpx.Response(503)
    await ring(dispatcher, store, clock)
    clock.move(moves.ACTING_SECONDS - 0.1)
    assert store.reaping.overdue(clock()) == []
    clock.move(0.1)
    (overdue,) = store.reaping.overdue(clock())
    assert (overdue.call_id, overdue.reason, overdue.by, overdue.status_code) == ("rtc_1", "rejected", "order:day", 486)
    store.orders.remove("support", "day")
    await sweep(dispatcher)
    assert (look(store).state, look(store).end_wanted, look(store).status_code) == ("ringing", None, None)
    assert store.reaping.overdue(clock()) == []


async def test_what_a_dead_worker_took_is_answered_by_another(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    clock.move(1.9)
    await sweep(dispatcher)
    assert openai.asked == []
    clock.move(0.1)
    await sweep(dispatcher)
    assert openai.asked == [("accept", "rtc_1")]
    assert brief(look(store)) == ("accepted", "order:day", None)
    assert look(store).hangup_at == clock().replace(minute=1, second=0)


async def test_what_a_dead_worker_had_got_accepted_is_ours(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    openai.answer = lambda operation, call_id: DECIDED
    clock.move(2)
    await sweep(dispatcher)
    assert openai.asked == [("accept", "rtc_1")]
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_what_a_dead_worker_had_declined_is_declined(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=486)
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    openai.answer = lambda operation, call_id: DECIDED
    clock.move(2)
    await sweep(dispatcher)
    assert (look(store).state, look(store).status_code) == ("rejected", 486)


@pytest.mark.parametrize("what", ["rang_out", "removed", "declines_now"])
async def test_what_cannot_be_answered_any_more_and_may_be_live_is_hung_up(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, what: str
) -> None:
    put(store, clock)
    openai.live = True
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    clock.move(59 if what == "rang_out" else 2)
    if what == "rang_out":
        clock.move(1)
    elif what == "removed":
        store.orders.remove("support", "day")
    else:
        put(store, clock, action="reject", status_code=486)
    await sweep(dispatcher)
    assert openai.asked == [("hangup", "rtc_1")]
    assert brief(look(store)) == ("ended", "order:day", "accept_failed")


@pytest.mark.parametrize("what", ["removed", "declines_now"])
async def test_what_its_order_does_not_answer_any_more_rings_on_for_others(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, what: str
) -> None:
    put(store, clock)
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    clock.move(2)
    if what == "removed":
        store.orders.remove("support", "day")
    else:
        put(store, clock, action="reject", status_code=486, match=CallMatch(to="+49*"))
    await sweep(dispatcher)
    assert openai.asked == []
    assert (look(store).state, look(store).claimed_by) == ("ringing", None)


async def test_a_call_that_was_to_be_declined_is_not_accepted_without_an_end(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, action="reject", status_code=486)
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    put(store, clock)
    clock.move(2)
    await sweep(dispatcher)
    assert ("accept", "rtc_1") not in openai.asked
    assert look(store).state == "ringing"


async def test_giving_up_leaves_a_call_that_cannot_be_hung_up_to_the_reaper(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    new_call(store, clock)
    store.order_taking.take([("support", "rtc_1")], clock(), 2.0)
    store.orders.remove("support", "day")
    openai.live = True
    openai.answer = lambda operation, call_id: httpx.Response(503)
    clock.move(2)
    await sweep(dispatcher)
    tries = len(openai.asked)
    clock.move(5)
    await sweep(dispatcher)
    assert len(openai.asked) == tries
    assert look(store).state == "claimed"
    clock.move(60)
    assert [call.call_id for call in store.reaping.overdue(clock())] == ["rtc_1"]


async def test_a_worker_that_is_busy_keeps_its_calls(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    slow, other = make_dispatcher(), make_dispatcher()
    put(store, clock)
    openai.may_answer.clear()
    await deliver(slow, clock)
    await until(lambda: openai.asked)
    for _ in range(10):
        clock.move(0.5)
        await slow.sweep.once()
        await other.sweep.once()
    assert openai.asked == [("accept", "rtc_1")]
    openai.may_answer.set()
    await slow.settled()
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_two_workers_that_both_asked_agree(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    """The first one hangs for longer than its lease, and lives after all."""
    stalled, other = make_dispatcher(), make_dispatcher()
    put(store, clock)
    openai.may_answer.clear()
    await deliver(stalled, clock)
    await until(lambda: len(openai.asked) == 1)
    clock.move(2)
    await other.sweep.once()
    await until(lambda: len(openai.asked) == 2)
    answers = iter([httpx.Response(200), DECIDED])
    openai.answer = lambda operation, call_id: next(answers)
    openai.may_answer.set()
    await stalled.settled()
    await other.settled()
    assert openai.asked == [("accept", "rtc_1")] * 2
    assert brief(look(store)) == ("accepted", "order:day", None)


@pytest.mark.parametrize("late", [httpx.ReadTimeout("no answer"), DECIDED, httpx.Response(200)])
async def test_a_stalled_worker_does_not_touch_a_call_that_was_taken_over(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock, late: httpx.Response | Exception
) -> None:
    stalled, other = make_dispatcher(), make_dispatcher()
    put(store, clock)
    openai.may_answer.clear()
    await deliver(stalled, clock)
    await until(lambda: len(openai.asked) == 1)
    first_answer = openai.may_answer
    openai.may_answer = asyncio.Event()
    openai.may_answer.set()
    clock.move(2)
    await sweep(other)
    rule = partial(moves.take_over, owner="me", from_owner="order:day", now=clock())
    store.calls.move("support", "rtc_1", rule, clock())
    openai.answer = lambda operation, call_id: late
    first_answer.set()
    await stalled.settled()
    assert ("hangup", "rtc_1") not in openai.asked
    assert brief(look(store)) == ("accepted", "me", None)


async def test_a_call_that_a_dead_worker_only_stored_is_taken_by_another(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    await sweep(dispatcher)
    new_call(store, clock)
    await sweep(dispatcher)
    assert openai.asked == []  # the worker that stored it may be about to take it
    clock.move(1)
    await sweep(dispatcher)
    assert openai.asked == [("accept", "rtc_1")]


async def test_a_fallback_answers_what_nobody_claims(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, "fallback", unclaimed_after_seconds=8.0)
    await ring(dispatcher, store, clock, 1, 2)
    store.calls.move("support", "rtc_2", partial(moves.claim, owner="me", now=clock()), clock())
    clock.move(7.9)
    await sweep(dispatcher)
    assert openai.asked == []
    clock.move(0.1)
    await sweep(dispatcher)
    assert openai.asked == [("accept", "rtc_1")]
    assert brief(look(store)) == ("accepted", "order:fallback", None)
    assert brief(look(store, 2)) == ("claimed", "me", None)


async def test_an_order_answers_calls_that_rang_before_it_was_made(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    await ring(dispatcher, store, clock)
    put(store, clock)
    await sweep(dispatcher)
    assert look(store).state == "accepted"


async def test_a_call_is_taken_as_it_is_stored(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    """So a task that waits for ringing calls never sees it, and a worker that dies now leaves it to others."""
    put(store, clock)
    await dispatcher.sweep.once()
    dispatcher.store([a_call(at=clock())])
    assert brief(look(store)) == ("claimed", "order:day", None)
    assert openai.asked == []


async def test_a_call_that_was_stored_and_taken_is_answered_though_its_order_is_removed_right_after(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    await dispatcher.sweep.once()
    stored = dispatcher.store([a_call(at=clock())])
    store.orders.remove("support", "day")
    await dispatcher.sweep.once()
    dispatcher.answer(stored)
    await dispatcher.settled()
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_an_order_with_limited_uses_takes_calls_after_they_are_stored(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, uses=1)
    await dispatcher.sweep.once()
    stored = dispatcher.store([a_call(at=clock())])
    assert look(store).state == "ringing"
    dispatcher.answer(stored)
    await dispatcher.settled()
    assert look(store).state == "accepted"


async def test_a_call_that_is_delivered_again_is_answered_once(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    await ring(dispatcher, store, clock)
    again = a_call(at=clock())
    stored = dispatcher.store([again, again])
    assert stored.added == set()
    dispatcher.answer(stored)
    await dispatcher.settled()
    assert openai.asked == [("accept", "rtc_1")]


async def test_a_line_that_this_worker_does_not_know_yet_is_answered_by_the_next_sweep(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock)
    await dispatcher.sweep.once()
    put(store, clock, line="sales")
    calls = [a_call(1, at=clock()), a_call(2, at=clock(), line="sales")]
    stored = dispatcher.store(calls)
    assert len(stored.added) == 2
    dispatcher.answer(stored)
    await dispatcher.settled()
    assert openai.asked == [("accept", "rtc_1")]
    await sweep(dispatcher)
    assert openai.asked == [("accept", "rtc_1"), ("accept", "rtc_2")]


@pytest.mark.parametrize("spoiled", [{"conditions": "no JSON"}, {"answer": "[1]"}])
async def test_an_order_that_cannot_be_read_does_not_stop_the_others(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, spoiled: dict[str, str]
) -> None:
    put(store, clock, "spoiled", priority=9)
    put(store, clock)
    broken = orders.update().where(orders.c.name == "spoiled").values(spoiled)
    store.database.write(lambda connection: connection.execute(broken).rowcount)
    await ring(dispatcher, store, clock)
    assert brief(look(store)) == ("accepted", "order:day", None)
    await sweep(dispatcher)


async def test_whatever_goes_wrong_with_orders_no_delivery_is_refused(
    dispatcher: OrderDispatcher,
    store: Store,
    openai: OpenAI,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put(store, clock)
    await dispatcher.sweep.once()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(store.order_taking, "store_and_take", broken)
    await deliver_unswept(dispatcher, clock)
    assert look(store).state == "ringing"
    assert "order.storing_failed" in caplog.text


async def test_an_order_that_is_used_up_by_a_call_answers_that_call(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, uses=1)
    await dispatcher.sweep.once()
    openai.may_answer.clear()
    await deliver(dispatcher, clock, 1)
    await until(lambda: openai.asked)
    await dispatcher.sweep.once()  # the order is not open any more
    openai.may_answer.set()
    await ring(dispatcher, store, clock, 2)
    assert (look(store).state, look(store, 2).state) == ("accepted", "ringing")


async def test_a_line_without_a_key_leaves_its_calls_ringing(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    class NoLines(LinesElsewhere):
        def find(self, name: str | None) -> Line | None:
            return None

    class BackendDown(LinesElsewhere):
        def find(self, name: str | None) -> Line | None:
            raise LinesUnavailable("vault does not answer")

    put(store, clock)
    for number, lines in enumerate((NoLines(), BackendDown())):
        dispatcher = make_dispatcher(lines)
        await ring(dispatcher, store, clock, number)
        clock.move(5)
        await sweep(dispatcher)
        assert look(store, number).state == "ringing"
    assert openai.asked == []


async def test_a_store_that_is_away_costs_a_call_a_moment(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, clock, uses=5)
    await dispatcher.sweep.once()

    def away(*args: Any, **kwargs: Any) -> Any:
        raise StoreUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(store.order_taking, "take", away)
        await deliver_unswept(dispatcher, clock)
        patched.setattr(store.order_taking, "store_and_take", away)
        with pytest.raises(StoreUnavailable):
            dispatcher.store([a_call(2, at=clock())])
    assert look(store).state == "ringing"
    clock.move(1)
    await sweep(dispatcher)
    assert look(store).state == "accepted"


async def test_a_store_that_goes_away_after_the_accept_learns_of_it_later(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, clock)

    def away(*args: Any, **kwargs: Any) -> Any:
        raise StoreUnavailable("down")

    with monkeypatch.context() as patched:
        patched.setattr(store.calls, "move", away)
        await ring(dispatcher, store, clock)
    assert openai.asked == [("accept", "rtc_1")]
    assert look(store).state == "claimed"
    openai.answer = lambda operation, call_id: DECIDED
    clock.move(2)
    await sweep(dispatcher)
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_closing_finishes_what_was_begun_and_begins_nothing(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    dispatcher = make_dispatcher()
    put(store, clock, uses=5)
    openai.may_answer.clear()
    await deliver(dispatcher, clock)
    await until(lambda: openai.asked)
    closing = asyncio.ensure_future(dispatcher.close())
    await asyncio.sleep(0)
    await deliver(dispatcher, clock, 2)
    openai.may_answer.set()
    await closing
    assert (look(store).state, look(store, 2).state) == ("accepted", "ringing")


async def test_closing_does_not_wait_for_ever(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_openai_realtime.switchboard.server.orders.dispatcher.CLOSE_SECONDS", 0.05)
    dispatcher, other = make_dispatcher(), make_dispatcher()
    put(store, clock)
    openai.may_answer.clear()
    await deliver(dispatcher, clock)
    await until(lambda: openai.asked)
    await dispatcher.close()
    assert brief(look(store)) == ("claimed", "order:day", None)
    openai.may_answer.set()
    clock.move(2)
    await sweep(other)
    assert brief(look(store)) == ("accepted", "order:day", None)


async def test_long_expired_orders_are_forgotten(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    put(store, clock, expires_at=clock())
    await sweep(dispatcher)
    assert len(store.orders.all("support")) == 1
    clock.move(FORGET_AFTER.total_seconds() + 61)
    await sweep(dispatcher)
    assert store.orders.all("support") == []


async def test_the_dispatcher_sweeps_on_its_own_and_at_once_when_asked(
    make_dispatcher: MakeDispatcher, store: Store, openai: OpenAI, clock: Clock
) -> None:
    dispatcher = make_dispatcher(order_sweep_seconds=3600.0)
    running = asyncio.ensure_future(dispatcher.sweep.run())
    await until(lambda: dispatcher.sweep.last_at is not None)
    new_call(store, clock)
    clock.move(1)
    put(store, clock)
    dispatcher.sweep.soon()
    await until(lambda: look(store).state == "accepted")
    running.cancel()


async def test_nothing_secret_is_logged(
    dispatcher: OrderDispatcher, store: Store, openai: OpenAI, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tool = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example/mcp", "authorization": "tok-1"}
    tool["require_approval"] = "never"
    put(store, clock, answer=OrderAnswer({"tools": [tool], "instructions": "Mention Ada"}, None))
    await ring(dispatcher, store, clock, 1)
    said = {"error": {"code": "invalid_value", "message": "Invalid value: 'tok-1' in Mention Ada"}}
    refused = httpx.Response(400, json=said)
    openai.answer = lambda operation, call_id: refused if operation == "accept" else GONE
    await ring(dispatcher, store, clock, 2)
    assert "order.failed" in caplog.text
    assert "tok-1" not in caplog.text
    assert "Ada" not in caplog.text
    assert "+1415" not in caplog.text
