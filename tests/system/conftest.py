"""One real Airflow for all system tests, with the switchboard in its API server and the simulator for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.campaign import SCRIPTS, read_contacts
from demo.stage import EXAMPLE_DAGS, Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Airflow's four components as processes, with the example DAGs; started once."""
    directory: Path = tmp_path_factory.mktemp("stage")
    with Stage(directory) as stage:
        for contact in read_contacts(EXAMPLE_DAGS / "callback_contacts.csv"):
            stage.simulator.phones.add(contact.number, SCRIPTS[contact.name])
        yield stage
