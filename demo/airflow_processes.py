"""A real Airflow on this machine: api-server, scheduler, triggerer and dag-processor as processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer"],
}


def free_port() -> int:
    """A TCP port on the loopback interface on which no process listens right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], bool], what: str, *, timeout_seconds: float, every_seconds: float = 0.25
) -> None:
    """
    Look again and again until a condition holds.

    :raises TimeoutError: It did not hold in time; the message names ``what``.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(every_seconds)


class ProcessGroup:
    """Child processes with a log file each, ended together."""

    def __init__(self, log_directory: Path) -> None:
        self.log_directory = log_directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        log_directory.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own; its output goes to ``<name>.log``."""
        with (self.log_directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                command, env=dict(env), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """End a process and its children at once, as ``kill -9`` does."""
        _signal_group(self.processes[name], signal.SIGKILL)
        self.processes.pop(name).wait()

    def check_alive(self) -> None:
        """:raises RuntimeError: A process has ended; the message shows the end of its log."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                tail = (self.log_directory / f"{name}.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{name} ended with status {process.returncode}:\n{tail}")

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Ask every process to end, then make it; nothing is left when this returns."""
        for process in self.processes.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
        for process in self.processes.values():
            _signal_group(process, signal.SIGKILL)
            process.wait()
        self.processes.clear()


class LocalAirflow:
    """
    An Airflow with SQLite and LocalExecutor in a directory of its own.

    :param home: Becomes AIRFLOW_HOME; created when missing.
    :param dags_folder: Where the DAG files are.
    :param env: Further environment, for example ``AIRFLOW_CONN_…``; wins over the settings made here.
    :param parallelism: Task instances that may run at the same time.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        parallelism: int = 4,
        port: int | None = None,
    ) -> None:
        self.home = home
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.logs = home / "process-logs"
        self.processes = ProcessGroup(self.logs)
        self.env = {
            **os.environ,
            **_settings(home, dags_folder, self.url, self.port, parallelism),
            **(env or {}),
        }
        self._http = httpx.Client(base_url=self.url, timeout=30)

    def __enter__(self) -> LocalAirflow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def migrate(self) -> None:
        """Make the metadata database."""
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            check=True,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self, *components: str) -> None:
        """Start the named components; all four when none is named."""
        for component in components or COMPONENTS:
            name = component.split("@")[0]
            command = [sys.executable, "-m", "airflow", *COMPONENTS[name]]
            self.processes.start(component, command, self.env)

    def wait_healthy(self, timeout_seconds: float = 120.0) -> None:
        """Wait until Airflow itself says that every component is healthy."""
        wait_until(self._healthy, "a healthy Airflow", timeout_seconds=timeout_seconds)
        answer = self._http.get("/auth/token")
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def wait_for_dag(self, dag_id: str, timeout_seconds: float = 90.0) -> None:
        """Wait until a DAG has been parsed."""
        path = f"/api/v2/dags/{dag_id}"
        wait_until(lambda: self._http.get(path).status_code == 200, f"DAG {dag_id}", timeout_seconds=timeout_seconds)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run a DAG."""
        self.request("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run by hand, as the UI does; returns its run id."""
        run_id = f"by-hand-{secrets.token_hex(4)}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        self.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json()["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run, mapped ones included."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        instances: list[dict[str, Any]] = self.request("GET", path, params={"limit": 1000}).json()["task_instances"]
        return instances

    def task_log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, attempt: int = 1) -> str:
        """The log of one attempt of a task, as the UI shows it."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return self.request("GET", path, params={"map_index": map_index, "full_content": True}).text

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """
        Send a request to Airflow's public API.

        :raises RuntimeError: Airflow answered with an error; the message holds what it said.
        """
        answer = self._http.request(method, path, **kwargs)
        if answer.is_error:
            raise RuntimeError(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
        return answer

    def stop(self) -> None:
        """End every process and close the connection to the API."""
        self.processes.stop()
        self._http.close()

    def _healthy(self) -> bool:
        self.processes.check_alive()
        try:
            health = self._http.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return False
        wanted = {"scheduler", "triggerer", "dag_processor"}
        started = {name.split("@")[0].replace("-", "_") for name in self.processes.processes} & wanted
        return all(health.get(name, {}).get("status") == "healthy" for name in started)


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, so that both end the same way: through ``finally``."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _settings(home: Path, dags_folder: Path, url: str, port: int, parallelism: int) -> dict[str, str]:
    """Airflow's settings for a small machine; components must agree on the secret that signs their tokens."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "32",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
    }
