"""The session of a live call: who listens, how it is changed, and that nothing happens after its end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION
from tests.unit.simulator.talking import Listener

from airflow_openai_realtime.simulator import Dialogue, Move, PhoneScript
from airflow_openai_realtime.simulator.conversation import Conversation
from airflow_openai_realtime.simulator.refusals import Refusal, call_gone
from airflow_openai_realtime.simulator.world import World

WORDLESS = Dialogue(("Hello.",), ())


@pytest.fixture
def talk(world: World) -> Conversation:
    return talking(world)


def talking(world: World, dialogue: Dialogue = WORDLESS, **session: Any) -> Conversation:
    """The conversation of a call that was just accepted."""
    found: list[Conversation] = []
    world.calls.begin = lambda call: found.append(Conversation(call, world.calls, world.clock, world.log))  # type: ignore[assignment, misc, return-value]
    call_id = world.call_in(PERSON, CALLER, script=PhoneScript.talks_for_ever(dialogue=dialogue))
    world.calls.accept(call_id, {**SESSION, **session})
    return found[0]


def listening(talk: Conversation) -> Listener:
    listener = Listener()
    talk.attach(listener)
    return listener


def test_who_attaches_is_told_the_session_first(talk: Conversation) -> None:
    (created,) = listening(talk).of("session.created")
    session = created["session"]
    assert (session["type"], session["model"]) == ("realtime", SESSION["model"])
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["id"].startswith("sess_")
    assert session["expires_at"] == int(talk.now() + 3600)


def test_the_session_is_what_was_accepted_with_openais_defaults_beneath(world: World) -> None:
    talk = talking(world, audio={"output": {"voice": "cedar"}, "input": {"transcription": {"model": "whisper-1"}}})
    audio = talk.values["audio"]
    assert audio["output"] == {"voice": "cedar", "speed": 1.0}
    assert audio["input"]["transcription"] == {"model": "whisper-1"}


def test_a_change_is_merged_and_told_to_all(talk: Conversation) -> None:
    listeners = [listening(talk), listening(talk)]
    talk.update({"session": {"type": "realtime", "audio": {"output": {"speed": 1.2}}, "instructions": "Be kind."}})
    for listener in listeners:
        (updated,) = listener.of("session.updated")
        assert updated["session"]["audio"]["output"] == {"voice": "marin", "speed": 1.2}
        assert updated["session"]["instructions"] == "Be kind."


def test_a_change_without_a_type_is_refused_and_swallows_a_later_transfer(talk: Conversation) -> None:
    with pytest.raises(Refusal) as refused:
        talk.update({"session": {"instructions": "x"}})
    assert refused.value.param == "session.type"
    assert talk.call.refer_is_lost


@pytest.mark.parametrize("command", [{}, {"session": "x"}, {"item": {}}])
def test_a_change_of_nothing_is_refused(talk: Conversation, command: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as refused:
        talk.update(command)
    assert refused.value.param == "session"
    assert not talk.call.refer_is_lost


def test_an_item_gets_an_id_and_its_place(talk: Conversation) -> None:
    listener = listening(talk)
    for text in ("one", "two"):
        talk.add_item({"item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}})
    first, second = listener.of("conversation.item.added")
    assert first["item"]["id"].startswith("item_")
    assert (first["previous_item_id"], second["previous_item_id"]) == (None, first["item"]["id"])
    assert len(listener.of("conversation.item.done")) == 2
    with pytest.raises(Refusal):
        talk.add_item({"item": None})


def test_every_event_has_an_id_of_its_own_but_a_pressed_key(talk: Conversation) -> None:
    listener = listening(talk)
    talk.emit({"type": "input_audio_buffer.dtmf_event_received", "event": "1"})
    talk.emit({"type": "session.updated", "session": {}})
    ids = [event.get("event_id") for event in listener.events if event is not None]
    assert ids[1] is None
    assert len(set(ids)) == 3


def test_a_refusal_is_told_to_its_client_alone(talk: Conversation) -> None:
    mine, other = listening(talk), listening(talk)
    talk.refuse(mine, call_gone(), "cmd_1")
    (error,) = mine.of("error")
    assert (error["error"]["code"], error["error"]["event_id"]) == ("call_id_not_found", "cmd_1")
    assert other.of("error") == []


def test_who_detached_hears_nothing_and_may_detach_twice(talk: Conversation) -> None:
    listener = listening(talk)
    listener.take()
    for _ in range(2):
        talk.detach(listener)
    talk.emit({"type": "session.updated", "session": {}})
    assert listener.events == []


def test_after_the_end_nothing_happens_any_more(world: World, talk: Conversation) -> None:
    listener, happened = listening(talk), list[str]()
    talk.later(1, lambda: happened.append("before"))
    talk.end("caller")
    talk.later(1, lambda: happened.append("after"))
    world.clock.advance(60)
    assert happened == []
    assert listener.events[-1] is None


def test_a_session_that_has_expired_says_so_before_it_closes(talk: Conversation) -> None:
    listener = listening(talk)
    talk.end("session_limit")
    *_, error, over = listener.events
    assert error is not None
    assert (error["error"]["code"], over) == ("session_expired", None)


@pytest.mark.parametrize(("starts", "seconds"), [("accepted", 1), ("attached", 11)])
def test_a_person_who_speaks_waits_for_a_listener_only_for_a_while(world: World, starts: str, seconds: float) -> None:
    talk = talking(world, Dialogue(("Hello.",), (Move.presses("1", when="anyway", after_seconds=0.5),), starts=starts))
    world.clock.advance(seconds - 1)
    assert world.log.of_kind("session.pressed", call_id=talk.call.call_id) == []
    world.clock.advance(1)
    assert [entry.kind for entry in world.log.entries if "press" in entry.kind or "key" in entry.kind]


def test_a_broken_socket_is_closed_and_the_call_goes_on(world: World, talk: Conversation) -> None:
    listener = listening(talk)
    talk.break_off()
    assert (listener.broken, listener.events[-1]) == (True, None)
    assert world.log.call(call_id=talk.call.call_id).open
