from __future__ import annotations

from airflow_world import World

from airflow_openai_realtime.conversation.run.finished_call import finished_call
from airflow_openai_realtime.switchboard.client.conversation_requests import (
    finish_conversation,
    get_conversation,
    open_conversation,
)
from airflow_openai_realtime.switchboard.client.switchboard_requests import (
    announce_accept,
    get_call,
    report_accepted,
    report_ended,
)


def test_the_result_is_written_once_and_stays(world: World) -> None:
    with world.client() as client:
        call_id = world.ring()
        client.send(announce_accept(call_id, "me", 60))
        client.send(report_accepted(call_id, "me"))
        client.send(report_ended(call_id, "hung_up"))
        row = client.send(get_call(call_id))
        first = finished_call(client, row, "me")
        kept = client.send(get_conversation(call_id))
        assert kept is not None
        assert kept.result == first.result
        assert finished_call(client, row, "another").result == first.result


def test_a_result_that_is_just_being_written_is_waited_for(world: World) -> None:
    with world.client() as client:
        call_id = world.ring()
        client.send(announce_accept(call_id, "me", 60))
        client.send(report_accepted(call_id, "me"))
        opened = client.send(open_conversation(call_id, "me"))
        row = client.send(report_ended(call_id, "completed"))

        def written(_: float) -> None:
            client.send(finish_conversation(call_id, opened.generation, "completed", {"call_id": call_id, "by": "me"}))

        assert finished_call(client, row, "another", sleep=written).result["by"] == "me"
