from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow_world import CALLER, World, context, run_task, until
from whole_calls import SCHEMA, Survey, completed, deferred, satisfied, whole

from airflow_openai_realtime.exceptions import CallError, InvalidInput, UnknownCall
from airflow_openai_realtime.operators.accept import AcceptCallOperator
from airflow_openai_realtime.operators.hang_up import HangupCallOperator
from airflow_openai_realtime.operators.watch import WatchCallOperator
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.triggers import pacing

FOR_EVER = PhoneScript.talks_for_ever()


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "SETTLE_SECONDS", 0.0)


def accept(world: World, *, seconds: float = 600, script: PhoneScript = FOR_EVER) -> dict[str, Any]:
    call_id = world.ring(script=script)
    call: dict[str, Any] = run_task(AcceptCallOperator(task_id="accept", call=call_id, max_duration_seconds=seconds))
    return call


def watching(**kwargs: Any) -> WatchCallOperator:
    return WatchCallOperator(task_id="watch", **kwargs)


@pytest.mark.parametrize("clean", [True, False])
async def test_the_result_says_what_became_of_the_call(world: World, clean: bool) -> None:
    world.simulator.reset(clean_sideband_close=clean)
    world.simulator.webhooks.add(f"{world.url}/webhook")
    call = await asyncio.to_thread(accept, world)
    watch = asyncio.create_task(whole(watching(call=call)))
    await until(world, world.attachments)
    world.simulator.phones.hang_up(CALLER)
    result = await watch
    assert (result["call_id"], result["outcome"]) == (call["call_id"], "caller_hung_up")
    assert result["ended_at"] >= result["accepted_at"]
    assert json.loads(json.dumps(result)) == result
    assert CALLER not in json.dumps(result)


async def test_by_itself_it_only_listens(world: World) -> None:
    call = await asyncio.to_thread(accept, world)
    watch = asyncio.create_task(whole(watching(call=call)))
    await until(world, world.attachments)
    world.simulator.phones.hang_up(CALLER)
    await watch
    assert world.count("session.updated") == 0


async def test_told_to_it_steers_a_call_that_somebody_else_accepted(world: World) -> None:
    call = await asyncio.to_thread(accept, world, script=satisfied())
    result = await whole(watching(call=call, greeting="Ask how it was.", end_call=True, result_model=SCHEMA))
    assert (result["outcome"], result["result"], result["result_valid"]) == ("completed", {"score": 5}, True)
    assert not world.is_open(call["call_id"])


async def test_a_session_that_was_dead_from_the_start_is_gone(world: World) -> None:
    world.simulator.faults.dead_session()
    call = await asyncio.to_thread(accept, world)
    assert (await whole(watching(call=call)))["outcome"] == "gone"


async def test_a_caller_who_leaves_between_the_accept_and_the_attaching_is_no_failure(world: World) -> None:
    call = await asyncio.to_thread(accept, world)
    world.simulator.phones.hang_up(CALLER)
    assert await asyncio.to_thread(world.simulator.wait_for, lambda: not world.is_open(call["call_id"]))
    assert (await whole(watching(call=call)))["outcome"] == "gone"


def test_a_call_that_is_over_needs_no_waiting(world: World) -> None:
    call = accept(world)
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    result = run_task(watching(call=call))
    assert (result["outcome"], result["reason"]) == ("completed", "hung_up")


async def test_a_retried_task_returns_the_result_that_is_kept(world: World) -> None:
    call = await asyncio.to_thread(accept, world, script=satisfied())
    given = {"call": call, "greeting": "Ask how it was.", "end_call": True, "result_model": SCHEMA}
    first = await whole(watching(**given))
    assert await asyncio.to_thread(run_task, watching(**given)) == first
    assert world.record(call["call_id"]).accepted == 1


def test_a_call_that_was_not_accepted_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="not accepted"):
        run_task(watching(call=world.ring()))


def test_a_call_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(UnknownCall):
        run_task(watching(call_id="rtc_nobody"))


def test_the_deferral_lasts_a_little_longer_than_the_call(world: World) -> None:
    deferral = deferred(watching(call=accept(world, seconds=100)))
    assert timedelta(seconds=240) < deferral.timeout <= timedelta(seconds=280)


