"""
Dial a phone at most once, whatever is retried, cleared or run twice.

The ledger's row for (campaign, contact, attempt) is moved to *dialing* and committed before the carrier is asked. Only
one mover wins, and only the winner dials. When it is not certain that no phone rang, the row ends in *unknown*, from
which nothing dials again by itself.

Before that it is checked that an answered call can be taken. The check of the key costs a request to OpenAI. The
switchboard remembers for some minutes that it passed, so that the tasks of a mapped campaign do not make it thousands
of times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_openai_realtime.api.call_requests import check_key
from airflow_openai_realtime.api.phone_numbers import mask_number, mask_numbers
from airflow_openai_realtime.calls.call import Attempt, Preflight
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    CarrierRefused,
    CarrierUnavailable,
    ConfigurationError,
    DialError,
    InvalidInput,
    MoveRefused,
    NumberRefused,
    OpenAIRealtimeError,
    PlacementUnknown,
    RequestRefused,
    ServiceUnavailable,
    SwitchboardError,
)
from airflow_openai_realtime.outbound.carriers.port import Dialer, DialRequest, PlacedCall
from airflow_openai_realtime.outbound.placed import ALREADY_PLACED, Placement
from airflow_openai_realtime.states import AttemptOutcome, AttemptState
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    list_attempts,
    move_attempt,
    preflight,
    report_checks_passed,
    reserve_attempt,
)

if TYPE_CHECKING:
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.api.settings import ApiSettings
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


@dataclass(frozen=True)
class PlaceOrder:
    """
    Whom to reach, as it was asked for.

    :param campaign: Name of the campaign; with contact and attempt the key of the ledger's row.
    :param contact: Key of the contact within it, in its one spelling.
    :param attempt: 1 or more.
    :param request: What the carrier is asked; the correlation id stands in for the one that the ledger gives.
    """

    campaign: str
    contact: str
    attempt: int
    request: DialRequest


@dataclass(frozen=True)
class DialingRun:
    """
    A DAG run that dials, as far as it decides whether it does.

    :param dag_id: The DAG.
    :param run_id: The run.
    :param run_type: Airflow's: ``scheduled``, ``manual``, ``backfill``, ``asset_triggered`` and others.
    :param due_at: Its time, ``run_after``; aware.
    :param started_at: When it started; ``None``: Airflow has forgotten, as for a run that was cleared.
    :param dial_in_backfill: Whether a backfill dials.
    :param max_lateness_seconds: How late a scheduled run may start and still dial, in seconds, 0 or more; ``None``: no
        limit.
    """

    dag_id: str
    run_id: str
    run_type: str
    due_at: datetime
    started_at: datetime | None
    dial_in_backfill: bool
    max_lateness_seconds: float | None

    def that_may_be_late(self) -> tuple[str, str, datetime] | None:
        """Return DAG, run and start of a run that may be late; ``None`` for one that may not."""
        if self.run_type != "scheduled" or self.max_lateness_seconds is None:
            return None
        return self.dag_id, self.run_id, self.started_at or datetime.now(timezone.utc)

    def reason_not_to_dial(self, first_started_at: datetime | None) -> str | None:
        """
        Return why the run does not dial; ``None``: it does.

        :param first_started_at: When it first started, as the switchboard knows it.
        """
        if self.run_type == "backfill":
            return None if self.dial_in_backfill else "this is a backfill; to ring all the same: dial_in_backfill=True"
        may_be_late = self.that_may_be_late()
        if may_be_late is None or self.max_lateness_seconds is None:
            return None
        late = ((first_started_at or may_be_late[-1]) - self.due_at).total_seconds()
        if late <= self.max_lateness_seconds:
            return None
        return (
            f"this run started {late:.0f} s after its time, more than max_lateness_seconds "
            f"({self.max_lateness_seconds:g}), as after the DAG was unpaused. To call now, trigger the DAG by hand; to "
            "let late runs call, give a larger number, or None"
        )


@dataclass
class Placing:
    """
    Reaches a person: one attempt, whose call is placed at most once.

    :param switchboard: Keeps the ledger.
    :param dialer: Rings the phone.
    :param report: Called with lines for the task's log.
    """

    switchboard: SwitchboardClient
    dialer: Dialer
    report: Callable[[str], None]

    def reach(
        self,
        order: PlaceOrder,
        owner: str,
        run: DialingRun,
        open_calls: Callable[[], CallsClient],
        api: ApiSettings,
        model: str | None,
    ) -> Placement | str:
        """
        Reserve an attempt, check that an answered call could be taken, and dial, unless the phone was dialed before.

        :param order: Whom to reach; the correlation id is the ledger's.
        :param owner: Stable name of the task that dials.
        :param run: The DAG run that dials.
        :param open_calls: Makes a client for OpenAI.
        :param api: Key and address of OpenAI.
        :param model: The model that calls are accepted with, when it is known.
        :return: The placed call, or why the run does not dial; then nothing is reserved.
        :raises OpenAIRealtimeError: See :func:`check_before_dialing` and :meth:`place`.

        Retries: as :meth:`place`.
        """
        request = order.request
        known = self.switchboard.send(preflight([openai_check(api, model)], run=run.that_may_be_late()))
        reason = run.reason_not_to_dial(known.first_started_at)
        if reason is not None:
            return reason
        reserved = self.switchboard.send(
            reserve_attempt(order.campaign, order.contact, order.attempt, request.to, owner)
        )
        if may_dial(reserved, request.to):
            check_before_dialing(known, self.switchboard, open_calls, api, model, self.report)
        return self.place(reserved, replace(request, correlation_id=reserved.correlation_id))

    def place(self, reserved: Attempt, request: DialRequest) -> Placement:
        """
        Dial the phone of an attempt, unless it was dialed before.

        :param reserved: The ledger's row, just reserved or found.
        :param request: What to ask of the carrier.
        :raises NumberRefused: The carrier cannot ring this number; the attempt is over, unless the number is corrected.
        :raises CarrierRefused: The carrier refused for another reason; no phone rang, and a retry dials.
        :raises CarrierUnavailable: The carrier could not be reached; no phone rang, and a retry may dial.
        :raises PlacementUnknown: The phone may have rung; look at the carrier's log.
        :raises SwitchboardUnreachable: The ledger cannot be written; nothing was dialed.
        """
        # The row may have another number, of a try that dialed nothing.
        changed = {"to_number": request.to} if request.to != reserved.to_number else {}
        from_state = AttemptState.ENDED if reserved.is_number_refused else AttemptState.RESERVED
        before = None if may_dial(reserved, request.to) else placed_before(reserved)
        if before is not None:
            return before
        try:
            dialing = self._moved(reserved, from_state, AttemptState.DIALING, **changed)
        except MoveRefused:
            # Another task of the same campaign, contact and attempt was faster.
            return self._placed_by_other(reserved)
        return self._dial(dialing, request)

    def _dial(self, dialing: Attempt, request: DialRequest) -> Placement:
        try:
            placed = self.dialer.send(self.dialer.place(request))
        except NumberRefused as error:
            self._move(dialing, AttemptState.ENDED, outcome=AttemptOutcome.FAILED, detail=str(error))
            raise
        except CarrierRefused as error:
            self._move(dialing, AttemptState.RESERVED, detail=str(error))
            self.report("No phone rang and the attempt stays open: correct the cause, then clear this task.")
            raise
        except (CarrierUnavailable, InvalidInput) as error:
            self._move(dialing, AttemptState.RESERVED, detail=str(error))
            raise
        except BaseException as error:
            # A time-out, a kill, a bug: the order may have left.
            self._move(dialing, AttemptState.UNKNOWN, detail=f"{type(error).__name__}: {error}")
            raise
        return self._settle(dialing, placed)

    def _settle(self, dialing: Attempt, placed: PlacedCall) -> Placement:
        # Unknown, when the task was stopped in between; ended, when the call came in and is over already.
        for from_state, to_state in (
            (AttemptState.DIALING, AttemptState.PLACED),
            (AttemptState.UNKNOWN, AttemptState.PLACED),
            (AttemptState.ENDED, AttemptState.ENDED),
        ):
            try:
                row = self._moved(dialing, from_state, to_state, carrier_call_id=placed.carrier_call_id)
            except MoveRefused:
                continue
            except SwitchboardError as error:
                raise PlacementUnknown(
                    f"the carrier placed the call ({placed.carrier_call_id}), but that could not be reported to the "
                    f"switchboard; the attempt stays '{AttemptState.DIALING}' and is not dialed again: {error}"
                ) from error
            return Placement(row, AttemptState.PLACED)
        raise PlacementUnknown(
            f"the carrier placed the call ({placed.carrier_call_id}), but the ledger's row was changed in between"
        )

    def _placed_by_other(self, reserved: Attempt) -> Placement:
        rows = self.switchboard.send(list_attempts(reserved.campaign, contact=reserved.contact))
        now = next((row for row in rows if row.attempt_id == reserved.attempt_id), reserved)
        before = placed_before(now)
        if before is None:
            raise unknown_placement(now)
        return before

    def _moved(self, row: Attempt, from_state: str, to_state: str, **changes: str | None) -> Attempt:
        """Move the ledger's row on; only one mover wins."""
        return self.switchboard.send(move_attempt(row.attempt_id, from_state, to_state, **changes))

    def _move(self, dialing: Attempt, to_state: str, *, outcome: str | None = None, detail: str) -> None:
        try:
            self._moved(dialing, AttemptState.DIALING, to_state, outcome=outcome, detail=mask_numbers(detail)[:500])
        except SwitchboardError as error:
            self.report(
                f"Could not write to the ledger that the attempt is '{to_state}'; it stays '{AttemptState.DIALING}', "
                f"which is not dialed again: {error}"
            )


