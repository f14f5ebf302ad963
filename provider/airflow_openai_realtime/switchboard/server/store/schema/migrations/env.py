"""Run by Alembic: migrates on the connection, and in the transaction, that ``store/migrate.py`` hands over."""

from alembic import context

from airflow_openai_realtime.switchboard.server.store.schema.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=False,  # the transaction around all of it is the caller's
)
context.run_migrations()
