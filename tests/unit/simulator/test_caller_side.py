"""What a person does in a call, as the session tells it."""

from __future__ import annotations

import pytest
from tests.unit.simulator.talking import TRANSCRIBES, Listener, Talk

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator import Dialogue, Move, Reply
from airflow_openai_realtime.simulator.world import World

HEARD = [
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"


def talk(world: World, *moves: Move, session: dict[str, object] = TRANSCRIBES, **others: object) -> Talk:
    return Talk(world, Dialogue(("Hello.", "I see."), moves, **others), **session)  # type: ignore[arg-type]


def test_who_speaks_is_heard_and_answered_and_transcribed(world: World) -> None:
    call = talk(world, Move.says("I want a table.", after_seconds=1))
    world.clock.advance(0.9)
    assert call.listener.take() == ["session.created"]
    world.clock.advance(0.1)
    assert call.listener.take() == ["input_audio_buffer.speech_started"]
    world.clock.advance(1.4)
    assert call.listener.take() == [*HEARD, "response.created"]
    world.clock.advance(0.3)
    (transcript,) = call.listener.of(COMPLETED)
    assert transcript["transcript"] == "I want a table."
    assert transcript["usage"]["type"] == "tokens"
    world.clock.advance(5)
    assert call.said() == [("caller", "I want a table."), ("model", "Hello.")]


def test_moves_come_one_after_the_other_each_when_the_model_is_quiet(world: World) -> None:
    call = talk(world, Move.says("One."), Move.says("Two."), Move.hangs_up())
    world.clock.advance(30)
    assert call.said() == [("caller", "One."), ("model", "Hello."), ("caller", "Two."), ("model", "I see.")]
    assert call.listener.types[-1] == "over"
    assert (call.row.ended_by, call.row.open) == ("caller", False)


def test_a_greeting_is_listened_to_before_the_first_word(world: World) -> None:
    call = talk(world, Move.says("One.", after_seconds=1))
    world.clock.advance(0.8)
    call.send("response.create")
    world.clock.advance(30)
    assert call.said() == [("model", "Hello."), ("caller", "One."), ("model", "I see.")]


def test_who_interrupts_silences_the_model(world: World) -> None:
    call = talk(world, Move.interrupts("Stop!", after_seconds=0.2))
    call.send("response.create")
    world.clock.advance(0.65)
    types = call.listener.take()
    assert types[-2:] == ["input_audio_buffer.speech_started", "output_audio_buffer.cleared"]
    assert "response.done" in types  # it was made already, only not heard to its end
    world.clock.advance(10)
    (stopped,) = call.listener.of("output_audio_buffer.stopped")
    assert stopped["response_id"] == call.listener.of("response.created")[-1]["response"]["id"]
    assert len(call.details("interrupted")) == 1


def test_who_interrupts_a_response_that_is_being_made_cancels_it(world: World) -> None:
    reply = Reply("Let me tell you a long story.", makes_for_seconds=5)
    call = Talk(world, Dialogue((reply, "Sorry."), (Move.interrupts("Stop!", after_seconds=1),)))
    call.send("response.create")
    world.clock.advance(1.4)
    (done,) = call.listener.of("response.done")
    assert done["response"]["status"] == "cancelled"
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    (transcript,) = call.listener.of("response.output_audio_transcript.done")
    assert transcript["transcript"] == "Let"
    world.clock.advance(10)
    assert call.said() == [("model", "Let"), ("caller", "Stop!"), ("model", "Sorry.")]


def test_a_session_that_may_not_be_interrupted_speaks_on(world: World) -> None:
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}}
    call = talk(world, Move.interrupts("Stop!", after_seconds=0.1), session=session)
    call.send("response.create")
    world.clock.advance(10)
    assert "output_audio_buffer.cleared" not in call.listener.types
    assert call.said()[:2] == [("model", "Hello."), ("caller", "Stop!")]


