"""
End or transfer a call once the caller has heard the model's last words.

OpenAI produces a response faster than it is spoken: only ``output_audio_buffer.stopped`` tells that the caller has
heard it. A caller who interrupts the last words has heard enough. The wait is limited in any case.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_openai_realtime.api.sideband.commands import cancel_response, clear_audio
from airflow_openai_realtime.conversation.rules.effects import HangUp, Refer
from airflow_openai_realtime.conversation.rules.state import ConversationState, LastWords
from airflow_openai_realtime.conversation.rules.turn_taking import GOODBYE, Wanted
from airflow_openai_realtime.states import TRANSFER_CALL, EndReason, EntryKind, Note

#: Longest wait for the end of the last words, in seconds.
LAST_WORDS_SECONDS = 10.0

#: Prefix of instructions for a fixed text.
SAY_THIS = "Say this to the caller, in these words, and nothing else:\n\n"


def end_after_words(state: ConversationState, now: datetime) -> None:
    """
    Hang up once the current words were heard: the model has ended the call.

    :param state: State of the conversation.
    :param now: Current time, aware.
    """
    state.turns.drop_wanted()
    state.ending = LastWords(EndReason.END_CALL, _latest(now))


def transfer_after_words(state: ConversationState, refer: Refer, now: datetime) -> None:
    """
    Request a transfer once the current words were heard.

    :param state: State of the conversation.
    :param refer: The transfer.
    :param now: Current time, aware.
    """
    state.transfer = LastWords(TRANSFER_CALL, _latest(now), refer)


def say_goodbye(state: ConversationState) -> None:
    """
    Say goodbye before the time is over; this cuts off what the model is saying.

    :param state: State of the conversation.
    """
    state.goodbye_at = None
    if state.is_ending or not state.is_live:
        return
    if state.turns.is_making:
        state.send(cancel_response(), event_id="cancel_1")
    if state.turns.is_heard:
        state.send(clear_audio(), event_id="clear_1")
    state.turns.drop_wanted()
    state.turns.want(Wanted(GOODBYE, SAY_THIS + str(state.plan.goodbye), "none"))
    state.ending = LastWords(EndReason.MAX_DURATION, state.deadline)


def act_when_heard(state: ConversationState, now: datetime, *, is_tool_running: bool = False) -> None:
    """
    End or transfer the call if its last words were heard or have taken too long.

    :param state: State of the conversation.
    :param now: Current time, aware.
    :param is_tool_running: Whether a tool runs; the call is not hung up meanwhile unless the time is over.
    """
    is_spoken = state.turns.is_spoken and state.is_live
    if state.transfer is not None and (is_spoken or now >= state.transfer.until):
        if state.transfer.refer is not None:
            state.effects.append(state.transfer.refer)
        state.transfer = None
    if state.ending is not None and ((is_spoken and not is_tool_running) or now >= state.ending.until):
        hang_up(state, state.ending.why, now)


def hang_up(state: ConversationState, why: str, now: datetime) -> None:
    """
    Hang up now.

    The hang-up waits for its note to be saved, since a replaced owner must not hang up. Not for ``max_duration``: the
    time is over for every owner.

    :param state: State of the conversation.
    :param why: ``end_call``, ``silence`` or ``max_duration``.
    :param now: Current time, aware.
    """
    noted = state.record(EntryKind.NOTE, now, Note.ENDING, why, at_once=True, what=Note.ENDING, why=why)
    state.hung_up_for = why
    state.ending = state.transfer = state.goodbye_at = None
    state.turns.drop_wanted()
    state.effects.append(HangUp(why, after=None if why == EndReason.MAX_DURATION else noted))


def _latest(now: datetime) -> datetime:
    return now + timedelta(seconds=LAST_WORDS_SECONDS)
