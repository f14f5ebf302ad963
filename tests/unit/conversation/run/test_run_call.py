from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tests.unit.conversation.fake_world import CALL, START, FakeWorld
from tests.unit.conversation.talk import PLAN

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.rules.effects import ToolAnswer
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run.run_call import Alarm, CallEnding, Tasks, run_call
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallError,
    CallGone,
    ConversationSuperseded,
    InvalidInput,
    OutcomeUnknown,
    RequestRefused,
    ServiceUnavailable,
)
from airflow_openai_realtime.states import Witness

TALKING = replace(PLAN, greeting=None)
LISTENING = ConversationPlan.only_listening()


def row(state: str, end_reason: str | None = None, ended_after: float = 0) -> SwitchboardCall:
    ended_at = START + timedelta(seconds=ended_after)
    return SwitchboardCall(CALL, "l", state, START, START, hangup_at=START, end_reason=end_reason, ended_at=ended_at)


def said(world: FakeWorld, text: str, item_id: str = "item_1") -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    world.socket.hear(kind, item_id=item_id, transcript=text)


def calls_tools(world: FakeWorld, *calls: tuple[str, str, dict[str, Any]], response_id: str = "resp_1") -> None:
    """The model calls tools: for each its id, name and arguments."""
    output = [
        {"type": "function_call", "call_id": tool_call_id, "name": name, "arguments": json.dumps(arguments)}
        for tool_call_id, name, arguments in calls
    ]
    world.socket.hear("response.created", response={"id": response_id})
    world.socket.hear("response.done", response={"id": response_id, "status": "completed", "output": output})


async def result_of(world: FakeWorld, task: asyncio.Task[CallResult], *, seconds: float = 30) -> CallResult:
    await world.time.go_on(seconds)
    assert task.done()
    return task.result()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what happens in real time, in a thread."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


# -- how it ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
async def test_a_call_is_run_until_the_caller_hangs_up(clean: bool) -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(5)
    said(world, "Never mind.")
    await world.time.go_on(1)
    world.end(clean=clean)
    result = await result_of(world, task)
    assert (result.outcome, result.turns["caller"], result.talk_seconds) == ("caller_hung_up", 1, 6.0)
    assert (world.reasons, world.hung_up) == (["caller_hung_up"], 1)
    assert world.finished is not None
    assert world.finished.result == result.to_dict()
    assert world.reports == []


async def test_what_was_said_just_before_the_end_is_saved() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.settle()
    said(world, "Bye.")
    world.end()
    await result_of(world, task)
    assert [entry.body["text"] for entry in world.kept("caller")] == ["Bye."]


async def test_the_model_ends_the_call() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.settle()
    calls_tools(world, ("call_1", "end_call", {}))
    result = await result_of(world, task)
    assert (result.outcome, result.reason) == ("completed", "end_call")
    assert not world.is_alive


async def test_what_was_said_last_is_heard_after_hanging_up() -> None:
    world = FakeWorld(TALKING)

    async def hang_up(call_id: str) -> Any:
        said(world, "Thank you!")
        return await world.ports().hang_up(call_id)

    task = world.start(hang_up=hang_up)
    await world.time.settle()
    calls_tools(world, ("call_1", "end_call", {}))
    assert (await result_of(world, task)).turns["caller"] == 1


async def test_at_its_time_it_is_hung_up_and_the_switchboard_told_at_once() -> None:
    world = FakeWorld(LISTENING, seconds=20)
    task = world.start()
    await world.time.go_on(19.6)
    assert world.reasons[:1] == ["max_duration"]
    assert (await result_of(world, task)).outcome == "max_duration"


async def test_a_time_that_passed_while_it_was_moved_hangs_up_without_attaching() -> None:
    world = FakeWorld(LISTENING, seconds=-5, accepted_before=600)
    assert (await result_of(world, world.start())).outcome == "max_duration"
    assert world.sockets == []


async def test_a_call_that_ended_unnoticed_was_not_ended_by_its_time() -> None:
    world = FakeWorld(LISTENING, seconds=20)
    task = world.start()
    await world.time.go_on(5)
    world.is_alive = False
    assert (await result_of(world, task, seconds=40)).outcome == "caller_hung_up"


