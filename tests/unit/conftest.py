"""Fixtures for tests of what runs in Airflow; see ``airflow_world``."""

from __future__ import annotations

from airflow_world import world

__all__ = ["world"]
