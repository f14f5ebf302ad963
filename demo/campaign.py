"""The people of the demonstration, what the campaign should have done with each, and what it did."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
from airflow_openai_realtime.simulator.log import CallRecord, LogView
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.states import CallState
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts, list_calls

#: How each person behaves; the DAG does not know.
SCRIPTS = {
    "Ada": PhoneScript.answers(after_seconds=3, talks_for_seconds=6),
    "Ben": PhoneScript.talks_for_ever(after_seconds=4),
    "Cleo": PhoneScript.busy(),
    "Dan": PhoneScript.no_answer(),
    "Eva": PhoneScript.talks_for_ever(after_seconds=2),
    "Finn": PhoneScript.talks_for_ever(after_seconds=3),
    "Gus": PhoneScript.answers(after_seconds=2, talks_for_seconds=10),
    "Hana": PhoneScript.declines(after_seconds=4),
    "Ivo": PhoneScript.talks_for_ever(after_seconds=5),
    "Joy": PhoneScript.answers(after_seconds=2, talks_for_seconds=4),
}

HUNG_UP = "hung up automatically"
ENDED = "answered, the person hung up"
TRANSFERRED = "transferred"
DECLINED = "declined by us"
#: The carrier's words, and the simulator's, for what became of a call.
OUTCOMES = {"busy": "busy", "no_answer": "no answer", "failed": "failed", "canceled": "cancelled"}


@dataclass(frozen=True)
class Contact:
    """One line of the contacts file."""

    name: str
    number: str


@dataclass(frozen=True)
class Outcome:
    """
    What became of one contact.

    :param seen: As the switchboard knows it, from what the DAG did.
    :param real: As the simulator knows it, being the phone.
    :param answer_seconds: From the webhook to the accepted call, in seconds.
    """

    contact: Contact
    seen: str
    real: str
    accepted: bool
    answer_seconds: float | None
    talked_seconds: float


def read_contacts(path: Path) -> list[Contact]:
    """The people on the list."""
    with path.open(newline="") as file:
        return [Contact(row["name"], row["number"]) for row in csv.DictReader(file)]


def outcomes(contacts: list[Contact], switchboard: SwitchboardClient, log: LogView, campaign: str) -> list[Outcome]:
    """What became of everybody, seen from both sides."""
    attempts = {attempt.contact: attempt for attempt in switchboard.send(list_attempts(campaign))}
    calls = {
        call.header("x-correlation-id"): call for call in switchboard.send(list_calls(state=",".join(CallState))).calls
    }
    records = {record.to_number: record for record in log.calls}
    result = []
    for contact in contacts:
        attempt, record = attempts.get(contact.number), records.get(contact.number)
        call = calls.get(attempt.correlation_id) if attempt else None
        result.append(
            Outcome(
                contact,
                seen=seen_fate(attempt, call),
                real=real_fate(record),
                accepted=call is not None and call.accepted_at is not None,
                answer_seconds=_answer_seconds(call),
                talked_seconds=record.talked_seconds if record else 0.0,
            )
        )
    return result


def seen_fate(attempt: Attempt | None, call: SwitchboardCall | None) -> str:
    """What the switchboard's rows say."""
    if attempt is None:
        return "never tried"
    if call is None:
        return OUTCOMES.get(attempt.outcome or "", attempt.outcome or attempt.state)
    if call.state == "rejected":
        return DECLINED
    if call.state != "ended":
        return call.state
    if call.target_uri:
        return TRANSFERRED
    return HUNG_UP if call.end_reason == "max_duration" else ENDED


def real_fate(record: CallRecord | None) -> str:
    """What the simulator's record says."""
    if record is None:
        return "never tried"
    if record.fate == "completed":
        return HUNG_UP if record.ended_by == "api_hangup" else ENDED
    return {"transferred": TRANSFERRED, "rejected": DECLINED}.get(record.fate) or OUTCOMES.get(record.fate, record.fate)


def disagreements(found: list[Outcome], log: LogView) -> list[str]:
    """Where the table and the simulator's own log do not say the same, and promises that were broken."""
    faults = [
        f"{each.contact.name}: the table says {each.seen!r}, the simulator's log {each.real!r}"
        for each in found
        if each.seen != each.real
    ]
    for each in found:
        rings = len(log.dials(each.contact.number))
        if rings != 1:
            faults.append(f"{each.contact.name}: dialed {rings} times instead of once")
    numbers = {each.contact.number for each in found}
    accepted = sum(each.accepted for each in found)
    really_accepted = sum(record.number in numbers for record in log.accepted())
    if accepted != really_accepted:
        faults.append(f"the table has {accepted} accepted calls, the simulator's log {really_accepted}")
    faults += [
        f"call {record.call_id} was accepted {record.accepted} times" for record in log.calls if record.accepted > 1
    ]
    faults += [f"call {record.call_id} is still open" for record in log.open_calls()]
    return faults


def _answer_seconds(call: SwitchboardCall | None) -> float | None:
    if call is None or call.accepted_at is None:
        return None
    return (call.accepted_at - call.received_at).total_seconds()