async def test_when_the_switchboard_hung_up_first_it_was_the_time() -> None:
    world = FakeWorld(LISTENING, seconds=20)
    task = world.start()
    await world.time.go_on(18)
    # Why it hangs up is committed before it does.
    due = START + timedelta(seconds=17.9)
    wanted = replace(
        row("accepted"), ended_at=None, end_wanted="max_duration", end_wanted_by="limit", end_wanted_at=due
    )
    world.row = replace(wanted, end_due_at=due)
    world.end()
    result = await result_of(world, task)
    assert (result.outcome, result.talk_seconds) == ("max_duration", 18.0)


async def test_a_task_that_was_about_to_hang_up_when_the_socket_closed_has_hung_up() -> None:
    """OpenAI closes the socket before it answers the hang-up: the switchboard's row says who wanted the end."""
    wanted = replace(row("accepted"), ended_at=None, end_wanted="hung_up", end_wanted_by="a task", end_wanted_at=START)
    world = FakeWorld(LISTENING, row=replace(wanted, end_due_at=START))
    task = world.start()
    await world.time.go_on(1)
    world.end()
    result = await result_of(world, task)
    assert (result.outcome, result.reason) == ("completed", "hung_up")


async def test_a_task_that_wanted_to_hang_up_after_the_caller_had_left_did_not() -> None:
    later = START + timedelta(seconds=5)
    wanted = replace(row("accepted"), ended_at=None, end_wanted="hung_up", end_wanted_by="a task", end_wanted_at=later)
    world = FakeWorld(LISTENING, row=replace(wanted, end_due_at=later))
    task = world.start()
    await world.time.go_on(1)
    world.end()
    assert (await result_of(world, task)).outcome == "caller_hung_up"


async def test_a_call_that_was_over_long_ago_ended_then() -> None:
    world = FakeWorld(LISTENING, is_alive=False, accepted_before=300, row=row("ended", "gone", -200))
    result = await result_of(world, world.start())
    assert (result.outcome, result.ended_at) == ("gone", START - timedelta(seconds=200))


async def test_a_task_of_ours_that_hung_up_is_no_caller() -> None:
    world = FakeWorld(LISTENING, row=row("ended", "hung_up"))
    task = world.start()
    await world.time.settle()
    world.end()
    result = await result_of(world, task)
    assert (result.outcome, result.reason) == ("completed", "hung_up")


async def test_of_an_accept_that_led_to_nothing_no_more_is_said_than_that() -> None:
    """The caller left before a process was attached, or OpenAI could not use the session: both look the same."""
    world = FakeWorld(LISTENING, is_alive=False)
    result = await result_of(world, world.start())
    assert (result.outcome, result.reason, result.talk_seconds) == ("gone", "no_session", None)
    assert result.turns == {"caller": None, "agent": None}


async def test_a_socket_that_dies_before_the_session_is_there_is_such_a_call() -> None:
    world = FakeWorld(LISTENING, is_session_sent=False)
    task = world.start()
    await world.time.settle()
    world.end(clean=False)
    result = await result_of(world, task)
    assert (result.outcome, result.reason) == ("gone", "no_session")


async def test_a_call_that_nobody_listened_to_in_time_is_gone() -> None:
    world = FakeWorld(LISTENING, is_alive=False, accepted_before=60)
    result = await result_of(world, world.start())
    assert (result.outcome, result.reason) == ("gone", "over_before_attaching")


async def test_an_error_that_kills_the_session_is_told() -> None:
    world = FakeWorld(LISTENING)
    task = world.start()
    await world.time.settle()
    world.socket.hear("error", error={"type": "server_error", "code": "oops", "message": "Call +14155550123 died"})
    world.end(clean=False)
    result = await result_of(world, task)
    assert (result.outcome, result.reason) == ("failed", "oops")
    assert result.errors == ({"code": "oops", "message": "Call +1***0123 died"},)
    assert not [line for line in world.reports if "died" in line]


async def test_sixty_minutes_are_the_end() -> None:
    world = FakeWorld(LISTENING)
    task = world.start()
    await world.time.settle()
    world.socket.hear("error", error={"code": "session_expired", "message": "60 minutes"})
    world.end(clean=False)
    result = await result_of(world, task)
    assert (result.outcome, result.reason) == ("max_duration", "session_expired")


async def test_a_call_that_was_not_accepted_is_refused() -> None:
    world = FakeWorld()
    with pytest.raises(InvalidInput, match="not accepted"):
        await run_call(world.ports(), world.plan, replace(world.call(), state="ringing", hangup_at=None))


