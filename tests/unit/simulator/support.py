"""What the simulator's tests share: TwiML, clients, and a receiver of webhooks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from airflow_openai_realtime.simulator import Simulator

PERSON = "+14155550123"
CALLER = "+14155550100"
TARGET = "+14155550199"
SESSION = {"type": "realtime", "model": "gpt-realtime-2.1"}


def twiml(
    *,
    project: str = "proj_simulator",
    host: str = "sip.api.openai.com",
    params: str = ";transport=tls",
    headers: str = "X-Correlation-Id=abc",
    attributes: str = 'answerOnBridge="true"',
) -> str:
    """TwiML that bridges to OpenAI, with what a test wants to be different."""
    query = f"?{headers}" if headers else ""
    return f"<Response><Dial {attributes}><Sip>sip:{project}@{host}{params}{query}</Sip></Dial></Response>"


@dataclass(frozen=True)
class Taken:
    """A delivery that arrived."""

    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Takes webhooks on a port of its own; answers with ``answers`` in order, then 200."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.answers: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.taken.append(Taken(dict(self.headers.items()), body))
                outer.hold.wait(60)
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhook"

    def close(self) -> None:
        """Take no more."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Phone:
    """A bare HTTP client of a simulator, for both services."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.openai = httpx.Client(
            base_url=simulator.openai_base_url,
            headers={"authorization": f"Bearer {simulator.api_key}"},
            trust_env=False,
            timeout=30,
        )
        self.carrier = httpx.Client(
            base_url=f"{simulator.twilio_base_url}/2010-04-01/Accounts/{simulator.account_sid}",
            auth=(simulator.account_sid, simulator.auth_token),
            trust_env=False,
            timeout=30,
        )

    def close(self) -> None:
        self.openai.close()
        self.carrier.close()

    def decide(self, call_id: str, operation: str, body: Any = None) -> httpx.Response:
        """Accept, reject, refer or hang up."""
        return self.openai.post(f"/realtime/calls/{call_id}/{operation}", json=body)

    def accept(self, call_id: str) -> httpx.Response:
        return self.decide(call_id, "accept", SESSION)

    def place(self, to: str = PERSON, **form: str) -> httpx.Response:
        """Place a call."""
        return self.carrier.post("/Calls.json", data={"To": to, "From": CALLER, "Twiml": twiml(), **form})
