"""A standalone switchboard as a process of its own, for tests that stop and kill it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
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
    :param most_files: How many files each process may have open; ``None``: as many as this one.
    """

    def __init__(
        self,
        store_url: str,
        *,
        workers: int = 1,
        changes: Mapping[str, str] | None = None,
        most_files: int | None = None,
    ) -> None:
        self._arguments = ["--port", "0", "--store-url", store_url, "--workers", str(workers)]
        self._changes = dict(changes or {})
        self._limit_files = None
        if most_files is not None:
            self._limit_files = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (most_files, most_files))
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
            preexec_fn=self._limit_files,
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
