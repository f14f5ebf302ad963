"""One order and one call: what becomes of the call for each answer of OpenAI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
from tests.unit.switchboard.server.orders.test_dispatcher import ANY, DECIDED, GONE, OpenAI, look
from tests.unit.switchboard.support import START, Clock, a_call, a_line

from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.order import OrderAnswer, OrderDraft, StandingOrder
from airflow_openai_realtime.exceptions import CallAlreadyDecided, CallError, ServiceUnavailable
from airflow_openai_realtime.switchboard.server.orders.order_answering import checked_session
from airflow_openai_realtime.switchboard.server.orders.order_execution import OrderExecution
from airflow_openai_realtime.switchboard.server.process.executor import Executor
from airflow_openai_realtime.switchboard.server.store import Store

ANSWER = OrderAnswer({"instructions": "Hi"})
REFUSED = httpx.Response(400, json={"error": {"code": "invalid_value", "message": "no"}})


class Scene:
    """A call that an order has taken, and who carries the order out."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock, self.openai = store, clock, OpenAI()
        self.executor = Executor(2, "test")
        self.changed: list[str] = []
        self.client = self.openai.client(a_line().api)

    def execution(self, action: str = "accept", *, is_resumed: bool = False) -> tuple[OrderExecution, StandingOrder]:
        how: dict[str, Any] = {"max_duration_seconds": 60.0} if action == "accept" else {"status_code": 603}
        draft = OrderDraft("day", match=ANY, action=action, edition="e", **how)
        order = self.store.orders.put("support", draft.check(), START)
        self.store.calls.add([a_call()])
        (taken,) = self.store.order_taking.take([("support", "rtc_1")], START, 2.0)
        made = OrderExecution(
            store=self.store,
            threads=self.executor,
            now=self.clock,
            client=self.client,
            call=taken.call,
            is_resumed=is_resumed,
            default_duration_seconds=600,
            on_change=self.changed.append,
            order=order,
        )
        return made, order

    @property
    def call(self) -> SwitchboardCall:
        return look(self.store)


@pytest.fixture
async def scene(sqlite_store: Store, clock: Clock) -> AsyncIterator[Scene]:
    made = Scene(sqlite_store, clock)
    yield made
    made.executor.close()


async def accept(execution: OrderExecution, order: StandingOrder) -> bool:
    return await execution.accept(order, ANSWER, checked_session(ANSWER))


async def test_an_accepted_call_is_told_to_who_follows_the_line(scene: Scene) -> None:
    assert await accept(*scene.execution()) is True
    assert (scene.call.state, scene.call.claimed_by) == ("accepted", "order:day")
    assert scene.openai.bodies[0]["instructions"] == "Hi"
    assert scene.changed == ["support"]


async def test_who_finds_the_call_accepted_by_the_worker_before_does_not_greet_again(scene: Scene) -> None:
    execution, order = scene.execution(is_resumed=True)
    rule = partial(moves.accepted, owner="order:day", now=START, default_duration_seconds=60)
    scene.store.calls.move("support", "rtc_1", rule, START)
    scene.openai.answer = lambda operation, call_id: DECIDED
    assert await accept(execution, order) is False
    assert scene.call.state == "accepted"


async def test_an_accept_that_was_refused_lets_the_call_ring_on_and_says_that_it_was_given_back(scene: Scene) -> None:
    scene.openai.answer = lambda operation, call_id: REFUSED
    execution, order = scene.execution()
    with pytest.raises(CallError):
        await accept(execution, order)
    assert (scene.call.state, scene.call.claimed_by, execution.is_given_back) == ("ringing", None, True)


async def test_an_accept_in_doubt_is_kept_for_who_resumes(scene: Scene) -> None:
    scene.openai.answer = lambda operation, call_id: httpx.ReadTimeout("no answer")
    scene.openai.live = None
    execution, order = scene.execution()
    with pytest.raises(CallError):
        await accept(execution, order)
    assert (scene.call.state, execution.is_given_back) == ("claimed", False)


@pytest.mark.parametrize(
    ("is_resumed", "live", "state", "asked"),
    [
        (False, False, "ringing", []),
        (True, False, "ringing", []),
        (True, True, "ended", [("hangup", "rtc_1")]),
        (True, None, "ended", [("hangup", "rtc_1")]),
    ],
)
async def test_who_gives_up_hangs_up_what_may_be_live_and_lets_the_rest_ring(
    scene: Scene, is_resumed: bool, live: bool | None, state: str, asked: list[tuple[str, str]]
) -> None:
    execution, _ = scene.execution(is_resumed=is_resumed)
    scene.openai.live = live
    await execution.give_up()
    assert (scene.call.state, scene.openai.asked) == (state, asked)


async def test_a_declined_call_has_the_status_that_it_got(scene: Scene) -> None:
    execution, _ = scene.execution("reject")
    await execution.reject(486)
    assert (scene.call.state, scene.openai.asked, scene.openai.bodies) == (
        "rejected",
        [("reject", "rtc_1")],
        [{"status_code": 486}],
    )


@pytest.mark.parametrize(
    ("answer", "is_resumed", "raises", "state"),
    [
        (GONE, False, None, "ended"),
        (DECIDED, False, CallAlreadyDecided, "ended"),
        (DECIDED, True, None, "rejected"),
        (REFUSED, False, CallError, "ringing"),
        (REFUSED, True, CallError, "claimed"),
        (httpx.Response(503), False, ServiceUnavailable, "claimed"),
    ],
)
async def test_what_a_decline_comes_to(
    scene: Scene, answer: httpx.Response, is_resumed: bool, raises: type[Exception] | None, state: str
) -> None:
    execution, _ = scene.execution("reject", is_resumed=is_resumed)
    scene.openai.answer = lambda operation, call_id: answer
    if raises is None:
        await execution.reject(603)
    else:
        with pytest.raises(raises):
            await execution.reject(603)
    assert scene.call.state == state


async def test_a_call_that_was_taken_over_is_left_to_who_has_it(scene: Scene) -> None:
    execution, order = scene.execution(is_resumed=True)
    for rule in (
        partial(moves.accepted, owner="order:day", now=START, default_duration_seconds=60),
        partial(moves.take_over, owner="task", from_owner="order:day", now=START),
    ):
        scene.store.calls.move("support", "rtc_1", rule, START)
    scene.openai.answer = lambda operation, call_id: httpx.ReadTimeout("no answer")
    scene.openai.live = True
    with_errors: list[Any] = []
    try:
        await accept(execution, order)
    except CallError as error:
        with_errors.append(error)
    assert ("hangup", "rtc_1") not in scene.openai.asked
    assert (scene.call.state, scene.call.claimed_by) == ("accepted", "task")
