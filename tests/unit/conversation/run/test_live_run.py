"""A call is run to its end here, or its end is waited for when another owner has taken it over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.asked import Answers, ask_methods
from tests.unit.conversation.fake_world import CALL, START, FakeWorld

from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.rules.plan import ConversationPlan
from airflow_openai_realtime.conversation.run import live_run as under_test
from airflow_openai_realtime.conversation.run.live_run import live_ports, run_live, run_or_follow, until_finished
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CallGone,
    ConversationSuperseded,
    SwitchboardError,
    SwitchboardRefused,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.states import Witness
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

AWAY = SwitchboardUnreachable("away")
LIVE = SwitchboardCall(CALL, "l", "accepted", START, START, accepted_at=START, hangup_at=START + timedelta(seconds=60))
OVER = replace(LIVE, state="ended", end_reason="ended")
OPEN = Conversation(CALL, "l", "other", 2, START, START)
FINISHED = replace(OPEN, finished_at=START, outcome="completed", result={})


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_methods(
        monkeypatch,
        under_test,
        refer_call="refer",
        report_referred="referred",
        get_call="call",
        get_conversation="conversation",
        report_ended="ended",
    )


class Board(Answers):
    """A switchboard that answers each look with the next of its answers, and then with the last one."""

    def __init__(self, calls: Sequence[Any], conversations: Sequence[Any] = (FINISHED,)) -> None:
        self._calls = list(calls)
        self._conversations = list(conversations)
        self.now = START
        self.pauses: list[float] = []
        self.looks = 0

    async def call(self, call_id: str) -> SwitchboardCall:
        self.looks += 1
        found: SwitchboardCall = self._next(self._calls)
        return found

    async def conversation(self, call_id: str) -> Conversation | None:
        found: Conversation | None = self._next(self._conversations)
        return found

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)

    async def follow(self, call: SwitchboardCall = LIVE) -> None:
        await until_finished(self, call, self.sleep, lambda: self.now)  # type: ignore[arg-type]

    def passed(self) -> float:
        return (self.now - START).total_seconds()

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_call_that_is_over_and_finished_is_not_waited_for() -> None:
    board = Board([OVER])
    await board.follow()
    assert board.pauses == []


async def test_it_waits_until_the_call_is_over_and_then_until_its_result_is_written() -> None:
    board = Board([LIVE, LIVE, OVER], [OPEN, OPEN, FINISHED])
    await board.follow()
    assert board.pauses == [3.0] * 4
    assert board.looks == 3


async def test_a_call_without_a_conversation_gets_no_result_to_wait_for() -> None:
    board = Board([OVER], [None])
    await board.follow()
    assert board.pauses == []


async def test_a_result_that_its_owner_never_writes_is_waited_for_half_a_minute() -> None:
    board = Board([OVER], [OPEN])
    await board.follow()
    assert board.passed() == 30


async def test_a_switchboard_that_is_away_meanwhile_is_asked_again() -> None:
    board = Board([AWAY, LIVE, AWAY, OVER], [AWAY, FINISHED])
    await board.follow()
    assert board.passed() == 12


async def test_a_switchboard_that_stays_away_is_asked_until_well_after_the_end_of_the_call() -> None:
    board = Board([AWAY])
    with pytest.raises(SwitchboardUnreachable):
        await board.follow()
    assert board.passed() == 180


async def test_a_call_that_goes_on_after_its_time_is_an_error_that_names_it() -> None:
    board = Board([LIVE])
    with pytest.raises(SwitchboardError, match="rtc_1 should be over, and is not") as raised:
        await board.follow()
    assert raised.value.call_id == CALL
    assert board.passed() == 180


async def test_a_refusal_is_raised_at_once() -> None:
    board = Board([SwitchboardRefused("token")])
    with pytest.raises(SwitchboardRefused):
        await board.follow()
    assert board.pauses == []


async def test_without_a_time_of_its_own_a_call_is_waited_for_from_now_on() -> None:
    board = Board([AWAY])
    with pytest.raises(SwitchboardUnreachable):
        await board.follow(replace(LIVE, hangup_at=None))
    assert board.passed() == 120


async def result_of(world: FakeWorld, board: Any, **changes: Any) -> Any:
    """Run the call or follow it, while time passes."""
    following = run_or_follow(replace(world.ports(), **changes), world.plan, world.call(), board)
    task = asyncio.ensure_future(following)
    await world.time.go_on(60)
    assert task.done()
    return task.result()


async def test_the_result_of_a_call_that_was_run_here_is_returned() -> None:
    world = FakeWorld(ConversationPlan.only_listening())
    world.end()
    board = Board([AssertionError("it is not asked")])
    result = await result_of(world, board)
    assert (result.call_id, board.looks) == (CALL, 0)


async def test_a_call_that_another_owner_has_taken_over_has_its_result_at_the_switchboard() -> None:
    world = FakeWorld(ConversationPlan.only_listening())
    board = Board([LIVE, OVER])

    async def superseded(call_id: str) -> Any:
        raise ConversationSuperseded("another owner has it", call_id=call_id)

    assert await result_of(world, board, open=superseded) is None
    assert board.looks == 2
    assert world.reports == ["Another task runs the conversation of call rtc_1 now; waiting for its end."]
    assert world.hung_up == 0


async def test_a_refused_key_is_not_waited_for() -> None:
    world = FakeWorld(ConversationPlan.only_listening(), attach_fails=[AuthenticationError("401")])
    board = Board([AssertionError("it is not asked")])
    with pytest.raises(AuthenticationError):
        await result_of(world, board)
    assert board.looks == 0


# -- what a failure at the switchboard does to the call ----------------------------------------------------------------


NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
CALL = "rtc_1"
ROW = SwitchboardCall(CALL, "l", "ended", NOW, NOW, end_reason="hung_up")
ACCOUNT = Account(Witness.SOCKET, "socket_closed")


class Clients(Answers):
    """OpenAI's client, the switchboard's and the sender of progress in one; each request meets ``trouble``."""

    def __init__(self, **trouble: Exception) -> None:
        self._trouble = trouble
        self.asked: list[tuple[Any, ...]] = []
        self.reports: list[str] = []
        self.opened: list[int] = []

    def _do(self, name: str, *given: Any) -> None:
        self.asked.append((name, *given))
        if name in self._trouble:
            raise self._trouble[name]

    async def refer(self, call_id: str, target_uri: str) -> None:
        self._do("refer", call_id, target_uri)

    async def referred(self, call_id: str, target_uri: str) -> None:
        self._do("referred", call_id, target_uri)

    async def call(self, call_id: str) -> SwitchboardCall:
        self._do("call", call_id)
        return ROW

    async def ended(self, call_id: str, account: Account, *, ended_at: datetime) -> SwitchboardCall:
        self._do("ended", call_id, account, ended_at)
        return ROW

    async def open(self, call_id: str, owner: str) -> Conversation:
        self._do("open", call_id, owner)
        return Conversation(call_id, "l", owner, 3, NOW, NOW)

    hang_up = conversation = append = give_up = finish = None

    def ports(self, **others: Any) -> CallPorts:
        clients: Any = self
        api = ApiSettings("sk-1", endpoints_for())
        return live_ports(
            api, clients, clients, clients, "me", self.reports.append, opened=self.opened.append, **others
        )


async def test_a_transfer_is_asked_for_and_then_reported() -> None:
    clients = Clients()
    await clients.ports().refer(CALL, "tel:+14155550199")
    assert [name for name, *_ in clients.asked] == ["refer", "referred"]
    assert clients.reports == []


async def test_a_transfer_that_cannot_be_reported_was_requested_all_the_same() -> None:
    clients = Clients(referred=AWAY)
    await clients.ports().refer(CALL, "tel:+14155550199")
    assert clients.reports == ["Could not report the transfer of call rtc_1 to the switchboard: away"]


async def test_a_transfer_that_openai_refuses_is_not_reported() -> None:
    clients = Clients(refer=CallGone("404", call_id=CALL))
    with pytest.raises(CallGone):
        await clients.ports().refer(CALL, "tel:+14155550199")
    assert [name for name, *_ in clients.asked] == ["refer"]


async def test_a_call_that_the_switchboard_never_saw_is_none_and_one_that_is_away_is_an_error() -> None:
    assert await Clients().ports().find(CALL) == ROW
    assert await Clients(call=UnknownCall("unknown")).ports().find(CALL) is None
    with pytest.raises(SwitchboardUnreachable):
        await Clients(call=AWAY).ports().find(CALL)


async def test_the_end_of_a_call_is_reported_with_its_account_and_time() -> None:
    clients = Clients()
    assert await clients.ports().ended(CALL, ACCOUNT, NOW) == ROW
    assert clients.asked == [("ended", CALL, ACCOUNT, NOW)]


async def test_an_end_that_cannot_be_reported_costs_nothing_but_a_line_in_the_log() -> None:
    clients = Clients(ended=AWAY)
    assert await clients.ports().ended(CALL, ACCOUNT, NOW) is None
    assert clients.reports == ["Could not report to the switchboard that call rtc_1 is over: away"]


async def test_who_opens_a_conversation_opens_it_for_the_task_and_is_told_its_generation() -> None:
    clients = Clients()
    assert (await clients.ports().open(CALL)).generation == 3
    assert (clients.asked, clients.opened) == ([("open", CALL, "me")], [3])


async def test_a_conversation_that_cannot_be_opened_has_no_generation() -> None:
    clients = Clients(open=AWAY)
    with pytest.raises(SwitchboardUnreachable):
        await clients.ports().open(CALL)
    assert clients.opened == []


def test_the_socket_is_doubted_for_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(under_test, "attach", lambda *given: opened.append(given))
    Clients().ports().attach(CALL, 3.0)
    ((api, *given),) = opened
    assert (api.api_key, given) == ("sk-1", [CALL, 3.0])


def test_own_prices_are_passed_on() -> None:
    prices = {"gpt-realtime-2.1": {"text_input": 1.0}}
    assert Clients().ports(prices=prices).prices == prices


# -- the clients of a call ---------------------------------------------------------------------------------------------


class Parts:
    """What a running call is made of, and what was done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.given: Any = None
        self.error: Exception | None = None

    def use(self, name: str) -> Any:
        @asynccontextmanager
        async def used(*given: Any) -> AsyncIterator[str]:
            self.done.append(f"open {name}")
            try:
                yield name
            finally:
                self.done.append(f"close {name}")

        return used

    def ports(self, *given: Any, **others: Any) -> str:
        self.given = given, others
        return "ports"

    async def run(self, *given: Any) -> None:
        assert given == ("ports", "plan", LIVE, "switchboard")
        self.done.append("run")
        if self.error is not None:
            raise self.error


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts()
    monkeypatch.setattr(under_test, "CallsClient", parts.use("calls"))
    monkeypatch.setattr(SwitchboardClient, "at", parts.use("switchboard"))
    monkeypatch.setattr(under_test, "shared_progress", parts.use("progress"))
    monkeypatch.setattr(under_test, "live_ports", parts.ports)
    monkeypatch.setattr(under_test, "run_or_follow", parts.run)
    return parts


async def run(opened: Any = None) -> None:
    wanted: Any = SimpleNamespace(plan="plan", prices={"gpt-realtime-2.1": {}})
    given: Any = ("api", "address", wanted, LIVE, "me", print, opened)
    await run_live(*given)


async def test_clients_are_open_as_long_as_the_call_runs(parts: Parts) -> None:
    await run()
    assert parts.done == [
        "open calls",
        "open switchboard",
        "open progress",
        "run",
        "close progress",
        "close switchboard",
        "close calls",
    ]


async def test_the_call_is_run_for_its_owner_with_its_prices(parts: Parts) -> None:
    opened: list[int] = []
    await run(opened=opened.append)
    given, others = parts.given
    assert given == ("api", "calls", "switchboard", "progress", "me", print)
    assert others == {"prices": {"gpt-realtime-2.1": {}}, "opened": opened.append}


async def test_a_call_that_cannot_be_run_leaves_nothing_open(parts: Parts) -> None:
    parts.error = AuthenticationError("401")
    with pytest.raises(AuthenticationError):
        await run()
    assert parts.done[-3:] == ["close progress", "close switchboard", "close calls"]
