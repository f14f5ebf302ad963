"""The simulator in a process of its own, where its work does not disturb the measured process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any

from airflow_openai_realtime.simulator.addresses import SimulatorAddresses
from airflow_openai_realtime.simulator.control import SimulatorControl
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings


class SimulatorProcess(SimulatorAddresses, SimulatorControl):
    """
    A simulator that runs while this is entered, with the controls and the addresses of one in this process.

    :param settings: Settings that differ from the simulator's own defaults.
    :raises RuntimeError: It did not start; the message shows what it said.
    """

    def __init__(self, **settings: Any) -> None:
        self._changes = settings
        self.settings = SimulatorSettings().changed(settings)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> SimulatorProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "airflow_openai_realtime.simulator", "--port", "0", "--quiet"]
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
            self._process = process
            said = next((line for line in process.stdout or () if "listening on" in line), "")
            if not said:
                process.wait()
                log.seek(0)
                raise RuntimeError(f"the simulator did not start:\n{log.read()[-3000:]}")
        super().__init__(said.split()[-1])
        self.reset(**self._changes)

    def stop(self) -> None:
        """End it. Stopping twice changes nothing."""
        process, self._process = self._process, None
        if process is None or process.stdout is None:
            return
        self.close()
        process.terminate()
        process.wait()
        process.stdout.close()
