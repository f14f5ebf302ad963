"""
End a call's row in the ledger and its conversation, in the transaction that ends the call.

Every path that writes a call's end uses this module, so that a crash in between cannot leave one of them open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from airflow_openai_realtime.api.sip import CORRELATION_HEADER
from airflow_openai_realtime.api.untrusted import read_stored
from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.kept_result import result_without_end, standing_account
from airflow_openai_realtime.calls.outcome import restated
from airflow_openai_realtime.calls.result import CallResult
from airflow_openai_realtime.calls.saved_conversation import MOST_RESULT_BYTES, Conversation
from airflow_openai_realtime.calls.timeline.entries import TimelineEntry, as_json
from airflow_openai_realtime.calls.transitions import told_by
from airflow_openai_realtime.calls.witnesses import kept_account
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.states import OPEN_CALL_STATES, AttemptState, CallState, EndReason
from airflow_openai_realtime.switchboard.server.store.schema.tables import (
    NOBODY,
    attempts,
    calls,
    conversations,
    processes,
    timeline,
)

SWEEP = 100
"""How many results one sweep writes; the next one writes the rest."""

LATE = timedelta(seconds=120)
"""Time after a call's end in which its owner may still write the result, also the next owner after a triggerer's death.
It knows more than the switchboard, for example whether the record is valid."""

KILLED_LATE = timedelta(seconds=15)
"""The same for a killed call, which no other owner continues."""

SILENT = timedelta(seconds=5)
"""A process without a sign of life for so long no longer counts as an owner."""

ANSWERED = "answered"


def settle(connection: Connection, call: SwitchboardCall, now: datetime) -> None:
    """
    End the ledger's row and the conversation of a call; if a stronger witness has reported its end, correct the result.

    :param connection: A connection with an open transaction.
    :param call: The call as it is now, over; its conversation is locked, if it has one.
    :param now: The time, aware.
    """
    row = lock_conversation(connection, call.line, call.call_id)
    if row is not None and row.finished_at is not None:
        restate(connection, call, row)
    elif row is not None and call.end_reason == EndReason.KILLED and not _has_holder(connection, row, now):
        call = write_result(connection, call, row, now)
    end_attempt(connection, call, now)


def restate(connection: Connection, call: SwitchboardCall, row: Any) -> None:
    """
    Correct a written result to the account of the strongest witness.

    :param connection: A connection with an open transaction.
    :param call: The call as it is now, over.
    :param row: Its conversation, locked and finished.
    """
    if row.result is None:
        return
    written = read_stored(row.result)
    told = restated_result(written, call)
    if told == written:
        return
    text = as_json(told, field="result", most_bytes=MOST_RESULT_BYTES)
    same = (conversations.c.line == row.line) & (conversations.c.call_id == row.call_id)
    connection.execute(conversations.update().where(same).values(outcome=told["outcome"], result=text))


def restated_result(written: Mapping[str, Any], call: SwitchboardCall) -> dict[str, Any]:
    """
    A result corrected to the strongest witness. What is not a call's result, as API clients may write, stays.

    :param written: As it was written, of JSON values.
    :param call: The call; while it is not over, there is no witness.
    """
    try:
        result = CallResult.from_dict(written)
    except (TypeError, InvalidInput):
        return dict(written)
    told = restated(result, kept_account(call))
    changed = {name: getattr(told, name) for name in ("outcome", "reason", "talk_seconds")}
    return {**written, **{name: value for name, value in changed.items() if value != getattr(result, name)}}


def lock_conversation(connection: Connection, line: str, call_id: str) -> Any:
    """
    The row of a call's conversation, locked; ``None`` when it has none.

    :param connection: A connection with an open transaction.
    :param line: Name of the line.
    :param call_id: OpenAI's id of the call.
    """
    same = (conversations.c.line == line) & (conversations.c.call_id == call_id)
    return connection.execute(select(conversations).where(same).with_for_update()).one_or_none()


def end_attempt(connection: Connection, call: SwitchboardCall, now: datetime) -> None:
    """
    End the ledger's row of a placed call, found by the correlation id that came back with it, or by its id.

    :param connection: A connection with an open transaction.
    :param call: The call, as the store has it.
    :param now: The time, aware.
    """
    outcome = ledger_outcome(call)
    correlation_id = call.header(CORRELATION_HEADER)
    its_own = attempts.c.call_id == call.call_id
    if correlation_id:
        its_own = or_(its_own, attempts.c.correlation_id == correlation_id)
    open_row = attempts.c.state != AttemptState.ENDED
    # That it was answered is known before it is over; that it was killed only then.
    refined = and_(attempts.c.outcome == ANSWERED, attempts.c.outcome != outcome)
    update = (
        attempts.update()
        .where(attempts.c.line == call.line, its_own, or_(open_row, refined))
        .values(state=AttemptState.ENDED, outcome=outcome, call_id=call.call_id, owner="switchboard", updated_at=now)
    )
    connection.execute(update)


def ledger_outcome(call: SwitchboardCall) -> str:
    """
    Return the ledger's outcome of a placed call that came in.

    :param call: The call, as the store has it.
    """
    if call.end_reason == EndReason.KILLED:
        return EndReason.KILLED
    if call.state == CallState.REJECTED:
        return "rejected"
    if call.accepted_at is not None:
        return ANSWERED
    return "failed" if call.end_reason == EndReason.ACCEPT_FAILED else "gone"


def write_result(connection: Connection, call: SwitchboardCall, row: Any, now: datetime) -> SwitchboardCall:
    """
    Write the result of a call that has lost its owner.

    :param connection: A connection with an open transaction.
    :param call: The call as it is now, over.
    :param row: Its conversation, locked and not finished.
    :param now: The time, aware.
    :returns: The call, with the account of its end corrected by the timeline.
    """
    conversation = read_conversation(connection, row)
    account = standing_account(call, conversation)
    if account is not None and account != kept_account(call) and call.state == CallState.ENDED:
        told = told_by(account)
        same_call = (calls.c.line == call.line) & (calls.c.call_id == call.call_id)
        connection.execute(calls.update().where(same_call).values({**told, "version": calls.c.version + 1}))
        call = replace(call, **told)
    result = result_without_end(call, conversation, now)
    text = as_json(result.to_dict(), field="result", most_bytes=MOST_RESULT_BYTES)
    values: dict[str, Any] = {"saved_at": now, "finished_at": now, "outcome": result.outcome, "result": text}
    same = (conversations.c.line == row.line) & (conversations.c.call_id == row.call_id)
    connection.execute(conversations.update().where(same).values(values))
    return call


def without_result(connection: Connection, now: datetime) -> list[tuple[str, str]]:
    """
    Return (line, call id) of calls that are over and whose owners will not write a result.

    :param connection: A connection with an open transaction.
    :param now: The time, aware.
    """
    same_call = and_(conversations.c.line == calls.c.line, conversations.c.call_id == calls.c.call_id)
    same_process = and_(processes.c.line == conversations.c.line, processes.c.process == conversations.c.process)
    is_gone = and_(
        conversations.c.process.is_not(None),
        or_(processes.c.seen_at.is_(None), processes.c.seen_at <= now - SILENT),
    )
    is_killed = and_(calls.c.end_reason == EndReason.KILLED, or_(is_gone, calls.c.ended_at <= now - KILLED_LATE))
    query = (
        select(calls.c.line, calls.c.call_id)
        .select_from(conversations.join(calls, same_call).outerjoin(processes, same_process))
        .where(
            conversations.c.finished_at.is_(None),
            calls.c.state.not_in(OPEN_CALL_STATES),
            or_(calls.c.ended_at <= now - LATE, is_killed),
        )
        .limit(SWEEP)
    )
    return [(row.line, row.call_id) for row in connection.execute(query)]


def read_conversation(connection: Connection, row: Any) -> Conversation:
    """
    A conversation with its timeline.

    :param connection: A connection with an open transaction.
    :param row: Its row.
    """
    query = (
        select(timeline.c.key, timeline.c.kind, timeline.c.at, timeline.c.body)
        .where(timeline.c.line == row.line, timeline.c.call_id == row.call_id)
        .order_by(timeline.c.seq)
    )
    entries = tuple(
        TimelineEntry(each.key, each.kind, each.at, read_stored(each.body)) for each in connection.execute(query)
    )
    names = Conversation.__dataclass_fields__.keys() - {"result", "entries"}
    values: Mapping[str, Any] = {name: row._mapping[name] for name in names}
    result = None if row.result is None else read_stored(row.result)
    return Conversation(**values, result=result, entries=entries)


def _has_holder(connection: Connection, row: Any, now: datetime) -> bool:
    """Tell whether an owner may be about to write the result."""
    if row.process is None:
        return True
    if row.process == NOBODY:
        return False
    same = (processes.c.line == row.line) & (processes.c.process == row.process)
    seen_at = connection.execute(select(processes.c.seen_at).where(same)).scalar()
    return seen_at is not None and seen_at > now - SILENT