def may_dial(row: Attempt, to: str) -> bool:
    """
    Tell whether an attempt may be dialed: nothing was yet, or the carrier refused another number than this one.

    :param row: The ledger's row.
    :param to: The number to dial, in its one spelling.
    """
    return row.state == AttemptState.RESERVED or (
        row.is_number_refused and row.to_number is not None and row.to_number != to
    )


def placed_before(row: Attempt) -> Placement | None:
    """
    Return the result of an earlier try of this attempt, or ``None`` when the phone may be dialed.

    :param row: Row of the ledger.
    :raises NumberRefused: The carrier cannot ring this number, as an earlier try found.
    :raises PlacementUnknown: It is not certain whether the phone rang, or another task is dialing it now.
    """
    if row.state == AttemptState.RESERVED:
        return None
    if row.state in (AttemptState.DIALING, AttemptState.UNKNOWN):
        raise unknown_placement(row)
    if row.is_number_refused:
        raise NumberRefused(
            f"the carrier has refused this number before ({row.detail or row.outcome}); no phone rang. Correct the "
            "number of this contact, then clear this task"
        )
    return Placement(row, ALREADY_PLACED)


def unknown_placement(row: Attempt) -> PlacementUnknown:
    """
    Make the error for an unknown result, with the call and the time to look for in the carrier's log.

    :param row: Row of the ledger.
    """
    first, last = (f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}" for at in (row.created_at, row.updated_at))
    # The row changes to dialing before the request to the carrier, and to unknown after it.
    when = f"soon after {last} UTC" if row.state == AttemptState.DIALING else f"between {first} and {last} UTC"
    return PlacementUnknown(
        f"attempt {row.attempt} of this contact in campaign {row.campaign!r} is '{row.state}'{_cause(row)}: the phone "
        f"may have rung, so it is not dialed again. Look in the carrier's log for a call to "
        f"{mask_number(row.to_number or '')} {when}; once answered, its SIP leg carries the correlation id "
        f"{row.correlation_id}. To ring this phone again, give this contact alone a higher attempt"
    )


