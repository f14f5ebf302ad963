"""A standalone switchboard as a process of its own, for tests that stop and kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from tests.unit.switchboard.support import SECRET

PROGRAM = [sys.executable, "-m", "airflow_openai_realtime.switchboard"]


def environment(**changes: str) -> dict[str, str]:
    """An environment with one line and nothing else of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AIRFLOW"))}
    return {**kept, "OPENAI_API_KEY": "sk-test", "OPENAI_WEBHOOK_SECRET": SECRET, **changes}


class Standalone:
    """
    A switchboard that serves while this is entered.

    :param store_url: Its store.
    :param workers: Number of processes.
    """

    def __init__(self, store_url: str, *, workers: int = 1, changes: Mapping[str, str] | None = None) -> None:
        self._arguments = ["--port", "0", "--store-url", store_url, "--workers", str(workers)]
        self._changes = dict(changes or {})
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed on exit
        self.url = ""

    def __enter__(self) -> Standalone:
        self.process = subprocess.Popen(
            [*PROGRAM, *self._arguments],
            env=environment(**self._changes),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        assert ready.startswith("switchboard: listening on http://127.0.0.1:"), self.log()
        self.url = ready.split()[-1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    def log(self) -> str:
        """What it has logged so far."""
        self._log.seek(0)
        return self._log.read()

    def kill(self) -> None:
        """Kill it and all its workers, without a chance to finish anything."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
