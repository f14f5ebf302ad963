"""What waits for calls, as a triggerer does: waiting_side.py SWITCHBOARD OPENAI NAME AMOUNT MAX_DURATION_SECONDS."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.session.realtime_session import parse_session
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.calls.answer_plan import AnswerPlan
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.inbound.answering import Answering
from airflow_openai_realtime.inbound.feed import CallFeed
from airflow_openai_realtime.inbound.waiting import wait_for_call
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: The number that is waited for.
NUMBER = "+14155550100"


def say(line: str) -> None:
    """Print a line for the process that started this one."""
    print(line, flush=True)


async def answer(feed: CallFeed, calls: CallsClient, name: str, max_duration_seconds: float) -> None:
    """Answer one call after the other; after an error the same owner tries again, as a task that is retried does."""
    plan = AnswerPlan.of(parse_session(instructions="Answer briefly."), max_duration_seconds)
    for turn in itertools.count():
        owner = f"{name}/{turn}"
        taken = None
        while taken is None:
            claimer = Answering(plan, calls, feed.client, owner, say)
            try:
                waited = await wait_for_call(
                    feed, match=CallMatch(to=NUMBER), owner=owner, seconds=3600, report=say, claimer=claimer
                )
            except OpenAIRealtimeError as error:
                say(f"{owner}: {error!r}")
                await asyncio.sleep(0.1)
            else:
                taken = waited.call
        say(f"answered {taken.call_id} {owner}")


async def main(switchboard_url: str, openai_url: str, name: str, amount: int, max_duration_seconds: float) -> None:
    """Wait with so many at once, who share a feed."""
    settings = ApiSettings(api_key=os.environ["OPENAI_API_KEY"], endpoints=endpoints_for(base_url=openai_url))
    client = SwitchboardClient(switchboard_url, os.environ["TOKEN"], timeout_seconds=1.0)
    async with CallsClient(settings) as calls:
        feed = CallFeed(client)
        say("ready")
        names = [f"{name}-{number}" for number in range(amount)]
        await asyncio.gather(*(answer(feed, calls, each, max_duration_seconds) for each in names))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5])))
