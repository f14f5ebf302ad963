"""``python -m airflow_openai_realtime.switchboard``: the switchboard as a service of its own, and its doctor."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from airflow_openai_realtime import __version__
from airflow_openai_realtime.exceptions import OpenAIRealtimeError
from airflow_openai_realtime.switchboard.server.process import configuration
from airflow_openai_realtime.switchboard.server.switchboard_settings import CONFIGURABLE, SwitchboardSettings

if TYPE_CHECKING:
    from airflow_openai_realtime.switchboard.doctor import Finding

SCRIPT = "openai-realtime-switchboard"
WRONG_USE = 2
"""Exit status when arguments or settings cannot be used."""

_ABOUT = f"""\
serve   takes OpenAI's webhooks, keeps calls, and hangs up those that go on too long
doctor  checks settings, store, clock, secrets, key and token, and delivers test events to a switchboard that serves

"{SCRIPT} COMMAND --help" tells the options of each. Without a command it serves.
"""
_ENVIRONMENT = """\
One line from the environment: OPENAI_API_KEY, OPENAI_WEBHOOK_SECRET (two while it is being replaced, separated by a
blank), OPENAI_REALTIME_TOKEN (else derived from the webhook secret), OPENAI_REALTIME_BASE_URL or
OPENAI_REALTIME_REGION, OPENAI_REALTIME_LINE (its name). Several lines from a file: --config.
Only POST /webhook needs to be reachable from the internet, over TLS, through a reverse proxy.
"""
_MOUNTED = """\
With --airflow it examines the switchboard that is mounted in Airflow's API server: lines are Airflow's connections, and
the store is that of Airflow's configuration. Run it where Airflow's commands run, with the API server's environment.
"""
_DEFAULTS = SwitchboardSettings()
_SETTINGS = (
    ("ring_seconds", "how long a call counts as ringing"),
    ("retention_days", "how long calls that are over are kept, 0: without limit"),
    ("transcript_days", "how long what was said in them is kept, 0 for as long as the calls"),
    ("ledger_retention_days", "how long the ledger keeps an attempt; later the phone may ring again; 0: without limit"),
    (
        "standby_after_seconds",
        "how long a triggerer may be silent until the switchboard listens to its calls, 0: never",
    ),
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with the status for wrong use."""
        self.exit(WRONG_USE, f"switchboard: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Read the arguments, and serve or examine.

    :param arguments: Without the program's name; ``None``: those of the process.
    :returns: The exit status: 0, 1 when the doctor found something, 2 when arguments or settings cannot be used.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in ("-h", "--help", "--version"):
        command = next((name for name in ("doctor", "serve") if name in given), "serve")
        if command in given:
            given.remove(command)  # wherever it stands
        given.insert(0, command)
    chosen = _parser().parse_args(given)
    settings = {
        configuration.STORE_URL: chosen.store_url,
        configuration.CONFIG: chosen.config,
        **{configuration.variable_of(name): getattr(chosen, name, None) for name in CONFIGURABLE},
    }
    # Worker processes read the environment; it does not show in a list of processes, as arguments do.
    os.environ.update({name: str(value) for name, value in settings.items() if value is not None})
    try:
        return _examine(chosen) if chosen.command == "doctor" else _serve(chosen)
    except OpenAIRealtimeError as error:
        print(f"switchboard: {error}", file=sys.stderr)
        return WRONG_USE


def _examine(chosen: argparse.Namespace) -> int:
    """Print a line for each check, or one JSON object; 1 when anything is wrong."""
    findings, out = [], sys.stdout
    with redirect_stdout(sys.stderr):  # Airflow logs to stdout
        for finding in _findings(chosen, os.environ):
            findings.append(finding)
            if not chosen.json:
                print(finding, file=out, flush=True)
    is_ok = all(finding.is_ok for finding in findings)
    if chosen.json:
        print(json.dumps({"ok": is_ok, "findings": [finding.to_dict() for finding in findings]}, indent=2))
    return 0 if is_ok else 1


def _findings(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Iterator[Finding]:
    from airflow_openai_realtime.switchboard import doctor

    if chosen.airflow:
        from airflow_openai_realtime.switchboard.mounted import examined_airflow

        return doctor.examine_airflow(examined_airflow(chosen.conn_id), chosen.url, chosen.webhook_url)
    return doctor.examine(environment, chosen.url or f"http://127.0.0.1:{_PORT}", chosen.webhook_url)


def _serve(chosen: argparse.Namespace) -> int:
    """
    Check everything that can be checked, and serve.

    :raises OpenAIRealtimeError: It cannot serve.
    """
    from airflow_openai_realtime.api.webhooks import webhook_secret_problem
    from airflow_openai_realtime.switchboard.server.process.serve import listen, serve
    from airflow_openai_realtime.switchboard.server.store import Store

    for line in configuration.configured_lines(os.environ).all():
        for problem in filter(None, map(webhook_secret_problem, line.webhook_secrets)):
            print(f"switchboard: warning: line {line.name}: webhook secret: {problem}", file=sys.stderr)
    configuration.configured_settings(os.environ)
    store = Store(configuration.configured_store_url(os.environ))
    store.prepare()
    store.close()
    return serve(chosen.host, listen(chosen.host, chosen.port), chosen.workers)


_PORT = 8090


def _parser() -> argparse.ArgumentParser:
    name = SCRIPT if Path(sys.argv[0]).name == SCRIPT else "python -m airflow_openai_realtime.switchboard"
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog=name, description=_ABOUT, formatter_class=plain, epilog=_ENVIRONMENT)
    parser.add_argument("--version", action="version", version=f"switchboard {__version__}")
    shared = _Parser(add_help=False)
    shared.add_argument("--store-url", help=f"database URL (default {configuration.DEFAULT_STORE_URL})")
    shared.add_argument("--config", help="JSON file with lines")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_serve(
        commands.add_parser(
            "serve", parents=[shared], help="take webhooks", formatter_class=plain, description=_ENVIRONMENT
        )
    )
    _add_doctor(
        commands.add_parser(
            "doctor", parents=[shared], help="say what is wrong", formatter_class=plain, description=_MOUNTED
        )
    )
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=_port, default=_PORT, help="port, 0 for any free one (default %(default)s)")
    serve.add_argument("--workers", type=_count, default=1, help="number of processes (default %(default)s)")
    for name, about in _SETTINGS:
        default = f"{getattr(_DEFAULTS, name):g}"
        serve.add_argument(f"--{name.replace('_', '-')}", type=float, help=f"{about} (default {default})")


def _add_doctor(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument(
        "--url",
        help=f"the switchboard (default http://127.0.0.1:{_PORT}; with --airflow that of each connection)",
    )
    doctor.add_argument("--webhook-url", help="its webhook as set at OpenAI (default: /webhook at the switchboard)")
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    doctor.add_argument("--airflow", action="store_true", help="examine the one that is mounted in Airflow")
    doctor.add_argument(
        "--conn-id", action="append", help="only this connection of Airflow; may be given several times"
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:9]) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 1 to 65535, or 0 for any free one")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes: give 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