def _cause(row: Attempt) -> str:
    """Return what happened, without the advice that followed it and without the name of the error raised again."""
    happened = (row.detail or "").removeprefix(f"{PlacementUnknown.__name__}: ").split(". ")[0].rstrip(".")
    return f" ({happened})" if happened else ""


def note_outcome(
    switchboard: SwitchboardClient,
    attempt_id: str,
    outcome: str,
    report: Callable[[str], None],
    *,
    call_id: str | None = None,
) -> None:
    """
    Write the outcome of a placed call to the ledger, if the switchboard can be reached.

    :param switchboard: Client of the line's switchboard.
    :param attempt_id: Id of the attempt.
    :param outcome: For example ``answered``, ``busy``.
    :param report: Called with a line for the log.
    :param call_id: OpenAI's id, when the call came in.
    """
    try:
        switchboard.send(
            move_attempt(attempt_id, AttemptState.PLACED, AttemptState.ENDED, outcome=outcome, call_id=call_id)
        )
    except MoveRefused:
        return  # noted before, by an earlier try of the same task
    except (SwitchboardError, DialError) as error:
        report(f"The outcome {outcome!r} could not be written to the ledger: {error}")


_NO_MODEL_CODE = "model_not_found"
_MISSING_SCOPE = "missing scope"


