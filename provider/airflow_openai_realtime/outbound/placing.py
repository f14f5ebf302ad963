"""
Dial a phone at most once, whatever is retried, cleared or run twice.

The ledger's row for (campaign, contact, attempt) is moved to *dialing* and committed before the carrier is asked. Only
one mover wins, and only the winner dials. When it is not certain that no phone rang, the row ends in *unknown*, from
which nothing dials again by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timezone
from typing import Any

from airflow_openai_realtime.api.phone_numbers import mask_number, mask_numbers
from airflow_openai_realtime.calls.call import Attempt
from airflow_openai_realtime.exceptions import (
    CarrierRefused,
    CarrierUnavailable,
    DialError,
    InvalidInput,
    MoveRefused,
    NumberRefused,
    PlacementUnknown,
    SwitchboardError,
)
from airflow_openai_realtime.outbound.carriers.port import Dialer, DialRequest, PlacedCall
from airflow_openai_realtime.outbound.placed import about_attempt
from airflow_openai_realtime.states import AttemptOutcome, AttemptState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts, move_attempt

ALREADY_PLACED = "already_placed"


@dataclass(frozen=True)
class Placement:
    """
    An attempt whose call was placed.

    :param attempt: The ledger's row.
    :param status: ``placed`` now, or ``already_placed`` before.
    """

    attempt: Attempt
    status: str

    def to_dict(self, carrier_conn_id: str) -> dict[str, Any]:
        """
        Return it as JSON primitives. The shape of a placed call in XCom.

        :param carrier_conn_id: Airflow connection of the carrier that has the call.
        """
        row = self.attempt
        return {
            **about_attempt(row),
            "correlation_id": row.correlation_id,
            "carrier_call_id": row.carrier_call_id,
            "carrier_conn_id": carrier_conn_id,
            "status": self.status,
            "placed_at": row.updated_at.isoformat(),
        }


@dataclass
class Placing:
    """
    Places the call of one attempt.

    :param switchboard: Keeps the ledger.
    :param dialer: Rings the phone.
    :param report: Called with lines for the task's log.
    """

    switchboard: SwitchboardClient
    dialer: Dialer
    report: Callable[[str], None]

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
            dialing = self.switchboard.send(
                move_attempt(reserved.attempt_id, from_state, AttemptState.DIALING, **changed)
            )
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
                row = self.switchboard.send(
                    move_attempt(dialing.attempt_id, from_state, to_state, carrier_call_id=placed.carrier_call_id)
                )
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

    def _move(self, dialing: Attempt, to_state: str, *, outcome: str | None = None, detail: str) -> None:
        try:
            self.switchboard.send(
                move_attempt(
                    dialing.attempt_id,
                    AttemptState.DIALING,
                    to_state,
                    outcome=outcome,
                    detail=mask_numbers(detail)[:500],
                )
            )
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
