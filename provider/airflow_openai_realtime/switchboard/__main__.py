"""``python -m airflow_openai_realtime.switchboard``: the switchboard as a service of its own."""

from __future__ import annotations

import argparse
import os
import sys

from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.switchboard import configuration
from airflow_openai_realtime.switchboard.serve import serve
from airflow_openai_realtime.switchboard.store import Store

_ABOUT = """\
Takes OpenAI's webhooks, keeps calls, and hangs up those that go on too long.

One line from the environment: OPENAI_API_KEY, OPENAI_WEBHOOK_SECRET (two while it is being replaced, separated by a
blank), OPENAI_REALTIME_TOKEN (else derived from the webhook secret), OPENAI_REALTIME_BASE_URL or
OPENAI_REALTIME_REGION, OPENAI_REALTIME_LINE (its name). Several lines from a file: --config.
Only POST /webhook needs to be reachable from the internet, over TLS, through a reverse proxy.
"""


def main() -> int:
    """Read the arguments, check everything that can be checked, and serve."""
    arguments = _parser().parse_args()
    given = {
        configuration.STORE_URL: arguments.store_url,
        configuration.CONFIG: arguments.config,
        configuration.RING_SECONDS: arguments.ring_seconds,
    }
    # Worker processes read the environment; it does not show in a list of processes, as arguments do.
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
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
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8090, help="port, 0 for any free one (default %(default)s)")
    parser.add_argument("--store-url", help=f"database URL (default {configuration.DEFAULT_STORE_URL})")
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default %(default)s)")
    parser.add_argument("--config", help="JSON file with lines")
    parser.add_argument("--ring-seconds", type=float, help="how long a call counts as ringing (default 60)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