async def test_a_call_that_never_could_be_attached_is_hung_up_at_its_time_all_the_same() -> None:
    world = FakeWorld(LISTENING, seconds=20, attach_fails=[ServiceUnavailable("no route")] * 100)
    assert (await result_of(world, world.start())).outcome == "max_duration"


# -- moved and cancelled -------------------------------------------------------------------------------------------


async def test_cancelled_it_closes_the_socket_saves_and_leaves_the_call_alone() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(1)
    said(world, "Hello?")
    await world.time.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.socket.was_left
    assert (world.is_alive, world.hung_up, world.finished) == (True, 0, None)
    assert len(world.kept("caller")) == 1


async def test_another_holder_goes_on_where_the_first_stopped() -> None:
    world = FakeWorld(PLAN)
    first = world.start()
    await world.time.go_on(1)
    said(world, "My name is Ann.")
    await world.time.go_on(3)
    first.cancel()
    await world.time.go_on(4)
    second = world.start()
    await world.time.settle()
    said(world, "Hello?", "item_2")
    world.end()
    result = await result_of(world, second)
    assert (result.resumed, result.turns["caller"]) == (True, 2)
    assert 6.9 <= result.gap_seconds <= 8
    assert [socket.types().count("response.create") for socket in world.sockets] == [1, 0]


async def test_a_cancelled_holder_gives_the_conversation_up() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(1)
    task.cancel()
    await world.time.settle()
    assert world.given_up == [1]


async def test_a_holder_that_cannot_go_on_gives_the_conversation_up() -> None:
    world = FakeWorld(LISTENING, attach_fails=[AuthenticationError("401")])
    task = world.start()
    await world.time.go_on(1)
    assert isinstance(task.exception(), AuthenticationError)
    assert world.given_up == [1]


async def test_a_holder_that_has_finished_gives_nothing_up() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(1)
    world.end()
    await result_of(world, task)
    assert world.given_up == []


async def test_a_holder_that_was_superseded_stops_and_hangs_up_nothing() -> None:
    world = FakeWorld(TALKING)
    first = world.start()
    await world.time.settle()
    second = world.start()
    await world.time.settle()
    world.sockets[0].hear("conversation.item.input_audio_transcription.completed", item_id="item_1", transcript="Hi")
    await world.time.go_on(3)
    with pytest.raises(ConversationSuperseded):
        first.result()
    assert (world.hung_up, world.is_alive, second.done()) == (0, True, False)
    assert world.sockets[0].was_left
    world.end()
    assert (await result_of(world, second)).outcome == "caller_hung_up"


async def test_when_both_hear_a_tool_call_the_newer_one_runs_it() -> None:
    world = FakeWorld(TALKING)
    first = world.start()
    await world.time.settle()
    second = world.start()
    await world.time.settle()
    output = [{"type": "function_call", "call_id": "call_1", "name": "book", "arguments": "{}"}]
    for socket in world.sockets:
        socket.hear("response.done", response={"id": "resp_1", "status": "completed", "output": output})
    await world.time.go_on(3)
    assert world.ran == ["book"]
    assert isinstance(first.exception(), ConversationSuperseded)
    second.cancel()


async def test_a_call_that_is_finished_is_not_run_again() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.settle()
    world.end()
    result = await result_of(world, task)
    again = await result_of(world, world.start(), seconds=1)
    assert again == result
    assert len(world.sockets) == 1


# -- the switchboard is away ---------------------------------------------------------------------------------------


async def test_while_the_switchboard_is_away_the_call_goes_on_and_nothing_is_lost() -> None:
    world = FakeWorld(PLAN)
    task = world.start()
    await world.time.go_on(1)
    world.is_board_away = True
    said(world, "One.", "item_1")
    await world.time.go_on(20)
    said(world, "Two.", "item_2")
    await world.time.go_on(20)
    assert world.kept("caller") == []
    world.is_board_away = False
    await world.time.go_on(12)
    assert [entry.body["text"] for entry in world.kept("caller")] == ["One.", "Two."]
    world.end()
    assert (await result_of(world, task)).turns["caller"] == 2


async def test_a_new_call_is_greeted_though_the_switchboard_is_away() -> None:
    world = FakeWorld(PLAN, is_board_away=True)
    task = world.start()
    await world.time.go_on(6)
    assert world.socket.types() == ["response.create"]
    task.cancel()


