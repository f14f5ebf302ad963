"""What is made of answers about the progress of conversations; the route's tests show what comes of it."""

from __future__ import annotations

import httpx
import pytest

from airflow_openai_realtime.calls.saved_conversation import Progress
from airflow_openai_realtime.exceptions import SwitchboardRefused
from airflow_openai_realtime.switchboard.client.progress_requests import save_progress
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


def answering(*answers: httpx.Response) -> tuple[SwitchboardClient, None]:
    left = iter(answers)
    return SwitchboardClient("http://sb", "t", transport=httpx.MockTransport(lambda _: next(left))), None


@pytest.mark.parametrize("told", [{}, {"conversations": []}, {"conversations": [{"call_id": "rtc_1"}]}])
def test_an_answer_that_says_nothing_of_the_progress_is_refused(told: dict[str, object]) -> None:
    client, _ = answering(httpx.Response(200, json=told))
    with client, pytest.raises(SwitchboardRefused):
        client.send(save_progress("p1", [Progress("rtc_1", 1)]))
