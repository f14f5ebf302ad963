"""A phone rings at most once: every way in which placing a call can go wrong, and the state that it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from tests.unit.asked import Answers, ask_methods

from airflow_openai_realtime.api.client import CallsClient, Pace
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.call import ATTEMPT_MOVES, Attempt, Preflight
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CarrierRefused,
    CarrierUnavailable,
    ConfigurationError,
    InvalidInput,
    MoveRefused,
    NumberRefused,
    OpenAIRealtimeError,
    PlacementUnknown,
    RequestRefused,
    SwitchboardUnreachable,
)
from airflow_openai_realtime.outbound import placing as under_test
from airflow_openai_realtime.outbound.carriers.port import DialRequest, PlacedCall
from airflow_openai_realtime.outbound.placing import (
    DialingRun,
    Placing,
    check_before_dialing,
    may_dial,
    note_outcome,
    openai_check,
    placed_before,
)
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import preflight

NOW = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)
NUMBER, OTHER = "+14155550123", "+14155550177"
RESERVED = Attempt("7", "spring", "ann", 1, "reserved", "abc", NOW, NOW, to_number=NUMBER)
REFUSED = replace(RESERVED, state="ended", outcome="failed", detail="21211. Correct it")
AWAY = SwitchboardUnreachable("away")


def order(to: str = NUMBER) -> DialRequest:
    return DialRequest(to, "+14155550100", "sip:proj_1@sip.api.openai.com", "abc")


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_methods(monkeypatch, under_test, move_attempt="move_attempt", list_attempts="attempts")


class World(Answers):
    """A ledger with one row, and a carrier. ``away_at`` says from which move on the ledger cannot be reached."""

    def __init__(self, row: Attempt = RESERVED, trouble: Any = None, *, away_at: int = 99) -> None:
        self.row = row
        self._trouble = trouble
        self._away_at = away_at
        self.moves: list[str] = []
        self.rang: list[str] = []
        self.reports: list[str] = []
        self.meanwhile: dict[str, Any] | None = None

    def move_attempt(self, attempt_id: str, from_state: str, to_state: str, **changes: Any) -> Attempt:
        if len(self.moves) >= self._away_at:
            raise AWAY
        if self.row.state != from_state:
            raise MoveRefused("it has moved", code="attempt_moved")
        assert to_state in ATTEMPT_MOVES[from_state]
        self.moves.append(str(to_state))
        self.row = replace(self.row, state=str(to_state), **{k: v for k, v in changes.items() if v is not None})
        return self.row

    def attempts(self, campaign: str, *, contact: str) -> list[Attempt]:
        return [replace(self.row, attempt_id="6"), self.row]

    def place(self, request: DialRequest) -> PlacedCall:
        assert self.row.state == "dialing", "the carrier was asked before the ledger knew"
        if self._trouble is not None:
            raise self._trouble
        self.rang.append(request.to)
        if self.meanwhile is not None:
            self.row = replace(self.row, **self.meanwhile)
        return PlacedCall("CA1", "queued")

    def try_to_place(self, found: Attempt | None = None, to: str = NUMBER) -> Any:
        me: Any = self
        return Placing(me, me, self.reports.append).place(found or self.row, order(to))


def test_the_ledger_knows_before_the_carrier_and_has_its_id_afterwards() -> None:
    world = World()
    placement = world.try_to_place()
    assert (world.moves, world.rang) == (["dialing", "placed"], [NUMBER])
    assert (placement.status, placement.attempt.carrier_call_id) == ("placed", "CA1")


def test_a_placed_call_travels_without_the_number() -> None:
    value = World().try_to_place().to_dict("carrier_conn")
    assert NUMBER not in str(value)
    assert (value["status"], value["carrier_conn_id"], value["correlation_id"]) == ("placed", "carrier_conn", "abc")
    assert value["placed_at"] == NOW.isoformat()


@pytest.mark.parametrize("state", ["placed", "ended"])
def test_a_retry_returns_what_was_placed_and_asks_nobody(state: str) -> None:
    world = World(replace(RESERVED, state=state, carrier_call_id="CA0"))
    placement = world.try_to_place()
    assert (placement.status, placement.attempt.carrier_call_id) == ("already_placed", "CA0")
    assert (world.moves, world.rang) == ([], [])


@pytest.mark.parametrize("state", ["dialing", "unknown"])
def test_what_may_have_rung_is_never_dialed_again(state: str) -> None:
    world = World(replace(RESERVED, state=state, detail="PlacementUnknown: no answer. Look there"))
    with pytest.raises(PlacementUnknown, match=rf"is '{state}' \(no answer\): the phone may have rung") as unknown:
        world.try_to_place()
    assert (world.moves, world.rang) == ([], [])
    assert NUMBER not in str(unknown.value)
    assert "abc" in str(unknown.value)


@pytest.mark.parametrize(
    ("trouble", "state", "outcome"),
    [
        (NumberRefused("21211"), "ended", "failed"),
        (CarrierRefused("20003"), "reserved", None),
        (CarrierUnavailable("no route"), "reserved", None),
        (InvalidInput("too long"), "reserved", None),
        (PlacementUnknown("no answer"), "unknown", None),
        (KeyboardInterrupt(), "unknown", None),
        (ZeroDivisionError("a bug"), "unknown", None),
    ],
)
def test_what_goes_wrong_at_the_carrier_leaves_the_attempt_as_far_as_it_is_certain(
    trouble: BaseException, state: str, outcome: str | None
) -> None:
    world = World(trouble=trouble)
    with pytest.raises(type(trouble)):
        world.try_to_place()
    assert (world.row.state, world.row.outcome, world.rang) == (state, outcome, [])


def test_no_number_gets_into_the_ledgers_detail() -> None:
    world = World(trouble=CarrierUnavailable(f"cannot ring {NUMBER} " + "x" * 600))
    with pytest.raises(CarrierUnavailable):
        world.try_to_place()
    assert NUMBER not in (world.row.detail or "")
    assert len(world.row.detail or "") == 500


def test_when_the_ledger_cannot_be_written_nothing_is_dialed() -> None:
    world = World(away_at=0)
    with pytest.raises(SwitchboardUnreachable):
        world.try_to_place()
    assert world.rang == []


@pytest.mark.parametrize("trouble", [None, NumberRefused("21211"), KeyboardInterrupt()])
def test_when_the_ledger_is_away_afterwards_the_attempt_stays_dialing_and_that_is_said(trouble: Any) -> None:
    world = World(trouble=trouble, away_at=1)
    with pytest.raises(PlacementUnknown if trouble is None else type(trouble)) as raised:
        world.try_to_place()
    assert world.row.state == "dialing"
    said = str(raised.value) if trouble is None else world.reports[0]
    assert "stays 'dialing'" in said


@pytest.mark.parametrize("state", ["unknown", "ended"])
def test_a_row_that_moved_while_the_carrier_was_asked_gets_the_carriers_id(state: str) -> None:
    world = World()
    world.meanwhile = {"state": state, "call_id": "rtc_1"}
    assert world.try_to_place().attempt.carrier_call_id == "CA1"
    assert world.row.state == ("placed" if state == "unknown" else "ended")


def test_a_row_that_went_back_meanwhile_is_not_trusted() -> None:
    world = World()
    world.meanwhile = {"state": "reserved"}
    with pytest.raises(PlacementUnknown, match="was changed in between"):
        world.try_to_place()


def test_of_two_tasks_that_found_the_row_reserved_the_second_dials_nothing() -> None:
    world = World()
    world.try_to_place()
    placement = world.try_to_place(RESERVED)
    assert (placement.status, world.rang) == ("already_placed", [NUMBER])
    dialing = World(replace(RESERVED, state="dialing"))
    with pytest.raises(PlacementUnknown):
        dialing.try_to_place(RESERVED)
    assert dialing.rang == []


def test_a_number_that_was_refused_is_not_dialed_again_and_a_corrected_one_is() -> None:
    world = World(REFUSED)
    with pytest.raises(NumberRefused, match="has refused this number before"):
        world.try_to_place()
    assert world.rang == []
    assert world.try_to_place(to=OTHER).status == "placed"
    assert (world.rang, world.row.to_number) == ([OTHER], OTHER)


@pytest.mark.parametrize(
    ("row", "to", "may"),
    [
        (RESERVED, OTHER, True),
        (REFUSED, OTHER, True),
        (REFUSED, NUMBER, False),
        (replace(REFUSED, to_number=None), OTHER, False),
        (replace(REFUSED, carrier_call_id="CA1"), OTHER, False),
        (replace(REFUSED, outcome="busy"), OTHER, False),
        (replace(RESERVED, state="unknown"), OTHER, False),
        (replace(RESERVED, state="placed"), OTHER, False),
    ],
)
def test_only_what_certainly_did_not_ring_may_be_dialed(row: Attempt, to: str, may: bool) -> None:
    assert may_dial(row, to) is may


def test_where_to_look_is_said_with_the_times_of_the_attempt() -> None:
    later = NOW + timedelta(minutes=2)
    with pytest.raises(PlacementUnknown, match="between 2026-11-22 08:00:00 and 2026-11-22 08:02:00 UTC"):
        placed_before(replace(RESERVED, state="unknown", updated_at=later))
    with pytest.raises(PlacementUnknown, match="soon after 2026-11-22 08:02:00 UTC"):
        placed_before(replace(RESERVED, state="dialing", updated_at=later))


class Ledger(Answers):
    """A ledger that only takes outcomes."""

    def __init__(self, trouble: OpenAIRealtimeError | None = None) -> None:
        self._trouble = trouble
        self.noted: list[tuple[Any, ...]] = []

    def move_attempt(self, *given: Any, **changes: Any) -> None:
        if self._trouble is not None:
            raise self._trouble
        self.noted.append((*given, changes))


@pytest.mark.parametrize(
    ("trouble", "reports"),
    [(None, 0), (MoveRefused("noted before", code="attempt_moved"), 0), (AWAY, 1)],
)
def test_an_outcome_is_noted_once_and_its_loss_is_no_failure(trouble: Any, reports: int) -> None:
    ledger: Any = Ledger(trouble)
    said: list[str] = []
    note_outcome(ledger, "7", "answered", said.append, call_id="rtc_1")
    assert ledger.noted == ([] if trouble else [("7", "placed", "ended", {"outcome": "answered", "call_id": "rtc_1"})])
    assert len(said) == reports


API = ApiSettings(api_key="sk-1", endpoints=endpoints_for())
MODEL = "gpt-realtime-2.1"


def refused(status: int, code: str | None, message: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "code": code, "type": "x", "param": None}})


class Checking:
    """Checks against an OpenAI that answers by path, and a switchboard that remembers or not."""

    def __init__(self, answers: dict[str, httpx.Response], *, switchboard: int = 200, api: ApiSettings = API) -> None:
        self.asked: list[str] = []
        self.told = 0
        self.lines: list[str] = []
        self._answers, self._status, self._api = answers, switchboard, api

    def __call__(self, known: Preflight = Preflight(), model: str | None = MODEL) -> None:  # noqa: B008 - a value
        def openai(request: httpx.Request) -> httpx.Response:
            self.asked.append(request.url.path)
            return self._answers[request.url.path]

        def board(request: httpx.Request) -> httpx.Response:
            self.told += 1
            return httpx.Response(self._status, json={})

        pace = Pace(sleep=lambda _: asyncio.sleep(0))
        open_calls: Callable[[], CallsClient] = lambda: CallsClient(  # noqa: E731
            self._api, transport=httpx.MockTransport(openai), pace=pace
        )
        with SwitchboardClient("http://board", "token-1", transport=httpx.MockTransport(board)) as switchboard:
            check_before_dialing(known, switchboard, open_calls, self._api, model, self.lines.append)


def test_a_good_key_passes_and_the_switchboard_is_told() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(200, json={"id": MODEL})})
    checking()
    assert (checking.asked, checking.told, checking.lines) == ([f"/v1/models/{MODEL}"], 1, [])


def test_a_check_that_passed_is_not_made_again() -> None:
    checking = Checking({})
    checking(Preflight(passed=frozenset({openai_check(API, MODEL)})))
    assert checking.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_restricted_key_that_may_not_see_models_is_not_refused(status: int) -> None:
    said = "You have insufficient permissions for this operation. Missing scopes: api.model.read."
    checking = Checking({f"/v1/models/{MODEL}": refused(status, None, said)})
    checking()
    assert "not known" in checking.lines[0]


def test_a_key_that_is_wrong_is_refused() -> None:
    checking = Checking({f"/v1/models/{MODEL}": refused(401, "invalid_api_key", "Incorrect API key provided.")})
    with pytest.raises(AuthenticationError, match="nothing was dialed"):
        checking()
    assert checking.told == 0


def test_a_server_in_between_that_shows_no_single_model_is_asked_for_all() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(404), "/v1/models": httpx.Response(200, json={})})
    checking()
    assert checking.asked == [f"/v1/models/{MODEL}", "/v1/models"]


def test_an_address_that_is_wrong_is_refused() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(404), "/v1/models": httpx.Response(404)})
    with pytest.raises(RequestRefused, match="base URL"):
        checking()


def test_azure_is_not_asked_for_a_deployment_by_name() -> None:
    """There the model is the name of a deployment, and only models are listed."""
    azure = replace(API, auth_style="api-key")
    checking = Checking({"/v1/models": httpx.Response(200, json={})}, api=azure)
    checking()
    assert checking.asked == ["/v1/models"]


def test_a_switchboard_that_cannot_be_told_does_not_keep_the_phone_from_ringing() -> None:
    checking = Checking({f"/v1/models/{MODEL}": httpx.Response(200, json={})}, switchboard=404)
    checking()
    assert len(checking.lines) == 1


def test_what_the_switchboard_lacks_is_said_before_openai_is_asked() -> None:
    checking = Checking({})
    with pytest.raises(ConfigurationError, match="nothing was dialed: no secret"):
        checking(Preflight(problems=("no secret",)))


def test_the_name_of_a_check_depends_on_key_address_and_model_and_shows_none() -> None:
    names = {
        openai_check(API, MODEL),
        openai_check(API, None),
        openai_check(replace(API, api_key="sk-2"), MODEL),
        openai_check(replace(API, project="proj_1"), MODEL),
        openai_check(replace(API, endpoints=endpoints_for(region="eu")), MODEL),
    }
    assert len(names) == 5
    assert not [name for name in names if "sk-" in name]


def test_a_switchboard_of_an_older_version_knows_nothing() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404, json={"detail": "Not Found"}))
    with SwitchboardClient("http://board", "token-1", transport=transport) as switchboard:
        assert switchboard.send(preflight(["a"])) == Preflight()


# -- when a run dials ------------------------------------------------------------------------------------------------

RUN = DialingRun("dag", "run", "scheduled", NOW, NOW, dial_in_backfill=False, max_lateness_seconds=300.0)


def late(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("seconds", "dials"), [(0, True), (300, True), (300.1, False), (86_400, False)])
def test_a_scheduled_run_dials_when_it_started_at_its_time(seconds: float, dials: bool) -> None:
    reason = replace(RUN, started_at=late(seconds)).reason_not_to_dial(None)
    assert (reason is None) is dials
    assert dials or "more than max_lateness_seconds (300)" in str(reason)


def test_when_it_first_started_counts_and_not_when_it_was_cleared() -> None:
    assert replace(RUN, started_at=late(86_400)).reason_not_to_dial(late(5)) is None
    assert replace(RUN, started_at=None).reason_not_to_dial(late(5)) is None
    # Of a run whose start nothing knows any more, it is now.
    assert replace(RUN, started_at=None).reason_not_to_dial(None) is not None


@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_a_run_that_has_no_time_is_never_late(run_type: str) -> None:
    run = replace(RUN, run_type=run_type, started_at=late(86_400))
    assert run.reason_not_to_dial(None) is None
    assert run.that_may_be_late() is None


def test_without_a_limit_a_scheduled_run_is_never_late_either() -> None:
    run = replace(RUN, max_lateness_seconds=None, started_at=late(86_400))
    assert (run.reason_not_to_dial(None), run.that_may_be_late()) == (None, None)


def test_a_backfill_dials_only_when_it_is_told_to() -> None:
    backfill = replace(RUN, run_type="backfill")
    assert "dial_in_backfill=True" in str(backfill.reason_not_to_dial(None))
    assert replace(backfill, dial_in_backfill=True).reason_not_to_dial(None) is None


def test_the_start_of_a_run_that_may_be_late_is_told_so_that_the_first_is_remembered() -> None:
    assert RUN.that_may_be_late() == ("dag", "run", NOW)
