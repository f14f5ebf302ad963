"""Run a standalone switchboard with uvicorn, in one process or several."""

from __future__ import annotations

import errno
import importlib.util
import inspect
import socket
import threading
import time
import urllib.error
import urllib.request

import uvicorn
from uvicorn.supervisors import Multiprocess

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.switchboard.server.process.connection_limits import allow_many_files

APPLICATION = "airflow_openai_realtime.switchboard.server.process.worker:app_from_environment"
GRACEFUL_SECONDS = 10


def listen(host: str, port: int) -> socket.socket:
    """
    Bind an address to listen on.

    :param host: Name or address.
    :param port: 0 to 65535; 0 for any free one.
    :raises ConfigurationError: It cannot be had; the message says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        hint = "; another process has it: choose another by --port" if _is_taken(error) else ""
        raise ConfigurationError(f"cannot listen on {_in_url(host)}:{port}: {why}{hint}") from error
    listener.set_inheritable(True)
    return listener


def _is_taken(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def serve(host: str, bound: socket.socket, workers: int) -> int:
    """
    Serve until a signal to stop; print one line to stdout as soon as requests are answered.

    :param host: What the line names.
    :param bound: From :func:`listen`.
    :param workers: Number of processes.
    :returns: The exit code.
    """
    allow_many_files()
    config = uvicorn.Config(
        APPLICATION,
        factory=True,
        host=host,
        port=bound.getsockname()[1],
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        http=_http_protocol(),
        ws="none",
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    threading.Thread(target=_say_when_ready, args=(host, bound), daemon=True).start()
    server = uvicorn.Server(config)
    if workers > 1:
        # Older versions of uvicorn ask for the function that a worker runs.
        older = {"target": server.run} if "target" in inspect.signature(Multiprocess).parameters else {}
        Multiprocess(config, sockets=[bound], **older).run()
        return 0
    server.run(sockets=[bound])
    return 0 if server.started else 3


def _http_protocol() -> str:
    """Uvicorn's protocol with limits of ours: with the quick parser where that is installed, else with the other."""
    if importlib.util.find_spec("httptools") is None:
        return "airflow_openai_realtime.switchboard.server.process.limited_h11:LimitedH11"
    return "airflow_openai_realtime.switchboard.server.process.limited_httptools:LimitedHttpTools"


def _say_when_ready(host: str, bound: socket.socket) -> None:
    port = bound.getsockname()[1]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    url = f"http://{_in_url(local)}:{port}/health"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(url, timeout=5):
                print(f"switchboard: listening on http://{_in_url(host)}:{port}", flush=True)  # noqa: T201
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