async def test_a_call_that_may_have_been_greeted_is_not_when_the_switchboard_is_away() -> None:
    world = FakeWorld(PLAN, is_board_away=True, accepted_before=60)
    task = world.start()
    await world.time.go_on(10)
    assert world.socket.types() == []
    task.cancel()


async def test_a_conversation_that_opens_late_brings_what_was_saved() -> None:
    world = FakeWorld(TALKING)
    first = world.start()
    await world.time.settle()
    said(world, "My name is Ann.")
    await world.time.go_on(3)
    first.cancel()
    await world.time.settle()
    world.is_board_away = True
    second = world.start()
    await world.time.go_on(10)
    world.is_board_away = False
    await world.time.go_on(10)
    world.end()
    result = await result_of(world, second)
    assert (result.turns["caller"], result.resumed) == (1, True)


async def test_a_function_whose_call_cannot_be_noted_is_not_run() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(1)
    world.is_board_away = True
    calls_tools(world, ("call_1", "book", {}))
    await world.time.go_on(8)
    assert world.ran == []
    (output,) = [command for command in world.socket.sent if command["type"] == "conversation.item.create"]
    assert "cannot be done at the moment" in output["item"]["output"]
    task.cancel()


async def test_a_result_that_cannot_be_saved_is_returned_all_the_same() -> None:
    world = FakeWorld(TALKING, seconds=100)
    task = world.start()
    await world.time.go_on(1)
    world.is_board_away = True
    world.end()
    await world.time.go_on(120)
    assert not task.done()
    await world.time.go_on(120)
    assert task.result().outcome == "caller_hung_up"
    assert any("could not be saved" in line for line in world.reports)


async def test_a_result_is_saved_as_soon_as_the_switchboard_is_back() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.go_on(1)
    world.is_board_away = True
    world.end()
    await world.time.go_on(60)
    world.is_board_away = False
    await result_of(world, task)
    assert world.finished is not None


# -- tools ---------------------------------------------------------------------------------------------------------


async def test_a_function_runs_and_its_output_goes_to_the_model() -> None:
    world = FakeWorld(TALKING, functions={"book": ToolAnswer("ok", "Booked.")})
    task = world.start()
    await world.time.settle()
    calls_tools(world, ("call_1", "book", {"day": "Monday"}))
    await world.time.settle()
    assert world.socket.types() == ["conversation.item.create", "response.create"]
    assert world.socket.sent[0]["item"]["output"] == "Booked."
    assert [entry.body["status"] for entry in world.kept("tool_result")] == ["ok"]
    task.cancel()


@pytest.mark.parametrize(("seconds", "status"), [(3, "ok"), (100, "unknown")])
async def test_a_function_that_still_runs_when_the_call_ends_is_waited_for_a_little(
    seconds: float, status: str
) -> None:
    world = FakeWorld(TALKING)

    async def slow() -> ToolAnswer:
        await world.time.sleep(seconds)
        return ToolAnswer("ok", "Booked.")

    world.functions = {"book": slow}
    task = world.start()
    await world.time.settle()
    calls_tools(world, ("call_1", "book", {}))
    await world.time.settle()
    world.end()
    assert (await result_of(world, task)).tools == ({"name": "book", "status": status},)


async def test_a_result_that_was_recorded_before_the_caller_hung_up_completes_the_call() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.settle()
    calls_tools(world, ("call_1", "record_result", {"agreed": True}))
    await until(lambda: world.kept("tool_result"))
    world.end()
    result = await result_of(world, task)
    assert (result.outcome, result.result, result.result_valid) == ("completed", {"agreed": True}, True)


async def test_a_transfer_is_asked_for_once_and_the_model_says_nothing_more() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.settle()
    calls_tools(world, ("call_1", "transfer_call", {"target": "desk"}))
    await world.time.go_on(3)
    assert world.referred == ["tel:+14155550177"]
    assert world.socket.types() == ["conversation.item.create"]
    world.end()
    result = await result_of(world, task)
    assert (result.outcome, result.transfer) == ("transfer_requested", "desk")


@pytest.mark.parametrize(
    ("error", "outcome", "transfer"),
    [
        (OutcomeUnknown("no answer"), "transfer_requested", "desk"),
        (ServiceUnavailable("503"), "caller_hung_up", None),
        (CallGone("404"), "caller_hung_up", None),
    ],
)
async def test_a_transfer_that_fails(error: CallError, outcome: str, transfer: str | None) -> None:
    world = FakeWorld(TALKING, refer_fails=error)
    task = world.start()
    await world.time.settle()
    calls_tools(world, ("call_1", "transfer_call", {"target": "desk"}))
    await world.time.go_on(3)
    assert ("response.create" in world.socket.types()) == (transfer is None)
    world.end()
    result = await result_of(world, task)
    assert (result.outcome, result.transfer) == (outcome, transfer)


