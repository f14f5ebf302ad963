"""
OpenAI's phone calls, a carrier and phones on one machine, without a phone and without an API key.

For demos, for the tests of this package, and for authors of DAGs who want to see what their DAG does when a person
does not answer, hangs up, or never stops talking. Three ways to use it::

    python -m airflow_openai_realtime.simulator --port 8099 --webhook-url http://127.0.0.1:8080/openai-realtime/webhook

    with Simulator(webhook_url="http://127.0.0.1:8080/webhook") as simulator: ...

    def test_my_dag(realtime_simulator): ...        # a pytest fixture, available once the package is installed

and ``SimulatorControl("http://127.0.0.1:8099")`` for one that runs in another process.

**What it mirrors, and from which source**

* ``POST /v1/realtime/calls/{id}/accept | reject | refer | hangup``, ``GET /v1/models``, error bodies, state machine:
  https://developers.openai.com/api/reference/resources/realtime/subresources/calls and
  https://developers.openai.com/api/docs/guides/voice-sip. Answers to calls that are gone (404 ``call_id_not_found``):
  observed by users, 2025 and 2026.
* Webhooks, signed, retried, now and then doubled or late: https://developers.openai.com/api/docs/guides/webhooks.
* The sideband socket and the conversation behind it, by script: responses, tool calls, speech with its transcripts,
  interruption, keys, idle time-out, errors, the 60-minute limit, an end without a close frame. Commands and events:
  https://developers.openai.com/api/docs/guides/voice-server-controls, .../realtime-conversations, .../realtime-vad and
  https://developers.openai.com/api/reference/resources/realtime/server-events; every event is checked against the types
  of OpenAI's Python SDK. Seen by users, not documented, 2025 and 2026: 404 for a socket that comes too early,
  ``invalid_tool_call_id``, a hang-up that is noticed late, transcripts lost with the call, no reason for its end.
* A carrier with Twilio's REST manners: its account, placing, looking at, listing and ending calls, one new call a
  second, ring and talk limits, errors with Twilio's codes: https://www.twilio.com/docs/voice/api/call-resource. Of
  TwiML only ``<Response><Dial><Sip>``: https://www.twilio.com/docs/voice/twiml/sip.

**What it cannot prove**

* That a real call sounds right: no SIP, no RTP, no audio, no model. The words are scripted, token counts made up, usage
  of a cancelled response left out (unknown). A model calls other tools than a script, with other arguments.
* When things happen in a conversation: how long words, transcripts and tools take, in which order the events of one
  moment come, how MCP calls lie within a response, whether an interruption tells ``conversation.item.truncated`` (here
  it does not), which session errors end a call (here those that the script says). Of commands about input audio, and
  to retrieve, truncate or delete items, it takes note only.
* How long OpenAI lets a call ring (not published; ``ring_seconds`` is a guess), what it answers to a second *accept*
  (400 assumed), how fast it is, its rate limits, its webhook retry schedule beyond "exponential, up to 72 hours".
* That a session that passes here passes there: bodies are checked by this package's own models. OpenAI may know newer
  fields (refused here), or take a body with 200 and let the call die (``faults.dead_session()``).
* That a carrier lets a transfer through, and that what answers at ``referUrl`` is right: it is never asked. A call over
  ``<Dial>`` is transferred when the verb has a ``referUrl``, as Twilio documents it
  (https://www.twilio.com/docs/voice/api/refer-to-twilio); a call that came in always is. The target is that of *refer*.
* Which numbers a carrier lets you call from, status callbacks, ``Url`` instead of ``Twiml``, prices, real networks.

It listens on 127.0.0.1 only, its keys open nothing else, and it needs no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_openai_realtime.simulator.control import SimulatorControl
    from airflow_openai_realtime.simulator.dialogue import Dialogue, Reply, ToolCall
    from airflow_openai_realtime.simulator.faults import Fault
    from airflow_openai_realtime.simulator.log import CallRecord, LogEntry
    from airflow_openai_realtime.simulator.moves import Move
    from airflow_openai_realtime.simulator.phones import PhoneScript
    from airflow_openai_realtime.simulator.server import Simulator
    from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings

__all__ = [
    "Simulator",
    "SimulatorControl",
    "SimulatorSettings",
    "PhoneScript",
    "Dialogue",
    "Reply",
    "ToolCall",
    "Move",
    "Fault",
    "LogEntry",
    "CallRecord",
]

_HOMES = {
    "Simulator": "server",
    "SimulatorControl": "control",
    "SimulatorSettings": "simulator_settings",
    "PhoneScript": "phones",
    "Dialogue": "dialogue",
    "Reply": "dialogue",
    "ToolCall": "dialogue",
    "Move": "moves",
    "Fault": "faults",
    "LogEntry": "log",
    "CallRecord": "log",
}


def __getattr__(name: str) -> Any:
    # Late, because pytest loads this package in every run (the plugin), and a web server is a lot to load.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
