"""The ports of a live call over the clients: what a failure at the switchboard does to the call."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from tests.unit.asked import Answers, ask_methods

from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.saved_conversation import Conversation
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.run import live_ports as module
from airflow_openai_realtime.conversation.run import live_ports as under_test
from airflow_openai_realtime.conversation.run.live_ports import live_ports
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.exceptions import CallGone, SwitchboardUnreachable, UnknownCall
from airflow_openai_realtime.states import Witness

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
CALL = "rtc_1"
ROW = SwitchboardCall(CALL, "l", "ended", NOW, NOW, end_reason="hung_up")
ACCOUNT = Account(Witness.SOCKET, "socket_closed")
AWAY = SwitchboardUnreachable("away")


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_methods(
        monkeypatch, under_test, refer_call="refer", report_referred="referred", get_call="call", report_ended="ended"
    )


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
    monkeypatch.setattr(module, "attach", lambda *given, **options: opened.append((given, options)))
    Clients().ports().attach(CALL, 3.0)
    ((given, options),) = opened
    assert (given[0].api_key, given[1], options) == ("sk-1", CALL, {"retry_seconds": 3.0})


def test_own_prices_are_passed_on() -> None:
    prices = {"gpt-realtime-2.1": {"text_input": 1.0}}
    assert Clients().ports(prices=prices).prices == prices
