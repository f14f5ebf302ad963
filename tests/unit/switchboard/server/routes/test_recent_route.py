"""Recent calls over the private API, by the real client, in this process."""

from __future__ import annotations

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, SECRET, Switchboard

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.switchboard.client.conversation_requests import list_recent_calls, open_conversation
from airflow_openai_realtime.switchboard.client.switchboard_requests import report_ended

HEADERS = {"Authorization": f"Bearer {derived_token(SECRET)}"}


async def test_recent_calls_come_with_their_conversations(switchboard: Switchboard) -> None:
    for number in range(3):
        await switchboard.deliver(number)
    async with switchboard.client() as client:
        await client.asend(open_conversation("rtc_1", "dag/run/task/-1"))
        await client.asend(report_ended("rtc_0", "hung_up"))
        await client.asend(report_ended("rtc_1", "ended"))
        page = await client.asend(list_recent_calls(limit=1))
        assert [(each.call.call_id, each.call.state) for each in page.calls] == [
            ("rtc_2", "ringing"),
            ("rtc_1", "ended"),
        ]
        assert page.calls[1].conversation is not None
        assert page.calls[1].conversation.holder == "dag/run/task/-1"
        older = await client.asend(list_recent_calls(before=page.next, limit=1))
        assert [each.call.call_id for each in older.calls] == ["rtc_0"]
        assert older.next is None
        with pytest.raises(InvalidInput, match="limit"):
            await client.asend(list_recent_calls(limit=0))


async def test_a_wrong_cursor_is_refused(switchboard: Switchboard) -> None:
    assert await switchboard.refusal("GET", "/v1/recent?before=x")
    assert await switchboard.refusal("GET", "/v1/recent?limit=501")


async def test_one_call_comes_with_its_conversation_and_its_attempt(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    answer = await switchboard.http.get("/v1/recent/rtc_1", headers=HEADERS)
    recent = answer.json()["recent"]
    assert (recent["call"]["call_id"], recent["conversation"], recent["attempt"]) == ("rtc_1", None, None)
    async with switchboard.client() as client:
        await client.asend(open_conversation("rtc_1", "dag/run/task/-1"))
    answer = await switchboard.http.get("/v1/recent/rtc_1", headers=HEADERS)
    assert answer.json()["recent"]["conversation"]["holder"] == "dag/run/task/-1"


async def test_a_call_of_another_line_is_not_there(switchboard: Switchboard) -> None:
    await switchboard.deliver(1)
    sales = {"Authorization": f"Bearer {derived_token(OTHER_SECRET)}", "OpenAI-Realtime-Line": "sales"}
    answer = await switchboard.http.get("/v1/recent/rtc_1", headers=sales)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_call")
    assert (await switchboard.http.get("/v1/recent", headers=sales)).json()["calls"] == []
