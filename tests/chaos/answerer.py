"""A worker that answers whatever rings, as a task does, until it is killed: answerer.py SWITCHBOARD OPENAI NAME."""

from __future__ import annotations

import os
import sys
import time

from airflow_openai_realtime.api.client import CallsClient
from airflow_openai_realtime.api.session.realtime_session import parse_session
from airflow_openai_realtime.api.settings import ApiSettings, endpoints_for
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.inbound.accepting import Acceptance
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls


def main(switchboard_url: str, openai_url: str, name: str) -> None:
    """Answer calls one by one; each lasts two seconds at most."""
    settings = ApiSettings(api_key=os.environ["OPENAI_API_KEY"], endpoints=endpoints_for(base_url=openai_url))
    body = parse_session(instructions="Answer briefly.").to_body()
    with CallsClient(settings) as calls, SwitchboardClient(switchboard_url, os.environ["TOKEN"]) as switchboard:
        print("ready", flush=True)
        while True:
            try:
                for call in switchboard.send(list_calls()).calls:
                    owner = f"{name}/{call.call_id}"
                    Acceptance(calls, switchboard, call.call_id, owner, lambda line: None).accept(body, 2.0)
            except OpenAIRealtimeError:
                time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