def test_a_session_that_answers_only_when_asked_is_silent(world: World) -> None:
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    call = talk(world, Move.says("Hello?"), session=session)
    world.clock.advance(20)
    assert call.said() == [("caller", "Hello?")]


def test_without_turn_detection_nobody_is_heard(world: World) -> None:
    call = talk(world, Move.says("Hello?"), session={"audio": {"input": {"turn_detection": None}}})
    world.clock.advance(20)
    assert call.listener.types == ["session.created"]
    assert call.details("said")[0]["heard"] is False


def test_a_late_transcript_comes_after_the_response(world: World) -> None:
    call = talk(world, Move.says("Hello?", transcript_after_seconds=4))
    world.clock.advance(20)
    types = call.listener.types
    assert types.index(COMPLETED) > types.index("response.done")


def test_a_transcript_that_is_late_is_lost_with_the_call(world: World) -> None:
    moves = (Move.says("Hello?", transcript_after_seconds=20), Move.hangs_up())
    call = talk(world, *moves)
    world.clock.advance(60)
    assert COMPLETED not in call.listener.types
    assert call.details("transcribed") == []
    assert call.said("caller") == [("caller", "Hello?")]


@pytest.mark.parametrize(
    ("transcript", "session", "expected"),
    [
        ("failed", TRANSCRIBES, [FAILED]),
        ("never", TRANSCRIBES, []),
        ("completed", {}, []),
        ("completed", {"audio": {"input": {"transcription": None}}}, []),
    ],
)
def test_a_transcript_may_fail_or_never_come(
    world: World, transcript: str, session: dict[str, object], expected: list[str]
) -> None:
    call = talk(world, Move.says("Hello?", transcript=transcript), session=session)
    world.clock.advance(20)
    assert [each for each in call.listener.types if each in (FAILED, COMPLETED)] == expected


def test_whisper_is_billed_by_time(world: World) -> None:
    session = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    call = talk(world, Move.says("One two."), session=session)
    world.clock.advance(20)
    assert call.listener.of(COMPLETED)[0]["usage"] == {"type": "duration", "seconds": 0.7}


def test_keys_are_told_one_by_one_without_an_event_id(world: World) -> None:
    call = talk(world, Move.presses("1*#"))
    world.clock.advance(5)
    keys = call.listener.of("input_audio_buffer.dtmf_event_received")
    assert [key["event"] for key in keys] == ["1", "*", "#"]
    assert all("event_id" not in key and isinstance(key["received_at"], int) for key in keys)
    assert [each["key"] for each in call.details("pressed")] == ["1", "*", "#"]


def test_an_error_of_the_session_is_told_and_it_goes_on(world: World) -> None:
    call = talk(world, Move.session_error("server_error", "Oops."), Move.says("Still here."))
    world.clock.advance(10)
    (event,) = call.listener.of("error")
    assert (event["error"]["code"], event["error"]["message"], event["error"]["event_id"]) == (
        "server_error",
        "Oops.",
        None,
    )
    assert ("caller", "Still here.") in call.said()
    assert call.row.open


def test_a_fatal_error_ends_the_call(world: World) -> None:
    call = talk(world, Move.session_error("server_error", "Oops.", fatal=True), Move.says("Hello?"))
    world.clock.advance(10)
    assert call.listener.types[-2:] == ["error", "over"]
    assert (call.row.fate, call.row.ended_by, call.row.phone_up) == ("failed", "session_error", False)
    assert call.said() == []


def test_a_session_that_expires_says_so_and_ends(world: World) -> None:
    call = talk(world, Move.session_expires())
    world.clock.advance(10)
    assert call.listener.types[-2:] == ["error", "over"]
    assert call.listener.of("error")[0]["error"]["code"] == "session_expired"
    assert (call.row.ended_by, call.row.open) == ("session_limit", False)