@pytest.mark.parametrize("event", [None, {}, {"status": "error", "message": "it broke"}])
def test_a_trigger_without_a_result_fails_the_task(event: dict[str, Any] | None) -> None:
    with pytest.raises(CallError):
        run_task(watching(call="rtc_1"), None, "execute_complete", event=event)


# -- the transcript, the assets, the link ------------------------------------------------------------------------


async def test_the_transcript_is_written_where_it_is_wanted(world: World, tmp_path: Any) -> None:
    call = await asyncio.to_thread(accept, world, script=satisfied())
    folder = f"file://{tmp_path}/calls/"
    given = {"greeting": "Hi.", "end_call": True, "result_model": SCHEMA, "transcript_path": folder}
    result = await whole(watching(call=call, **given))
    assert result["transcript_path"] == f"{folder}{call['call_id']}.json"
    written = json.loads((tmp_path / "calls" / f"{call['call_id']}.json").read_text())
    assert "Bye." in [row.get("text") for row in written["transcript"]]
    again = await asyncio.to_thread(run_task, watching(call=call, transcript_path=f"file://{tmp_path}/call.txt"))
    assert again["transcript_path"] == f"file://{tmp_path}/call.txt"
    assert "Agent: Bye." in (tmp_path / "call.txt").read_text()


def test_the_asset_s_event_says_which_call_and_how_it_ended_and_nothing_personal(world: World) -> None:
    from airflow.sdk.execution_time.context import OutletEventAccessors

    call = accept(world)
    run_task(HangupCallOperator(task_id="hang_up", call=call))
    calls = Asset("calls")
    given = {**context(), "outlet_events": OutletEventAccessors()}
    run_task(watching(call=call, outlets=[calls]), given)
    assert given["outlet_events"][calls].extra == {
        "call_id": call["call_id"],
        "line": "openai_realtime_default",
        "outcome": "completed",
    }


def test_the_task_links_to_its_call_on_the_calls_page(world: World) -> None:
    call = accept(world)
    watch = watching(call=call)
    (link,) = watch.operator_extra_links
    assert link.get_link(watch, ti_key=None) == ""
    deferred(watch)
    assert link.get_link(watch, ti_key=None).endswith(f"openai_realtime_default/{call['call_id']}")


# -- wrong values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"silence_seconds": 0}, "silence_seconds"),
        ({"transcript_path": "s3://bucket/call.doc"}, "transcript_path must end with"),
        ({"transfer_to": {"desk": "555"}}, "transfer_to.desk"),
        ({"functions": [lambda: None]}, "cannot be imported by the triggerer"),
        ({"result_model": {"type": "array"}}, "result_model"),
        ({"result_model": int}, "not a pydantic class"),
        ({"prices": {"gpt-realtime-2.1": {"audio": 1}}}, "prices.gpt-realtime-2.1.audio"),
        ({"greeting": 7}, "greeting must be a text"),
    ],
)
def test_what_no_rendering_can_mend_is_refused_when_the_dag_is_parsed(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        watching(call="rtc_1", **given)


def test_a_function_that_does_not_exist_is_told_in_the_task(world: World) -> None:
    call = accept(world)
    with pytest.raises(InvalidInput, match="cannot be imported"):
        run_task(watching(call=call, functions=["shop.nowhere.book"]))


def test_the_dag_is_the_same_each_time_it_is_parsed_and_can_be_stored() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    def stored() -> str:
        with DAG("d", schedule=None) as dag:
            watching(call="rtc_1", result_model=Survey, functions=["whole_calls.satisfied"], end_call=True)
        return json.dumps(DagSerialization.to_dict(dag), sort_keys=True)

    assert stored() == stored()


async def test_a_pydantic_class_checks_the_result(world: World) -> None:
    call = await asyncio.to_thread(accept, world, script=satisfied())
    with DAG("d", schedule=None):
        operator = watching(call=call, greeting="{{ hi }}", result_model=Survey, end_call=True)
    operator.render_template_fields({"hi": "Hi."})  # type: ignore[typeddict-unknown-key]
    deferral = await asyncio.to_thread(deferred, operator)
    result = await completed(watching(call=call), deferral)
    assert (result["result"], result["result_valid"]) == ({"score": 5}, True)
