"""
``python -m airflow_openai_realtime.simulator``: the simulator as a program.

It prints what to put into the Airflow connections, one line when it listens, then a line for each thing that happens.
SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.log import LogEntry
from airflow_openai_realtime.simulator.narrator import tell
from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.simulator.simulator_settings import NEVER_EMPTY

#: Address of the switchboard when no webhook address tells it: mounted in an Airflow on this machine.
_LOCAL_SWITCHBOARD = "http://localhost:8080/openai-realtime"
#: Where Twilio would ask about a transfer. The simulator only wants it to be there; nothing is sent to it.
_REFER_URL = "https://example.com/refer"

_SETTINGS = (*NEVER_EMPTY, "caller_number", "ring_seconds", "calls_per_second", "speed")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run until a signal comes.

    :param arguments: Command line without the program's name; None: that of this process.
    :return: Exit status: 0 after a signal, 2 when it cannot start.
    """
    options = _parser().parse_args(arguments)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        simulator = _simulator(options)
        if not options.quiet:
            simulator.log.listen(_print)
        simulator.start()
    except (InvalidInput, OSError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = f"port {options.port} is taken; give another with --port" if taken else str(error)
        print(f"simulator: cannot start: {why}", file=sys.stderr)
        return 2
    try:
        print(_connections(simulator, options.webhook_url))
        print(f"simulator: listening on {simulator.url}", flush=True)
        stopping.wait()
    finally:
        simulator.stop()
    print("simulator: stopped", flush=True)
    return 0


def _print(entry: LogEntry) -> None:
    # The reader of the output may be gone; calls must go on and end nevertheless.
    with contextlib.suppress(OSError, ValueError):
        print(tell(entry), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_openai_realtime.simulator",
        description="OpenAI's call endpoints, a carrier and phones on 127.0.0.1, for demos and tests.",
    )
    parser.add_argument("--port", type=int, default=8099, help="port to listen on; 0 takes a free one (8099)")
    parser.add_argument(
        "--webhook-url", action="append", default=[], help="where to send webhooks; may be given several times"
    )
    parser.add_argument("--webhook-secret", help="signs the webhooks: whsec_ and base64")
    parser.add_argument("--api-key", help="the key that the OpenAI side takes")
    parser.add_argument("--account-sid", help="the carrier's account")
    parser.add_argument("--auth-token", help="token of that account")
    parser.add_argument("--api-key-sid", help="an API key of that account, SK…")
    parser.add_argument("--api-key-secret", help="secret of that key")
    parser.add_argument("--project-id", help="OpenAI project that SIP calls are addressed to")
    parser.add_argument("--sip-host", help="SIP host that calls are addressed to")
    parser.add_argument("--caller-number", help="number that the carrier calls from, as printed")
    parser.add_argument("--ring-seconds", type=float, help="how long a call rings at OpenAI")
    parser.add_argument("--calls-per-second", type=float, help="the carrier's pace; 0: no limit")
    parser.add_argument("--speed", type=float, help="simulated seconds per real second")
    parser.add_argument(
        "--phones", type=Path, help='JSON file of scripts by number: {"+14155550123": [{"reaction": "busy"}]}'
    )
    parser.add_argument("--quiet", action="store_true", help="do not tell what happens")
    return parser


def _simulator(options: argparse.Namespace) -> Simulator:
    settings: dict[str, Any] = {
        name: getattr(options, name) for name in _SETTINGS if getattr(options, name) is not None
    }
    if settings.get("calls_per_second") == 0:
        settings["calls_per_second"] = None
    simulator = Simulator(port=options.port, **settings)
    for url in options.webhook_url:
        simulator.webhooks.add(url)
    for number, scripts in _scripts(options.phones).items():
        simulator.phones.add(number, *scripts)
    return simulator


def _scripts(path: Path | None) -> dict[str, list[PhoneScript]]:
    if path is None:
        return {}
    try:
        scripts = json.loads(path.read_text(encoding="utf-8"))
        return {number: [PhoneScript.from_dict(each) for each in queue] for number, queue in scripts.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput(
            f"{path} is no file of phone scripts: {error}; it holds one JSON object, lists of scripts by number",
            field="phones",
        ) from error


def _switchboard_url(webhook_urls: Sequence[str]) -> str | None:
    """The address of the switchboard, when one of its webhooks is among these: what stands before ``/webhook``."""
    ours = (url.removesuffix("/webhook") for url in webhook_urls if url.endswith("/webhook"))
    return next(ours, None)


def _connections(simulator: Simulator, webhook_urls: Sequence[str]) -> str:
    """What to put into Airflow's environment; the keys open nothing but this simulator."""
    switchboard_url = _switchboard_url(webhook_urls)
    guessed = f"switchboard_url must be the switchboard's address; {_LOCAL_SWITCHBOARD} is only a guess."
    realtime = {
        "conn_type": "openai_realtime",
        "host": simulator.openai_base_url,
        "password": simulator.api_key,
        "extra": {
            "webhook_secret": simulator.webhook_secret,
            "switchboard_url": switchboard_url or _LOCAL_SWITCHBOARD,
        },
    }
    carrier = {
        "conn_type": "telephony_carrier",
        "host": simulator.twilio_base_url,
        "login": simulator.account_sid,
        "password": simulator.auth_token,
        "extra": {
            "carrier": "twilio",
            "caller_number": simulator.caller_number,
            "openai_project_id": simulator.project_id,
            "openai_sip_host": simulator.sip_host,
            "refer_url": _REFER_URL,
        },
    }
    return "\n".join(
        (
            "For Airflow's environment:",
            f"AIRFLOW_CONN_OPENAI_REALTIME_DEFAULT='{json.dumps(realtime)}'",
            f"AIRFLOW_CONN_TELEPHONY_CARRIER_DEFAULT='{json.dumps(carrier)}'",
            *(() if switchboard_url else (guessed,)),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
