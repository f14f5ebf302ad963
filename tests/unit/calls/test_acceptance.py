"""The rules of accepting against a model of OpenAI and the switchboard's own rules, with every kind of failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_openai_realtime.api.call_requests import HangUpResult
from airflow_openai_realtime.api.request import Request
from airflow_openai_realtime.calls import transitions as moves
from airflow_openai_realtime.calls.acceptance import (
    AcceptanceRules,
    Steps,
    run_steps,
    run_steps_async,
)
from airflow_openai_realtime.calls.call import Announcement, SwitchboardCall
from airflow_openai_realtime.exceptions import (
    AcceptFailed,
    AuthenticationError,
    CallAlreadyDecided,
    CallError,
    CallGone,
    ClaimLost,
    InvalidInput,
    OpenAIRealtimeError,
    OutcomeUnknown,
    RequestRefused,
    ServiceUnavailable,
    SwitchboardRefused,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.states import CallState

START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
SECONDS = 600.0


@dataclass(frozen=True)
class Told:
    """What the rules ask or tell the switchboard."""

    operation: str
    arguments: tuple[Any, ...]


class SwitchboardSteps:
    """Notes what the rules ask of the switchboard."""

    def announce_accept(self, *arguments: Any) -> Told:
        return Told("announce_accept", arguments)

    def report_accepted(self, *arguments: Any) -> Told:
        return Told("report_accepted", arguments)

    def report_accept_in_doubt(self, *arguments: Any) -> Told:
        return Told("report_accept_in_doubt", arguments)

    def release_call(self, *arguments: Any) -> Told:
        return Told("release_call", arguments)

    def get_call(self, *arguments: Any) -> Told:
        return Told("get_call", arguments)

    def report_ended(self, *arguments: Any) -> Told:
        return Told("report_ended", arguments)


Step = Told | Request[Any]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a step: this error, before or after the step was carried out."""

    error: type[BaseException]
    carried_out: bool

    def __repr__(self) -> str:
        return f"{self.error.__name__}{' (carried out)' if self.carried_out else ''}"


