from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.simulator.support import CALLER, PERSON, Phone, Receiver, twiml

from airflow_openai_realtime.simulator import Simulator, SimulatorSettings
from airflow_openai_realtime.simulator.carrier_orders import Order
from airflow_openai_realtime.simulator.world import World


@pytest.fixture
def world() -> World:
    """A world without sockets; time moves only by ``clock.advance``."""
    return World(SimulatorSettings(speed=0, settle_seconds=0))


@pytest.fixture
def order() -> Order:
    return Order(to=PERSON, from_number=CALLER, twiml=twiml())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def client(realtime_simulator: Simulator) -> Iterator[Phone]:
    client = Phone(realtime_simulator)
    yield client
    client.close()
