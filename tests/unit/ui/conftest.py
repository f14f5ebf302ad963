"""A page with a store on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.ui.support import PageWorld

from airflow_openai_realtime.switchboard.server.store import Store


@pytest.fixture
def page(tmp_path: Path) -> Iterator[PageWorld]:
    """The page; no user is logged in yet."""
    store = Store(f"sqlite:///{tmp_path / 'calls.db'}")
    store.prepare()
    world = PageWorld(store)
    yield world
    world.http.close()
    store.close()