@dataclass
class World:
    """One call: as OpenAI has it, and as the switchboard has it."""

    row: SwitchboardCall = field(
        default_factory=lambda: SwitchboardCall("rtc_1", "support", "ringing", START, START + timedelta(seconds=60))
    )
    at_openai: str = "ringing"
    accepted: int = 0
    now: datetime = START
    done: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether a call that we accepted goes on."""
        return self.at_openai == "ours"

    @property
    def is_watched(self) -> bool:
        """Whether the reaper will end it."""
        return not self.row.is_over and self.row.hangup_at is not None

    def perform(self, step: Step) -> Any:
        """Carry a step out."""
        self.now += timedelta(seconds=0.1)
        self.done.append(step.operation)
        if isinstance(step, Request):
            assert step.call_id == "rtc_1"
            return {"accept": self._accept, "hang_up": self._hang_up, "attach": self._attach}[step.operation]()
        return getattr(self, f"_{step.operation}")(*step.arguments)

    def _move(self, rule: Callable[..., moves.Change], *arguments: Any) -> SwitchboardCall:
        self.row = replace(self.row, **rule(self.row, *arguments).values)
        return self.row

    def _announce_accept(
        self, call_id: str, owner: str, seconds: float, is_sole: bool, sole_match: object = None
    ) -> Announcement:
        asked_before = self.row.hangup_at is not None
        return Announcement(self._move(moves.accepting, owner, self.now, seconds), asked_before)

    def _report_accepted(self, call_id: str, owner: str) -> SwitchboardCall:
        return self._move(moves.accepted, owner, self.now, SECONDS)

    def _report_ended(self, call_id: str, reason: str) -> SwitchboardCall:
        return self._move(moves.ended, self.now, reason)

    def _get_call(self, call_id: str) -> SwitchboardCall:
        return self.row

    def _release_call(self, call_id: str, owner: str, claimed_at: datetime | None, reason: str) -> SwitchboardCall:
        return self._move(moves.release, owner, claimed_at, reason)

    def _report_accept_in_doubt(self, call_id: str, owner: str) -> SwitchboardCall:
        return self._move(moves.accept_in_doubt, owner)

    def _attach(self) -> None:
        if self.at_openai not in ("ours", "somebody else's"):
            raise CallGone("404")

    def _accept(self) -> None:
        if self.at_openai == "gone":
            raise CallGone("404")
        if self.at_openai != "ringing":
            raise CallAlreadyDecided("decided")
        self.at_openai, self.accepted = "ours", self.accepted + 1

    def _hang_up(self) -> HangUpResult:
        gone = self.at_openai in ("ringing", "gone")
        self.at_openai = "ringing" if self.at_openai == "ringing" else "gone"
        return HangUpResult(gone=gone)


def rules(owner: str = "me", **kwargs: Any) -> AcceptanceRules:
    kwargs.setdefault("now", lambda: START + timedelta(seconds=1))
    return AcceptanceRules("rtc_1", owner, lambda line: None, SwitchboardSteps(), **kwargs)


def accepting(owner: str = "me", **kwargs: Any) -> Steps[SwitchboardCall]:
    return rules(owner, **kwargs).accepting(lambda call: {}, SECONDS)


class Performer:
    """Performs steps in a world; the n-th step meets the n-th fault."""

    def __init__(self, world: World, faults: list[Fault | None], caller_leaves_at: int | None = None) -> None:
        self.world = world
        self.faults = dict(enumerate(faults))
        self.caller_leaves_at = caller_leaves_at
        self.count = -1

    def __call__(self, step: Step) -> Any:
        self.count += 1
        if self.count == self.caller_leaves_at:
            self.world.at_openai = "gone"
        fault = self.faults.get(self.count)
        if fault is None or not fits(fault, step):
            answer = self.world.perform(step)
        else:
            if fault.carried_out:
                self.world.perform(step)
            error = fault.error("failed")
            if fault.error is ServiceUnavailable:
                error.may_have_happened = True  # type: ignore[attr-defined]
            raise error
        assert self.world.is_watched or not self.world.is_open, "an open call that nobody would end"
        return answer


#: What can go wrong with what. A task is cancelled or killed before or after the step was carried out.
ENDS = (asyncio.CancelledError, KeyboardInterrupt)
CAN_FAIL: dict[str, set[Fault]] = {
    "accept": {
        Fault(AuthenticationError, False),
        Fault(RequestRefused, False),
        Fault(InvalidInput, False),
        Fault(ServiceUnavailable, False),
        Fault(ServiceUnavailable, True),
        Fault(OutcomeUnknown, False),
        Fault(OutcomeUnknown, True),
    },
    "hang_up": {Fault(ServiceUnavailable, False), Fault(ServiceUnavailable, True), Fault(AuthenticationError, False)},
    "attach": {Fault(ServiceUnavailable, False), Fault(AuthenticationError, False)},
}
AT_SWITCHBOARD = {
    Fault(SwitchboardUnreachable, False),
    Fault(SwitchboardUnreachable, True),
    Fault(SwitchboardRefused, False),
}
ALL_ENDS = {Fault(end, carried_out) for end in ENDS for carried_out in (False, True)}
ALL_FAULTS = sorted(AT_SWITCHBOARD.union(ALL_ENDS, *CAN_FAIL.values()), key=repr)


def fits(fault: Fault, step: Step) -> bool:
    return fault in ALL_ENDS | (CAN_FAIL[step.operation] if isinstance(step, Request) else AT_SWITCHBOARD)


def one_try(performer: Performer) -> SwitchboardCall | BaseException:
    """One attempt from a trigger: cancelled, it is broken off."""

    async def perform(step: Step) -> Any:
        return performer(step)

    async def run() -> SwitchboardCall:
        return await run_steps_async(accepting(), perform)

    try:
        return asyncio.run(run())
    except (OpenAIRealtimeError, *ENDS) as error:
        return error


FAULTS = st.lists(st.one_of(st.none(), st.sampled_from(ALL_FAULTS)), max_size=6)


@settings(max_examples=400, deadline=None)
@given(tries=st.lists(st.tuples(FAULTS, st.one_of(st.none(), st.integers(0, 5))), min_size=1, max_size=4))
def test_whatever_fails_a_call_is_accepted_once_and_never_left_unwatched(
    tries: list[tuple[list[Fault | None], int | None]],
) -> None:
    world = World()
    results: list[SwitchboardCall | BaseException] = []
    for faults, caller_leaves_at in tries:
        result = one_try(Performer(world, faults, caller_leaves_at))
        assert world.accepted <= 1
        assert world.is_watched or not world.is_open
        # Only who tells a process to end wants the call to end; a failure of ours leaves the phone ringing.
        if not any(isinstance(result, KeyboardInterrupt) for result in [*results, result]):
            assert world.at_openai != "ringing" or not world.row.is_over
            assert "hang_up" not in world.done or world.at_openai == "gone"
        results.append(result)
        if isinstance(result, SwitchboardCall):
            assert result.hangup_at is not None
            assert result.claimed_at is not None
            assert result.hangup_at <= result.claimed_at + timedelta(seconds=SECONDS)
            assert world.is_open or world.at_openai == "gone"


@settings(max_examples=300, deadline=None)
@given(FAULTS)
def test_from_a_task_too_whatever_ends_the_process_is_told_to_the_rules(faults: list[Fault | None]) -> None:
    world = World()
    performer = Performer(world, faults)
    try:
        run_steps(accepting(), performer)
    except BaseException:
        assert world.is_watched or not world.is_open
        failed_to_hang_up = any(fault and "hang_up" in world.done for fault in performer.faults.values())
        assert not world.is_open or failed_to_hang_up or "hang_up" not in world.done
    assert world.accepted <= 1


@settings(max_examples=400, deadline=None)
@given(turns=st.lists(st.sampled_from([0, 1]), min_size=30, max_size=60), caller_leaves_at=st.integers(0, 40))
def test_two_of_the_same_owner_at_once_accept_one_call_and_agree(turns: list[int], caller_leaves_at: int) -> None:
    world = World()
    both: list[Steps[SwitchboardCall]] = [accepting(), accepting()]
    pending: list[Step | None] = [next(each) for each in both]
    results: list[SwitchboardCall | BaseException | None] = [None, None]
    for number, turn in enumerate([*turns, *[0, 1] * 40]):
        step = pending[turn]
        if step is None:
            continue
        if number == caller_leaves_at and world.at_openai == "ours":
            world.at_openai = "gone"
        try:
            try:
                answer = world.perform(step)
            except OpenAIRealtimeError as error:
                pending[turn] = both[turn].throw(error)
            else:
                pending[turn] = both[turn].send(answer)
        except StopIteration as end:
            pending[turn], results[turn] = None, end.value
        except OpenAIRealtimeError as error:
            pending[turn], results[turn] = None, error
        assert world.is_watched or not world.is_open
    assert world.accepted == 1
    if world.is_open:
        assert [result.state for result in results if isinstance(result, SwitchboardCall)] == [
            CallState.ACCEPTED,
            CallState.ACCEPTED,
        ]


def test_the_switchboard_knows_the_end_before_openai_is_asked() -> None:
    world = World()
    call = run_steps(accepting(), world.perform)
    assert world.done == ["announce_accept", "accept", "report_accepted"]
    assert (call.state, call.hangup_at) == (CallState.ACCEPTED, START + timedelta(seconds=SECONDS + 0.1))


def test_what_was_accepted_before_is_returned_without_asking_openai() -> None:
    world = World()
    run_steps(accepting(), world.perform)
    world.done.clear()
    assert run_steps(accepting(), world.perform).state == CallState.ACCEPTED
    assert world.done == ["announce_accept"]


def test_an_accept_that_got_through_unheard_is_taken_for_ours() -> None:
    world = World()
    cancelled = Performer(world, [None, Fault(asyncio.CancelledError, carried_out=True)])
    assert isinstance(one_try(cancelled), asyncio.CancelledError)
    assert (world.at_openai, world.row.state) == ("ours", "claimed")
    result = one_try(Performer(world, []))
    assert isinstance(result, SwitchboardCall)
    assert (result.state, world.accepted, world.is_open) == (CallState.ACCEPTED, 1, True)


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_cancelled_anywhere_nothing_is_hung_up_and_the_next_try_has_the_call(at: int, carried_out: bool) -> None:
    world = World()
    faults: list[Fault | None] = [*[None] * at, Fault(asyncio.CancelledError, carried_out)]
    assert isinstance(one_try(Performer(world, faults)), asyncio.CancelledError)
    assert "hang_up" not in world.done
    result = one_try(Performer(world, []))
    assert isinstance(result, SwitchboardCall)
    assert (world.accepted, world.is_open, world.row.state) == (1, True, CallState.ACCEPTED)


def test_a_call_that_somebody_else_accepted_is_left_alone() -> None:
    world = World(at_openai="somebody else's")
    result = one_try(Performer(world, []))
    assert isinstance(result, CallAlreadyDecided)
    assert "hang_up" not in world.done
    assert (world.row.state, world.row.end_reason) == (CallState.ENDED, "decided_elsewhere")


def test_another_self_that_accepts_first_counts_though_it_has_not_said_so() -> None:
    world = World()
    announced: list[Step] = []

    def perform(step: Step) -> Any:
        if step.operation == "accept" and not announced:
            announced.append(step)
            world.perform(Told("announce_accept", ("rtc_1", "me", SECONDS, False)))
            world.perform(step)  # by the other self, which does not live to tell the switchboard
        return world.perform(step)

    assert run_steps(accepting(), perform).state == CallState.ACCEPTED
    assert (world.is_open, world.is_watched) == (True, True)


def test_when_nobody_can_say_who_decided_the_call_is_left_to_the_reaper() -> None:
    world = World(at_openai="somebody else's")
    result = one_try(Performer(world, [None, None, Fault(SwitchboardUnreachable, carried_out=False)]))
    assert isinstance(result, CallAlreadyDecided)
    assert world.is_watched


def test_of_a_call_that_was_asked_for_before_gone_is_made_sure() -> None:
    world = World()
    one_try(Performer(world, [None, Fault(asyncio.CancelledError, carried_out=True)]))
    # OpenAI says "gone" to a second accept though the call goes on.
    world._accept = lambda *_: (_ for _ in ()).throw(CallGone("404"))  # type: ignore[method-assign]
    assert isinstance(one_try(Performer(world, [])), CallGone)
    assert world.at_openai == "gone"
    assert world.row.end_reason == "gone"


def test_a_call_of_another_owner_is_not_touched() -> None:
    world = World()
    run_steps(accepting("you"), world.perform)
    world.done.clear()
    with pytest.raises(ClaimLost):
        run_steps(accepting("me"), world.perform)
    assert world.done == ["announce_accept"]


def test_told_to_stop_after_it_has_asked_it_hangs_up() -> None:
    world = World()
    answers = iter([False, True])
    with pytest.raises(CallError, match="stopped"):
        run_steps(accepting(is_stopped=lambda: next(answers)), world.perform)
    assert not world.is_open
    assert (world.row.state, world.row.end_reason) == (CallState.ENDED, "killed")
    assert world.accepted == 1


def test_told_to_stop_before_it_has_asked_it_leaves_the_phone_ringing() -> None:
    world = World()
    with pytest.raises(CallError, match="stopped"):
        run_steps(accepting(is_stopped=lambda: True), world.perform)
    assert (world.at_openai, world.row.state, world.row.claimed_by) == ("ringing", CallState.RINGING, None)
    assert "hang_up" not in world.done


def test_told_to_stop_while_an_earlier_try_may_have_asked_it_hangs_up() -> None:
    world = World()
    one_try(Performer(world, [None, Fault(asyncio.CancelledError, carried_out=True)]))
    with pytest.raises(CallError, match="stopped"):
        run_steps(accepting(is_stopped=lambda: True), world.perform)
    assert not world.is_open


def test_a_session_that_cannot_be_made_leaves_the_phone_ringing() -> None:
    world = World()

    def broken(call: SwitchboardCall) -> dict[str, Any]:
        raise InvalidInput("no")

    with pytest.raises(InvalidInput):
        run_steps(rules().accepting(broken, SECONDS), world.perform)
    assert (world.accepted, world.row.state, world.row.end_reason) == (0, CallState.RINGING, "accept_failed")


@pytest.mark.parametrize("error", [AuthenticationError, RequestRefused, InvalidInput])
def test_after_a_certain_refusal_the_call_is_anybodys(error: type[Exception]) -> None:
    world = World()
    assert isinstance(one_try(Performer(world, [None, Fault(error, carried_out=False)])), error)
    assert (world.row.state, world.row.claimed_by, world.row.hangup_at) == (CallState.RINGING, None, None)
    assert run_steps(accepting("somebody else"), world.perform).end_reason is None


def test_a_refusal_of_one_try_does_not_give_away_what_another_one_is_about_to_have_accepted() -> None:
    world = World()

    def perform(step: Step) -> Any:
        if step.operation == "accept":
            world.perform(Told("announce_accept", ("rtc_1", "me", SECONDS, False)))
            raise AuthenticationError("401")
        return world.perform(step)

    with pytest.raises(AuthenticationError):
        run_steps(accepting(), perform)
    assert (world.row.state, world.row.claimed_by) == ("claimed", "me")
    assert world.is_watched


def test_a_refusal_of_a_second_try_does_not_give_away_what_the_first_may_have_had_accepted() -> None:
    world = World()
    one_try(Performer(world, [None, Fault(asyncio.CancelledError, carried_out=True)]))
    assert isinstance(one_try(Performer(world, [None, Fault(AuthenticationError, carried_out=False)])), CallError)
    assert world.is_watched
    assert isinstance(one_try(Performer(world, [])), SwitchboardCall)


@pytest.mark.parametrize("error", [ServiceUnavailable, OutcomeUnknown])
def test_without_a_clear_answer_the_sideband_tells_that_the_call_was_accepted(error: type[Exception]) -> None:
    world = World()
    result = one_try(Performer(world, [None, Fault(error, carried_out=True)]))
    assert isinstance(result, SwitchboardCall)
    assert world.done == ["announce_accept", "accept", "attach", "report_accepted"]


def test_an_accept_that_got_lost_is_sent_again_while_the_phone_rings() -> None:
    world = World()
    lost: list[Fault | None] = [None, Fault(OutcomeUnknown, False), None, Fault(OutcomeUnknown, False)]
    assert isinstance(one_try(Performer(world, lost)), SwitchboardCall)
    assert world.done == ["announce_accept", "attach", "attach", "accept", "report_accepted"]


def test_an_accept_that_got_lost_is_not_sent_again_once_the_phone_rings_no_more() -> None:
    world = World()
    late = rules(now=lambda: START + timedelta(seconds=60)).accepting(lambda call: {}, SECONDS)
    with pytest.raises(OutcomeUnknown):
        run_steps(late, Performer(world, [None, Fault(OutcomeUnknown, carried_out=False)]))
    assert (world.row.state, world.row.end_reason) == ("claimed", "accept_failed")


@pytest.mark.parametrize(("late_by", "seconds"), [(10, 50.0), (55, 8.0), (600, 8.0)])
def test_openai_is_asked_again_as_long_as_the_phone_rings(late_by: float, seconds: float) -> None:
    world = World()
    asked: list[Step] = []

    def perform(step: Step) -> Any:
        asked.append(step)
        return world.perform(step)

    run_steps(rules(now=lambda: START + timedelta(seconds=late_by)).accepting(lambda call: {}, SECONDS), perform)
    assert isinstance(asked[1], Request)
    assert asked[1].policy.total_seconds == seconds


@pytest.mark.parametrize("certain", [True, False])
def test_a_caller_who_gives_up_after_a_failure_of_ours_is_not_told_as_gone(certain: bool) -> None:
    world = World()
    failure = Fault(AuthenticationError if certain else OutcomeUnknown, carried_out=False)
    one_try(Performer(world, [None, failure, Fault(ServiceUnavailable, carried_out=False)]))
    world.at_openai = "gone"
    assert isinstance(one_try(Performer(world, [])), AcceptFailed)
    assert (world.row.state, world.row.end_reason) == (CallState.ENDED, "accept_failed")
    assert isinstance(one_try(Performer(world, [])), AcceptFailed)


def test_steps_show_no_session() -> None:
    tool = {"type": "mcp", "server_label": "a", "server_url": "https://x", "authorization": "very-secret"}
    steps = rules().accepting(lambda call: {"tools": [{**tool, "require_approval": "never"}]}, SECONDS)
    world = World()
    step = steps.send(world.perform(next(steps)))
    assert step.operation == "accept"
    assert "very-secret" not in repr(step)
