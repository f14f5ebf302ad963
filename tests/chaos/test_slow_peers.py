"""A real API server of Airflow beside switchboards that are slow, endless or silent: Airflow's API answers on."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from demo.airflow_processes import LocalAirflow
from tests.slow_peers import KINDS, SlowPeer
from tests.unit.switchboard.support import SECRET, event_body, signed

from airflow_openai_realtime.ui import URL_PREFIX

pytestmark = [pytest.mark.chaos, pytest.mark.system]

LINE = "openai_realtime_default"
#: More than the API server has threads for its own requests.
REQUESTS = 45
#: Airflow's own API answers in milliseconds; what waits for a slow peer waits without end.
GENEROUS_SECONDS = 25.0
LOOKS = 8


def connection(switchboard_url: str) -> str:
    extra = {"switchboard_url": switchboard_url, "webhook_secret": SECRET}
    return json.dumps({"conn_type": "openai_realtime", "password": "sk-test", "extra": extra})


@pytest.fixture(scope="module")
def peers() -> Iterator[dict[str, SlowPeer]]:
    with ExitStack() as stack:
        yield {kind: stack.enter_context(SlowPeer(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def airflow(peers: dict[str, SlowPeer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An API server that knows the switchboard it mounts, and one standalone switchboard of each slow kind."""
    home = tmp_path_factory.mktemp("slow-peers")
    env = {f"AIRFLOW_CONN_{LINE.upper()}": connection("http://127.0.0.1:8080/openai-realtime")}
    env |= {f"AIRFLOW_CONN_SLOW_{kind.upper()}": connection(peer.url) for kind, peer in peers.items()}
    (home / "dags").mkdir()
    with LocalAirflow(home / "home", home / "dags", env=env) as started:
        started.migrate()
        started.start("api-server")
        started.wait_healthy()
        yield started


class Viewers:
    """People with the Calls page open, who ask again as soon as they are answered, until this is left."""

    def __init__(self, airflow: LocalAirflow, paths: list[str]) -> None:
        self._url, self._paths = airflow.url, paths
        self._token = httpx.get(f"{self._url}/auth/token", timeout=60).json()["access_token"]
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(REQUESTS)
        self.answers: Counter[int] = Counter()
        self.under_way = 0

    def __enter__(self) -> Viewers:
        for number in range(REQUESTS):
            self._threads.submit(self._look, self._paths[number % len(self._paths)])
        while self.under_way < REQUESTS:
            time.sleep(0.05)
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look(self, path: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        with httpx.Client(base_url=f"{self._url}{URL_PREFIX}", headers=headers, timeout=120) as http:
            self.under_way += 1
            while not self._stop.is_set():
                try:
                    answer = http.get(path)
                except httpx.HTTPError:
                    self.answers[0] += 1
                    return
                self.answers[answer.status_code] += 1
                if answer.status_code == 503:
                    assert int(answer.headers["retry-after"]) >= 1
                    self._stop.wait(0.2)


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_while_switchboards_are_slow_airflow_s_api_and_deliveries_are_answered(
    kind: str, airflow: LocalAirflow, peers: dict[str, SlowPeer]
) -> None:
    kinds = list(KINDS) if kind == "all" else [kind]
    paths = ["/api/calls", *(f"/api/call?conn_id=slow_{each}&call_id=rtc_1" for each in kinds)]
    before = peers[kinds[0]].connections
    with Viewers(airflow, paths) as viewers, httpx.Client(base_url=airflow.url, timeout=GENEROUS_SECONDS) as http:
        token = http.get("/auth/token").json()["access_token"]
        for number in range(LOOKS):
            assert http.get("/api/v2/monitor/health").status_code == 200
            dags = http.get("/api/v2/dags", headers={"Authorization": f"Bearer {token}"})
            assert dags.status_code == 200
            body = event_body(f"{kind}{number}", created_at=time.time())
            delivered = http.post(
                f"/openai-realtime/webhook/{LINE}",
                content=body,
                headers=signed(body, f"{kind}{number}", at=time.time()),
            )
            assert delivered.status_code == 200, delivered.text
            time.sleep(0.5)
        asked = http.get(f"{URL_PREFIX}/api/calls", headers={"Authorization": f"Bearer {token}"}).status_code
        assert asked in (200, 503)
    print(f"{kind}: {dict(viewers.answers)}, {peers[kinds[0]].connections - before} connections to it")
    # People see their calls, or that a switchboard does not answer, or that too many ask.
    assert set(viewers.answers) <= {200, 502, 503}
    assert viewers.answers.total() > 0
