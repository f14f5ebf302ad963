"""Hooks: from an Airflow connection to clients."""
