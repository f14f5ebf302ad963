"""
The ``realtime_simulator`` pytest fixture; pytest loads it as soon as the package is installed.

One server per test run, started by the first test that asks; each test gets it empty. Settings go into a marker::

    @pytest.mark.realtime_simulator(ring_seconds=5, speed=0)
    def test_something(realtime_simulator): ...

Nothing heavy is imported here: this module is loaded in every pytest run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_openai_realtime.simulator.server import Simulator


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "realtime_simulator(**settings): settings of the realtime_simulator fixture for this test"
    )


@pytest.fixture(scope="session")
def _realtime_simulator_server() -> Iterator[Simulator]:
    from airflow_openai_realtime.simulator.server import Simulator

    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def realtime_simulator(request: pytest.FixtureRequest, _realtime_simulator_server: Simulator) -> Iterator[Simulator]:
    """
    A simulator without calls, scripts, faults, webhook addresses or log.

    Settings come from the marker of the same name: ``@pytest.mark.realtime_simulator(speed=0)``.
    """
    marker = request.node.get_closest_marker("realtime_simulator")
    _realtime_simulator_server.reset(**(marker.kwargs if marker else {}))
    yield _realtime_simulator_server
    _realtime_simulator_server.reset()
