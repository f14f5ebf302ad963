"""Hooks: they make clients from an Airflow connection."""