def openai_check(api: ApiSettings, model: str | None) -> str:
    """
    Name the check that a key works at an address and has a model. The name does not show the key.

    :param api: Key and address.
    :param model: The model that calls are accepted with, when it is known.
    """
    parts = (api.endpoints.rest_url, api.api_key, api.organization or "", api.project or "", model or "")
    return f"openai-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:40]}"


def check_before_dialing(
    known: Preflight,
    switchboard: SwitchboardClient,
    open_calls: Callable[[], CallsClient],
    api: ApiSettings,
    model: str | None,
    report: Callable[[str], None],
) -> None:
    """
    Refuse to dial when it is known that an answered call could not be taken.

    :param known: What the switchboard said.
    :param switchboard: Remembers that the check passed.
    :param open_calls: Makes a client for OpenAI.
    :param api: Key and address of that client.
    :param model: The model that calls are accepted with, when it is known.
    :param report: Called with lines for the task's log.
    :raises ConfigurationError: The switchboard could take no call.
    :raises AuthenticationError: OpenAI refused the key.
    :raises RequestRefused: The address is wrong, or the key's project has no such model.
    :raises ServiceUnavailable: OpenAI does not answer.
    """
    if known.problems:
        raise ConfigurationError(f"nothing was dialed: {'; '.join(known.problems)}")
    check = openai_check(api, model)
    if check in known.passed:
        return
    try:
        with open_calls() as calls:
            _check_openai(calls, None if api.auth_style == "api-key" else model, report)
    except (AuthenticationError, RequestRefused, ServiceUnavailable) as error:
        raise _not_dialed(error) from error
    try:
        switchboard.send(report_checks_passed([check]))
    except SwitchboardError as error:
        report(f"Could not report to the switchboard that the key works: {error}")


def _check_openai(calls: CallsClient, model: str | None, report: Callable[[str], None]) -> None:
    try:
        calls.send(check_key(model))
    except AuthenticationError as error:
        # A restricted key may accept calls and not see the models.
        if _MISSING_SCOPE not in str(error).lower():
            raise
        report(f"Whether the key may accept calls is not known: it may not see the models. {error}")
    except ServiceUnavailable as error:
        if error.status != 429:
            raise
        report(f"Whether the key works is not known: {error}")
    except RequestRefused as error:
        if model is None or error.code == _NO_MODEL_CODE:
            raise
        # A server in between that cannot show one model.
        _check_openai(calls, None, report)


def _not_dialed(error: AuthenticationError | RequestRefused | ServiceUnavailable) -> OpenAIRealtimeError:
    return type(error)(
        f"nothing was dialed: {error}",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        safe_to_retry=True,
    )
