"""``python -m airflow_openai_realtime.switchboard``: the switchboard as a service of its own."""

from __future__ import annotations

import argparse
import os
import sys

from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.switchboard import configuration
from airflow_openai_realtime.switchboard.settings import CONFIGURABLE, SwitchboardSettings

_ABOUT = """\
serve   takes OpenAI's webhooks, keeps calls, and hangs up those that go on too long
doctor  checks settings, store, clock, secrets, key and token, and delivers test events to a switchboard that serves

One line from the environment: OPENAI_API_KEY, OPENAI_WEBHOOK_SECRET (two while it is being replaced, separated by a
blank), OPENAI_REALTIME_TOKEN (else derived from the webhook secret), OPENAI_REALTIME_BASE_URL or
OPENAI_REALTIME_REGION, OPENAI_REALTIME_LINE (its name). Several lines from a file: --config.
Only POST /webhook needs to be reachable from the internet, over TLS, through a reverse proxy.
"""
_DEFAULTS = SwitchboardSettings()


def main() -> int:
    """Read the arguments, and serve or examine."""
    arguments = _parser().parse_args()
    given = {
        configuration.STORE_URL: arguments.store_url,
        configuration.CONFIG: arguments.config,
        **{configuration.variable_of(name): getattr(arguments, name) for name in CONFIGURABLE},
    }
    # Worker processes read the environment; it does not show in a list of processes, as arguments do.
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    if arguments.command == "doctor":
        return _examine(arguments)
    return _serve(arguments)


def _examine(arguments: argparse.Namespace) -> int:
    """Print a line for each check; 1 when anything is wrong."""
    from airflow_openai_realtime.switchboard.doctor import examine

    all_ok = True
    for finding in examine(os.environ, arguments.url, arguments.webhook_url):
        print(finding, flush=True)
        all_ok = all_ok and finding.is_ok
    return 0 if all_ok else 1


def _serve(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, and serve."""
    from airflow_openai_realtime.switchboard.serve import serve
    from airflow_openai_realtime.switchboard.store import Store

    try:
        configuration.configured_lines(os.environ)
        configuration.configured_settings(os.environ)
        store = Store(configuration.configured_store_url(os.environ))
        store.prepare()
        store.close()
    except OpenAIRealtimeError as error:
        print(f"switchboard: {error}", file=sys.stderr)
        return 2
    return serve(arguments.host, arguments.port, arguments.workers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_openai_realtime.switchboard",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=["serve", "doctor"], default="serve", help="default: serve")
    parser.add_argument("--store-url", help=f"database URL (default {configuration.DEFAULT_STORE_URL})")
    parser.add_argument("--config", help="JSON file with lines")
    serve = parser.add_argument_group("serve")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=int, default=8090, help="port, 0 for any free one (default %(default)s)")
    serve.add_argument("--workers", type=int, default=1, help="number of processes (default %(default)s)")
    for name, about in (
        ("ring_seconds", "how long a call counts as ringing"),
        ("retention_days", "how long calls that are over are kept, 0 for ever"),
        ("transcript_days", "how long what was said in them is kept, 0 for as long as the calls"),
        (
            "ledger_retention_days",
            "how long the ledger keeps an attempt; without it the phone may ring again; 0 for ever",
        ),
        ("standby_after_seconds", "how long a triggerer may be silent before its calls are listened to, 0 for ever"),
    ):
        default = f"{getattr(_DEFAULTS, name):g}"
        serve.add_argument(f"--{name.replace('_', '-')}", type=float, help=f"{about} (default {default})")
    doctor = parser.add_argument_group("doctor")
    doctor.add_argument("--url", default="http://127.0.0.1:8090", help="the switchboard (default %(default)s)")
    doctor.add_argument("--webhook-url", help="its webhook as OpenAI was told (default: /webhook at the switchboard)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
