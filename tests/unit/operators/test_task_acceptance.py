"""A task that is killed while it accepts a call ends that call, or leaves it to its next try."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_openai_realtime.api import client as openai_side
from airflow_openai_realtime.api.request import OPENAI, Request
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import Announcement, SwitchboardCall
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.calls.task_states import TaskReference, TaskState
from airflow_openai_realtime.exceptions import CallError, OpenAIRealtimeError, SwitchboardUnreachable
from airflow_openai_realtime.hooks.realtime import LineSettings
from airflow_openai_realtime.operators.task_acceptance import KILL_REQUEST_SECONDS, TaskAcceptance
from airflow_openai_realtime.states import EndReason
from airflow_openai_realtime.switchboard.client import switchboard_client as switchboard_side

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
CALL = SwitchboardCall("rtc_1", "support", "claimed", NOW, NOW, claimed_by="me", claimed_at=NOW)
LINE = LineSettings(
    "line_a", ApiSettings(api_key="sk-1", endpoints=endpoints_for()), SwitchboardAddress("http://board", "t", "support")
)
TASK = TaskReference("dag", "run", "task", -1, "try-1")
AWAY = SwitchboardUnreachable("no route")
LOG = logging.getLogger(__name__)


class Peers:
    """
    OpenAI and the switchboard, as clients that are open and as clients that a kill opens.

    :param answers: By operation; an error is raised.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []
        self.limits: list[float] = []
        self.during: dict[str, Any] = {}

    def send(self, request: Request[Any]) -> Any:
        self.asked.append((request.operation, request.body))
        if request.operation in self.during:
            self.during[request.operation]()
        answer = self.answers.get(request.operation)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Peers:
    peers = Peers(announce_accept=Announcement(CALL, asked_before=False), accepted=CALL)

    def at_the_switchboard(url: str, token: str, *, line: str, timeout_seconds: float, retries: bool) -> Peers:
        assert (url, token, line, retries) == ("http://board", "t", "support", False)
        peers.limits.append(timeout_seconds)
        return peers

    def at_openai(settings: ApiSettings) -> Peers:
        assert settings.api_key == "sk-1"
        peers.limits.append(settings.timeout_seconds)
        return peers

    monkeypatch.setattr(switchboard_side, "SwitchboardClient", at_the_switchboard)
    monkeypatch.setattr(openai_side, "CallsClient", at_openai)
    return peers


def begun(acceptance: TaskAcceptance, peers: Any, task: TaskReference | None = None) -> Any:
    return acceptance.begin(LINE, peers, peers, "rtc_1", "me", task, LOG)


def accept(acceptance: TaskAcceptance, peers: Any, task: TaskReference | None = None) -> SwitchboardCall:
    call: SwitchboardCall = begun(acceptance, peers, task).accept({"instructions": "Hi"}, 600)
    return call


def killed_while_accepting(peers: Peers, task: TaskReference | None = None) -> OpenAIRealtimeError | None:
    """Accept a call, with a kill while OpenAI is asked; returns the error, if there is one."""
    acceptance = TaskAcceptance()
    peers.during["accept"] = acceptance.kill
    try:
        accept(acceptance, peers, task)
    except OpenAIRealtimeError as error:
        return error
    return None


def test_without_a_kill_the_call_is_accepted(peers: Peers) -> None:
    assert accept(TaskAcceptance(), peers) is CALL
    assert peers.operations == ["announce_accept", "accept", "accepted"]


def test_killed_before_it_begins_a_task_accepts_nothing(peers: Peers) -> None:
    acceptance = TaskAcceptance()
    acceptance.kill()
    with pytest.raises(CallError, match="was stopped while accepting call rtc_1: it rings on for others"):
        accept(acceptance, peers)
    assert "accept" not in peers.operations


def test_a_call_that_is_not_the_tasks_is_left_alone(peers: Peers) -> None:
    acceptance = TaskAcceptance()
    assert not begun(acceptance, peers).is_ours
    acceptance.kill()
    assert peers.asked == []


def test_killed_while_openai_is_asked_the_call_is_ended(peers: Peers) -> None:
    error = killed_while_accepting(peers)
    assert "it was hung up" in str(error)
    body = {"reason": EndReason.KILLED, "by": "me", "after_seconds": 0.0, "acting": False}
    assert ("end", body) in peers.asked
    # After the kill nothing is reported as accepted.
    assert "accepted" not in peers.operations


def test_each_request_of_a_kill_is_short(peers: Peers) -> None:
    peers.answers["end"] = AWAY
    killed_while_accepting(peers)
    assert peers.limits == [KILL_REQUEST_SECONDS, KILL_REQUEST_SECONDS]


def test_a_switchboard_that_is_away_leaves_the_hang_up_to_the_task(
    peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    peers.answers["end"] = AWAY
    with caplog.at_level(logging.INFO):
        killed_while_accepting(peers)
    end = peers.operations.index("end")
    assert peers.operations[end + 1] == "hang_up"
    assert "cannot be asked to end call rtc_1: no route" in caplog.text


def test_a_kill_that_reaches_nothing_says_so_and_raises_nothing(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    peers.answers |= {"end": AWAY, "hang_up": CallError("openai is away", call_id="rtc_1")}
    with caplog.at_level(logging.INFO):
        killed_while_accepting(peers)
    assert "Call rtc_1 could not be hung up; the switchboard will when its time is over" in caplog.text


@pytest.mark.parametrize("state", ["failed", "success", None])
def test_with_a_task_that_is_over_or_not_known_the_call_ends(peers: Peers, state: str | None) -> None:
    peers.answers["report_task_stopped"] = None if state is None else TaskState(exists=True, state=state)
    assert killed_while_accepting(peers, TASK) is not None
    asked = dict(peers.asked)["report_task_stopped"]
    assert (asked["call_id"], asked["by"], asked["unknown_after_seconds"]) == ("rtc_1", "me", 0)


def test_a_cleared_tasks_call_waits_for_the_next_try(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    peers.answers["report_task_stopped"] = TaskState(exists=True, is_same_try=False)
    with caplog.at_level(logging.INFO):
        assert killed_while_accepting(peers, TASK) is None
    assert "hang_up" not in peers.operations
    assert "the next try has a minute to go on with it" in caplog.text


def test_requests_go_to_whom_they_are_for(peers: Peers) -> None:
    class OpenAI(Peers):
        def send(self, request: Request[Any]) -> Any:
            assert request.to == OPENAI
            return super().send(request)

    openai = OpenAI()
    acceptance: Any = TaskAcceptance().begin(LINE, openai, peers, "rtc_1", "me", None, LOG)  # type: ignore[arg-type]
    acceptance.accept({"instructions": "Hi"}, 600)
    assert openai.operations == ["accept"]
    assert peers.operations == ["announce_accept", "accepted"]