async def test_what_was_said_and_given_goes_to_no_log() -> None:
    world = FakeWorld(TALKING)
    task = world.start()
    await world.time.settle()
    said(world, "I am Herr Meier")
    calls_tools(world, ("call_1", "book", {"name": "Herr Meier"}), ("call_2", "Herr Meier", {}))
    await world.time.go_on(3)
    world.socket.close(clean=False)
    await world.time.go_on(3)
    world.end()
    await result_of(world, task)
    assert world.reports
    assert not [line for line in world.reports if "Meier" in line]


async def test_a_superseded_holder_that_hears_nothing_does_not_hang_up_for_silence() -> None:
    world = FakeWorld(replace(TALKING, silence_seconds=30))
    first = world.start()
    await world.time.go_on(20)
    second = world.start()
    await world.time.go_on(12)
    assert isinstance(first.exception(), ConversationSuperseded)
    assert (world.hung_up, second.done()) == (0, False)
    second.cancel()


async def test_silence_ends_the_call_also_while_the_switchboard_is_away() -> None:
    world = FakeWorld(replace(TALKING, silence_seconds=30))
    task = world.start()
    await world.time.go_on(5)
    world.is_board_away = True
    await world.time.go_on(30)
    assert world.hung_up == 1
    task.cancel()


# -- tasks by themselves -----------------------------------------------------------------------------------------------


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def fails(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


async def test_the_first_failure_is_noticed_and_the_next_ones_do_not_replace_it() -> None:
    tasks = Tasks()
    tasks.start(fails(KeyError("first")))
    tasks.start(fails(ValueError("second")))
    await turns()
    with pytest.raises(KeyError, match="first"):
        tasks.failed.result()
    await tasks.stop()


async def test_a_task_that_ends_well_or_is_cancelled_is_no_failure() -> None:
    tasks = Tasks()
    well, cancelled = tasks.start(asyncio.sleep(0, "done")), tasks.start(asyncio.Event().wait())
    cancelled.cancel()
    await turns()
    assert well.result() == "done"
    assert not tasks.failed.done()
    await tasks.stop()


async def test_stopping_waits_until_what_runs_has_ended() -> None:
    tasks, ended = Tasks(), list[str]()

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    tasks.start(works())
    await turns()
    await tasks.stop()
    assert ended == ["cleaned up"]
    assert tasks.failed.cancelled()


async def test_a_failure_that_nobody_waits_for_any_more_is_complained_about_by_nobody() -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tasks = Tasks()
    tasks.start(fails(KeyError("too late")))
    await turns()
    del tasks
    gc.collect()
    await turns()
    assert complaints == []


# -- the alarm by itself -----------------------------------------------------------------------------------------------


NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = NOW
        self.rang: list[float] = []
        self.sleeps = 0
        self.alarm = Alarm(self.ring, lambda: self.now, self.sleep, asyncio.ensure_future)

    def ring(self) -> None:
        self.rang.append((self.now - NOW).total_seconds())

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await asyncio.sleep(0)
        self.now += timedelta(seconds=seconds)

    def set(self, seconds: float) -> None:
        self.alarm.set(NOW + timedelta(seconds=seconds))


async def test_it_rings_when_its_time_has_come() -> None:
    clock = Clock()
    clock.set(5)
    await turns()
    assert clock.rang == [5]


async def test_a_time_that_moves_back_costs_nothing() -> None:
    clock = Clock()
    for seconds in range(5, 100):
        clock.set(seconds)
    await turns()
    assert (clock.rang, clock.sleeps) == ([5], 1)


async def test_an_earlier_time_takes_the_place_of_a_later_one() -> None:
    clock = Clock()
    clock.set(50)
    clock.set(5)
    await turns()
    assert clock.rang == [5]


async def test_it_can_be_set_again_while_it_rings() -> None:
    clock = Clock()
    first = clock.ring

    def again() -> None:
        first()
        if len(clock.rang) < 3:
            clock.set(10 * len(clock.rang) + 5)

    clock.alarm._ring = again
    clock.set(5)
    await turns()
    await turns()
    assert clock.rang == [5, 15, 25]


async def test_stopped_it_does_not_ring() -> None:
    clock = Clock()
    clock.set(5)
    clock.alarm.set(None)
    clock.alarm.stop()
    await turns()
    assert clock.rang == []


# -- hanging up, and whether it is certain that the call is over -------------------------------------------------------


async def test_a_hang_up_that_fails_is_tried_again() -> None:
    world = FakeWorld(LISTENING, seconds=20, hang_up_fails=[ServiceUnavailable("503")] * 3)
    result = await result_of(world, world.start(), seconds=60)
    assert (result.outcome, world.hung_up) == ("max_duration", 4)


async def test_a_call_that_cannot_be_hung_up_is_left_to_the_switchboard_and_not_marked_as_ended() -> None:
    world = FakeWorld(LISTENING, seconds=20, hang_up_fails=[ServiceUnavailable("503")] * 100)
    result = await result_of(world, world.start(), seconds=120)
    assert result.outcome == "max_duration"
    assert world.reasons == []
    assert "the switchboard ends it at its time" in world.reports[0]


async def test_a_call_that_only_seems_to_be_over_is_not_marked_as_ended() -> None:
    world = FakeWorld(LISTENING, hang_up_fails=[ServiceUnavailable("503")])
    task = world.start()
    await world.time.settle()
    world.end()
    assert (await result_of(world, task)).outcome == "caller_hung_up"
    assert world.reasons == []


# -- by itself -----------------------------------------------------------------------------------------------------


def ending(world: FakeWorld, seconds: float = 20) -> CallEnding:
    return CallEnding(world.ports(), CALL, START + timedelta(seconds=seconds))


async def hung_up(world: FakeWorld, end: CallEnding, seconds: float = 200) -> None:
    task = asyncio.ensure_future(end.hang_up())
    await world.time.go_on(seconds)
    await task


async def test_a_call_that_was_hung_up_is_certainly_over_and_was_not_before() -> None:
    world = FakeWorld()
    end = ending(world)
    await hung_up(world, end)
    assert (end.is_certain, end.was_over, world.hung_up, world.is_alive) == (True, False, 1, False)


async def test_a_call_that_was_over_before_is_told_apart_unless_an_earlier_try_may_have_ended_it() -> None:
    for maybe_by_us in (False, True):
        world = FakeWorld(is_alive=False)

        async def gone(call_id: str, maybe_by_us: bool = maybe_by_us) -> HangUpResult:
            return HangUpResult(gone=True, maybe_by_us=maybe_by_us)

        end = CallEnding(replace(world.ports(), hang_up=gone), CALL, START)
        await end.make_certain()
        assert (end.is_certain, end.was_over) == (True, not maybe_by_us)


async def test_pauses_grow_and_end_half_a_minute_after_the_call_should_be_over() -> None:
    world = FakeWorld(hang_up_fails=[ServiceUnavailable("503")] * 100)
    end, began = ending(world, 20), world.time.now
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        world.time.now += timedelta(seconds=seconds)

    await CallEnding(replace(world.ports(), sleep=sleep), CALL, began + timedelta(seconds=20)).hang_up()
    assert pauses == [1, 2, 4, 8, 8, 8, 8, 8, 8]
    assert not end.is_certain


@pytest.mark.parametrize("error", [AuthenticationError("401"), RequestRefused("400")])
async def test_a_refusal_is_not_tried_again(error: CallError) -> None:
    world = FakeWorld(hang_up_fails=[error])
    end = ending(world)
    await hung_up(world, end, 1)
    assert (world.hung_up, end.is_certain) == (1, False)
    assert "the switchboard ends it at its time" in world.reports[0]


async def test_only_what_is_certain_is_told_as_the_end() -> None:
    account = Account(Witness.SOCKET, "socket_closed")
    row = SwitchboardCall(CALL, "l", "ended", START, START, end_reason="hung_up")
    world = FakeWorld(row=row, hang_up_fails=[ServiceUnavailable("503")])
    end = ending(world)
    await end.make_certain()
    assert await end.tell(account, START) == row
    assert world.reasons == []
    await end.make_certain()
    assert await end.tell(account, START) == row
    assert world.reasons == ["socket_closed"]


async def test_a_switchboard_that_is_away_says_nothing_of_an_end_that_is_not_certain() -> None:
    world = FakeWorld(is_board_away=True)
    assert await ending(world).tell(Account(Witness.SOCKET, "socket_closed"), START) is None
