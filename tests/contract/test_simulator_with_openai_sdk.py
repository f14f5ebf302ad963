"""OpenAI's own SDK as a client of the simulator: what it takes for OpenAI is near enough."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from tests.unit.simulator.support import CALLER, PERSON, TARGET, Receiver
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from airflow_openai_realtime.simulator import PhoneScript, Simulator

pytestmark = [
    pytest.mark.realtime_simulator(speed=0, settle_seconds=30),
    # The SDK calls websockets 17 in a way that is going out of use.
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
]

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Be brief.",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}, "output": {"voice": "marin", "speed": 1.1}},
    "tools": [{"type": "function", "name": "end_call", "parameters": {"type": "object", "properties": {}}}],
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def sdk(realtime_simulator: Simulator) -> Iterator[OpenAI]:
    with OpenAI(
        api_key=realtime_simulator.api_key,
        base_url=realtime_simulator.openai_base_url,
        webhook_secret=realtime_simulator.webhook_secret,
        max_retries=0,
        timeout=30,
    ) as client:
        yield client


@pytest.fixture
async def async_sdk(realtime_simulator: Simulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        api_key=realtime_simulator.api_key,
        base_url=realtime_simulator.openai_base_url,
        max_retries=0,
        timeout=30,
    ) as client:
        yield client


@pytest.fixture
def call_id(realtime_simulator: Simulator) -> str:
    return realtime_simulator.call_in(PERSON, CALLER, script=PhoneScript.talks_for_ever())


def test_a_call_is_accepted_and_hung_up(realtime_simulator: Simulator, sdk: OpenAI, call_id: str) -> None:
    assert sdk.realtime.calls.accept(call_id, **SESSION) is None
    realtime_simulator.clock.advance(7)
    assert sdk.realtime.calls.hangup(call_id) is None
    (row,) = realtime_simulator.log.hangups()
    assert (row.fate, row.talked_seconds, row.open) == ("completed", 7, False)


def test_a_call_is_rejected(realtime_simulator: Simulator, sdk: OpenAI, call_id: str) -> None:
    sdk.realtime.calls.reject(call_id, status_code=486)
    row = realtime_simulator.log.call(call_id=call_id)
    assert (row.fate, row.sip_status) == ("rejected", 486)


def test_a_call_is_transferred(realtime_simulator: Simulator, sdk: OpenAI, call_id: str) -> None:
    sdk.realtime.calls.accept(call_id, **SESSION)
    sdk.realtime.calls.refer(call_id, target_uri=f"tel:{TARGET}")
    realtime_simulator.clock.advance(1)
    assert realtime_simulator.log.call(call_id=call_id).fate == "transferred"


async def test_the_async_client_does_the_same(
    realtime_simulator: Simulator, async_sdk: AsyncOpenAI, call_id: str
) -> None:
    calls = async_sdk.realtime.calls
    await calls.accept(call_id, **SESSION)
    await calls.refer(call_id, target_uri=f"tel:{TARGET}")
    await calls.hangup(call_id)
    rejected = realtime_simulator.call_in(PERSON, CALLER)
    await calls.reject(rejected)
    with pytest.raises(openai.NotFoundError):
        await calls.hangup(call_id)
    assert [row.ended_by for row in realtime_simulator.log.calls] == ["api_hangup", "api_reject"]


def test_models_are_listed(sdk: OpenAI) -> None:
    assert "gpt-realtime-2.1" in [model.id for model in sdk.models.list()]


@pytest.mark.parametrize("operation", ["accept", "reject", "refer", "hangup"])
def test_a_call_that_is_gone_is_not_found(sdk: OpenAI, operation: str) -> None:
    arguments = {"accept": SESSION, "refer": {"target_uri": f"tel:{TARGET}"}}.get(operation, {})
    with pytest.raises(openai.NotFoundError) as caught:
        getattr(sdk.realtime.calls, operation)("rtc_u1_gone", **arguments)
    assert (caught.value.code, caught.value.type) == ("call_id_not_found", "invalid_request_error")


def test_a_second_decision_is_a_bad_request(sdk: OpenAI, call_id: str) -> None:
    sdk.realtime.calls.accept(call_id, **SESSION)
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.realtime.calls.reject(call_id)
    assert caught.value.code == "decision_already_made"


def test_a_wrong_key_is_an_authentication_error(realtime_simulator: Simulator, sdk: OpenAI, call_id: str) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        sdk.with_options(api_key="sk-wrong").realtime.calls.accept(call_id, **SESSION)
    assert caught.value.code == "invalid_api_key"
    assert realtime_simulator.log.accepted() == []


def test_a_field_that_is_wrong_is_a_bad_request_that_names_it(sdk: OpenAI, call_id: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.realtime.calls.accept(call_id, type="realtime", audio={"output": {"speed": 9}})
    assert caught.value.param == "audio.output.speed"


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, openai.RateLimitError), (500, openai.InternalServerError), (503, openai.InternalServerError)],
)
def test_an_error_on_demand_has_its_class(
    realtime_simulator: Simulator, sdk: OpenAI, call_id: str, status: int, error: type[Exception]
) -> None:
    realtime_simulator.faults.status("accept", status)
    with pytest.raises(error):
        sdk.realtime.calls.accept(call_id, **SESSION)


def test_the_sdk_comes_back_after_the_time_it_was_told(
    realtime_simulator: Simulator, sdk: OpenAI, call_id: str
) -> None:
    realtime_simulator.faults.status("accept", 429, retry_after_seconds=0.01, times=2)
    sdk.with_options(max_retries=2).realtime.calls.accept(call_id, **SESSION)
    assert len(realtime_simulator.log.accepted()) == 1


def test_a_broken_connection_and_a_time_out_have_their_classes(
    realtime_simulator: Simulator, sdk: OpenAI, call_id: str
) -> None:
    realtime_simulator.faults.reset("accept")
    with pytest.raises(openai.APIConnectionError):
        sdk.realtime.calls.accept(call_id, **SESSION)
    realtime_simulator.faults.time_out("accept")
    with pytest.raises(openai.APITimeoutError):
        sdk.with_options(timeout=httpx.Timeout(30, read=0.2)).realtime.calls.accept(call_id, **SESSION)


def test_a_delivered_webhook_unwraps(realtime_simulator: Simulator, sdk: OpenAI, receiver: Receiver) -> None:
    realtime_simulator.webhooks.add(receiver.url)
    call_id = realtime_simulator.call_in(PERSON, CALLER, {"X-Order": "7"})
    realtime_simulator.clock.advance(0)
    (taken,) = receiver.taken
    event = sdk.webhooks.unwrap(taken.body, taken.headers)
    assert event.type == "realtime.call.incoming"
    assert event.data.call_id == call_id
    assert ("X-Order", "7") in [(header.name, header.value) for header in event.data.sip_headers]


def test_a_forged_webhook_does_not_unwrap(realtime_simulator: Simulator, sdk: OpenAI, receiver: Receiver) -> None:
    realtime_simulator.webhooks.add(receiver.url)
    realtime_simulator.faults.forged_webhook()
    realtime_simulator.call_in(PERSON, CALLER)
    realtime_simulator.clock.advance(0)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        sdk.webhooks.unwrap(receiver.taken[0].body, receiver.taken[0].headers)


def test_the_sideband_speaks_and_ends_with_the_call(realtime_simulator: Simulator, sdk: OpenAI, call_id: str) -> None:
    sdk.realtime.calls.accept(call_id, **SESSION)
    with sdk.realtime.connect(call_id=call_id) as connection:
        created = connection.recv()
        assert created.type == "session.created"
        assert created.session.instructions == "Be brief."
        connection.response.create(response={"instructions": "Say hello."})
        assert connection.recv().type == "response.created"
        realtime_simulator.clock.advance(10)
        usage = None
        while (event := connection.recv()).type != "output_audio_buffer.stopped":
            if event.type == "response.done":
                usage = event.response.usage
        assert usage is not None
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        sdk.realtime.calls.hangup(call_id)
        with pytest.raises(ConnectionClosedError):
            connection.recv()


async def test_the_async_sideband_tells_of_an_update_without_a_type(async_sdk: AsyncOpenAI, call_id: str) -> None:
    await async_sdk.realtime.calls.accept(call_id, **SESSION)
    async with async_sdk.realtime.connect(call_id=call_id) as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(session={"instructions": "x"})  # type: ignore[typeddict-item]
        event = await connection.recv()
        assert event.type == "error"
        assert event.error.message == "Missing required parameter: 'session.type'."


def test_a_sideband_before_the_accept_is_refused(sdk: OpenAI, call_id: str) -> None:
    with pytest.raises(InvalidStatus) as caught, sdk.realtime.connect(call_id=call_id):
        pass
    assert caught.value.response.status_code == 404


def test_every_event_of_the_sideband_is_one_that_the_sdk_knows(
    realtime_simulator: Simulator, sdk: OpenAI, call_id: str
) -> None:
    """Strictly: pydantic validates, which the SDK itself does not do on the wire."""
    known = TypeAdapter(RealtimeServerEvent)
    sdk.realtime.calls.accept(call_id, **SESSION)
    seen: set[str] = set()
    with sdk.realtime.connect(call_id=call_id) as connection:
        connection.response.create()
        connection.send({"type": "dance"})  # type: ignore[typeddict-item]
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        )
        connection.session.update(session={"type": "realtime", "instructions": "Be long."})
        connection.output_audio_buffer.clear()
        assert realtime_simulator.wait_for(lambda: len(realtime_simulator.log.of_kind("sideband.command")) == 5)
        realtime_simulator.clock.advance(10)
        connection.response.create()
        connection.response.cancel()
        connection.response.create()
        assert realtime_simulator.wait_for(lambda: len(realtime_simulator.log.of_kind("sideband.command")) == 8)
        realtime_simulator.clock.advance(0.5)
        connection.output_audio_buffer.clear()
        while "output_audio_buffer.cleared" not in seen:
            event = json.loads(connection.recv_bytes())
            known.validate_python(event)
            seen.add(event["type"])
    assert seen >= {
        "session.created",
        "session.updated",
        "error",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "conversation.item.done",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_audio.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
    }
