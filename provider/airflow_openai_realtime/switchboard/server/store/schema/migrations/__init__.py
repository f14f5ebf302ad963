"""Alembic's scripts for the switchboard's tables; ``store/migrate.py`` runs them."""
