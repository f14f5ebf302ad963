"""The stage of a demonstration or a system test: simulated OpenAI, carrier and phones, and a real Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.testing.local_airflow import connections
from demo.airflow_processes import LocalAirflow

EXAMPLE_DAGS = Path(__file__).resolve().parent.parent / "example_dags"

#: Simulated patience of OpenAI, in seconds. The real limit is not published, and much shorter than Airflow tasks
#: need on a small machine; see "How fast is a call answered?" in docs/sensor.md.
RING_SECONDS = 90.0


class Stage:
    """
    A simulator, and an Airflow whose API server carries the switchboard.

    :param directory: Everything is kept here.
    :param dags_folder: Where the DAG files are.
    :param env: Further environment for Airflow.
    :param settings: Settings of the simulator that differ from its own defaults.
    """

    def __init__(
        self,
        directory: Path,
        dags_folder: Path = EXAMPLE_DAGS,
        *,
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.simulator = Simulator(**{"ring_seconds": RING_SECONDS, "transfers_need_refer_url": True, **settings})
        self.airflow = LocalAirflow(directory / "airflow", dags_folder, env=env)
        self.switchboard_url = f"{self.airflow.url}/openai-realtime"

    def __enter__(self) -> Stage:
        self.simulator.start()
        try:
            self.simulator.webhooks.add(f"{self.switchboard_url}/webhook")
            self.airflow.env.update(self.connections())
            self.airflow.migrate()
            self.airflow.start()
            self.airflow.wait_healthy()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.airflow.stop()
        self.simulator.stop()

    def connections(self) -> dict[str, str]:
        """The two Airflow connections, as environment variables."""
        return connections(self.simulator, self.switchboard_url)

    def switchboard(self) -> SwitchboardClient:
        """A client of the switchboard, as a task has it."""
        return SwitchboardClient(
            self.switchboard_url, derived_token(self.simulator.webhook_secret), line="openai_realtime_default"
        )
