"""The session's side of the sideband, without sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.simulator.support import CALLER, PERSON, SESSION

from airflow_openai_realtime.simulator import Dialogue, PhoneScript
from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.sideband import Attachment
from airflow_openai_realtime.simulator.world import World


class Client(Attachment):
    """An attached client that only remembers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any] | None] = []

    def put(self, event: dict[str, Any] | None) -> None:
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event["type"] if event else "over" for event in self.events]

    def take(self) -> list[str]:
        """Types of the events since the last time."""
        types = self.types
        self.events.clear()
        return types


@pytest.fixture
def call(world: World) -> SimulatedCall:
    script = PhoneScript.talks_for_ever(dialogue=Dialogue(("Hello there.", "Good bye.")))
    call_id = world.call_in(PERSON, CALLER, script=script)
    world.calls.accept(call_id, {**SESSION, "instructions": "Be kind.", "audio": {"output": {"voice": "cedar"}}})
    call = world.calls.find(call_id)
    assert call is not None
    return call


@pytest.fixture
def client(world: World, call: SimulatedCall) -> Client:
    client = Client()
    world.sidebands.attach(call, client)
    return client


def send(world: World, call: SimulatedCall, client: Client, **command: Any) -> None:
    world.sidebands.receive(call, client, json.dumps(command))


def error_of(client: Client) -> tuple[str, str | None]:
    event = client.events[-1]
    assert event is not None
    assert event["type"] == "error"
    return event["error"]["code"], event["error"]["param"]


def test_the_session_is_told_first(client: Client) -> None:
    (event,) = client.events
    assert event is not None
    assert event["type"] == "session.created"
    assert event["event_id"].startswith("event_")
    session = event["session"]
    assert (session["type"], session["instructions"], session["audio"]["output"]["voice"]) == (
        "realtime",
        "Be kind.",
        "cedar",
    )


def test_a_response_is_spoken_and_counted_and_played_to_its_end(
    world: World, call: SimulatedCall, client: Client
) -> None:
    client.take()
    send(world, call, client, type="response.create", response={"metadata": {"topic": "hi"}})
    assert client.types == ["response.created"]
    world.clock.advance(0.5)
    events = {event["type"]: event for event in client.events if event}
    assert client.types[-1] == "response.done"
    response = events["response.done"]["response"]
    assert (response["status"], response["metadata"]) == ("completed", {"topic": "hi"})
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert events["response.output_audio_transcript.done"]["transcript"] == "Hello there."
    assert "output_audio_buffer.started" in client.types
    world.clock.advance(5)
    assert client.types[-1] == "output_audio_buffer.stopped"


def test_replies_come_in_order_and_the_last_again(world: World, call: SimulatedCall, client: Client) -> None:
    said = []
    for _ in range(3):
        client.take()
        send(world, call, client, type="response.create")
        world.clock.advance(5)
        said += [e["transcript"] for e in client.events if e and e["type"] == "response.output_audio_transcript.done"]
    assert said == ["Hello there.", "Good bye.", "Good bye."]


def test_one_response_at_a_time(world: World, call: SimulatedCall, client: Client) -> None:
    for _ in range(2):
        send(world, call, client, type="response.create")
    assert error_of(client) == ("conversation_already_has_active_response", None)


def test_a_response_can_be_cancelled(world: World, call: SimulatedCall, client: Client) -> None:
    send(world, call, client, type="response.create")
    send(world, call, client, type="response.cancel")
    done = client.events[-1]
    assert done is not None
    assert (done["response"]["status"], done["response"]["status_details"]["reason"]) == (
        "cancelled",
        "client_cancelled",
    )
    client.take()
    world.clock.advance(10)
    assert client.take() == []
    send(world, call, client, type="response.cancel")
    assert error_of(client) == ("response_cancel_not_active", None)


def test_audio_that_plays_can_be_cleared(world: World, call: SimulatedCall, client: Client) -> None:
    send(world, call, client, type="response.create")
    world.clock.advance(0.5)
    client.take()
    send(world, call, client, type="output_audio_buffer.clear")
    world.clock.advance(10)
    assert client.take() == ["output_audio_buffer.cleared"]


def test_a_session_can_be_changed(world: World, call: SimulatedCall, client: Client) -> None:
    send(world, call, client, type="session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.2}}})
    event = client.events[-1]
    assert event is not None
    assert event["type"] == "session.updated"
    assert event["session"]["audio"]["output"] == {"voice": "cedar", "speed": 1.2}


def test_a_change_without_its_type_is_an_error_and_loses_the_next_transfer(
    world: World, call: SimulatedCall, client: Client
) -> None:
    send(world, call, client, type="session.update", session={"instructions": "x"}, event_id="mine")
    assert error_of(client) == ("missing_required_parameter", "session.type")
    assert client.events[-1]["error"]["message"] == "Missing required parameter: 'session.type'."
    assert client.events[-1]["error"]["event_id"] == "mine"
    world.calls.refer(call.call_id, "tel:+14155550199")
    world.clock.advance(5)
    assert call.state == "accepted"


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[]", "missing_required_parameter", "type"),
        ('{"type": "dance"}', "invalid_value", "type"),
        ('{"type": "session.update"}', "missing_required_parameter", "session"),
        ('{"type": "conversation.item.create"}', "missing_required_parameter", "item"),
    ],
)
def test_a_command_that_cannot_be_is_answered_with_an_error(
    world: World, call: SimulatedCall, client: Client, text: str, code: str, param: str | None
) -> None:
    world.sidebands.receive(call, client, text)
    assert error_of(client) == (code, param)


def test_an_error_goes_to_the_one_who_made_it_and_the_rest_to_all(
    world: World, call: SimulatedCall, client: Client
) -> None:
    other = Client()
    world.sidebands.attach(call, other)
    client.take()
    send(world, call, client, type="dance")
    send(world, call, client, type="conversation.item.create", item={"type": "message", "role": "user", "content": []})
    assert other.take() == ["session.created", "conversation.item.added", "conversation.item.done"]
    assert client.take() == ["error", "conversation.item.added", "conversation.item.done"]


def test_commands_about_audio_in_are_taken_in_silence(world: World, call: SimulatedCall, client: Client) -> None:
    client.take()
    send(world, call, client, type="input_audio_buffer.append", audio="AAAA")
    assert client.take() == []


def test_the_end_of_the_call_is_the_end_of_the_session(world: World, call: SimulatedCall, client: Client) -> None:
    send(world, call, client, type="response.create")
    client.take()
    world.calls.hang_up(call.call_id)
    world.clock.advance(10)
    assert client.take() == ["over"]


def test_a_session_that_hits_its_limit_says_so_before_it_ends(
    world: World, call: SimulatedCall, client: Client
) -> None:
    client.take()
    world.clock.advance(3600)
    assert client.types == ["error", "over"]
    client.events.pop()
    assert error_of(client) == ("session_expired", None)


def test_who_detached_hears_no_more(world: World, call: SimulatedCall, client: Client) -> None:
    world.sidebands.detach(call, client)
    client.take()
    world.calls.hang_up(call.call_id)
    assert client.take() == []


def test_a_call_that_is_over_cannot_be_attached(world: World, call: SimulatedCall) -> None:
    world.calls.hang_up(call.call_id)
    late = Client()
    assert not world.sidebands.attach(call, late)
    assert late.take() == []