def test_a_socket_that_breaks_leaves_the_call_alone(world: World) -> None:
    call = talk(world, Move.socket_breaks(), Move.says("Hello?"))
    world.clock.advance(1)
    assert call.listener.take() == ["session.created", "over"]
    assert call.listener.broken
    world.sidebands.detach(call.call, call.listener)
    world.clock.advance(1.2)
    again = Listener()
    assert call.attach(again)
    assert again.take() == ["session.created"]
    world.clock.advance(10)
    assert [each["listeners"] for each in call.details("said")] == [1, 1]
    assert call.row.open


def test_nobody_waits_for_ever_for_the_model(world: World) -> None:
    call = talk(world, Move.interrupts("Hello?"), Move.hangs_up())
    world.clock.advance(29)
    assert call.said() == []
    world.clock.advance(60)
    assert call.row.ended_by == "caller"


def test_moves_begin_without_a_sideband_after_a_while(world: World) -> None:
    call = Talk(world, Dialogue(moves=(Move.says("Hello?"),)), attached=False)
    world.clock.advance(10.9)
    assert call.said() == []
    world.clock.advance(10)
    assert call.said("caller") == [("caller", "Hello?")]
    assert call.details("said")[0]["listeners"] == 0


def test_moves_may_begin_with_the_call(world: World) -> None:
    call = Talk(world, Dialogue(moves=(Move.hangs_up(after_seconds=0.5),), starts="accepted"), attached=False)
    world.clock.advance(0.5)
    assert not call.row.open


def test_moves_may_repeat(world: World) -> None:
    call = talk(world, Move.says("Again."), repeats=True)
    world.clock.advance(60)
    assert len(call.said("caller")) > 5


def test_a_silent_caller_makes_the_model_speak_when_the_session_says_so(world: World) -> None:
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}}
    call = talk(world, session=session)
    world.clock.advance(20)
    assert call.said() == []  # it counts from the model's last word
    call.send("response.create")
    world.clock.advance(0.4 + 0.35 + 4.9)
    assert "input_audio_buffer.timeout_triggered" not in call.listener.types
    world.clock.advance(1)
    assert len(call.listener.of("input_audio_buffer.timeout_triggered")) == 1
    assert call.said() == [("model", "Hello."), ("model", "I see.")]


def test_who_speaks_is_not_silent(world: World) -> None:
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}}
    call = talk(world, *(Move.says("Yes it is.", after_seconds=4.5) for _ in range(3)), session=session)
    call.send("response.create")
    world.clock.advance(16)
    assert "input_audio_buffer.timeout_triggered" not in call.listener.types


def test_nobody_is_silent_while_the_model_speaks(world: World) -> None:
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}}
    call = talk(world, session=session)
    for _ in range(3):
        call.send("response.create")
        world.clock.advance(0.4 + 0.7 + 4.5)
    assert "input_audio_buffer.timeout_triggered" not in call.listener.types


def test_a_hang_up_that_is_noticed_late_leaves_a_dead_session(world: World) -> None:
    dialogue = Dialogue(moves=(Move.hangs_up(), Move.says("Nobody hears this.")))
    call = Talk(world, dialogue, noticed_after_seconds=20)
    world.clock.advance(10)
    assert (call.row.phone_up, call.row.ended_by, call.row.open) == (False, "caller", True)
    assert call.said() == []
    assert call.listener.types == ["session.created"]
    world.clock.advance(11)
    assert not call.row.open
    assert call.listener.types[-1] == "over"


def test_more_can_happen_than_the_script_says(world: World) -> None:
    call = talk(world, Move.says("One."))
    world.sidebands.act(call.call_id, [Move.says("Two.")])
    world.clock.advance(20)
    world.sidebands.act(call.call_id, [Move.says("Three."), Move.hangs_up()])
    world.clock.advance(20)
    assert call.said("caller") == [("caller", "One."), ("caller", "Two."), ("caller", "Three.")]
    assert call.row.ended_by == "caller"
    with pytest.raises(InvalidInput, match="not live"):
        world.sidebands.act(call.call_id, [])
