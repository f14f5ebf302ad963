"""One spelling of each phone number in the ledger, so that old rows guard their phones under the key of today."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from airflow_openai_realtime.api.phone_numbers import canonical_number

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 1000

_attempts = sa.table(
    "openai_realtime_attempt",
    sa.column("seq", sa.BigInteger),
    sa.column("line", sa.String),
    sa.column("campaign", sa.String),
    sa.column("contact", sa.String),
    sa.column("attempt", sa.Integer),
    sa.column("state", sa.String),
    sa.column("to_number", sa.String),
)


def upgrade() -> None:
    """Rename contacts that are numbers in another spelling, and the numbers to ring."""
    connection = op.get_bind()
    last = 0
    while True:
        query = sa.select(_attempts).where(_attempts.c.seq > last).order_by(_attempts.c.seq).limit(_ROWS_AT_ONCE)
        rows = connection.execute(query).all()
        if not rows:
            return
        for row in rows:
            _rename(connection, row)
        last = rows[-1].seq


def _rename(connection: sa.Connection, row: sa.Row[Any]) -> None:
    number = row.to_number and canonical_number(row.to_number)
    if number != row.to_number:
        _update(connection, row.seq, to_number=number)
    contact = canonical_number(row.contact)
    if contact == row.contact:
        return
    key = (_attempts.c.line == row.line, _attempts.c.campaign == row.campaign, _attempts.c.attempt == row.attempt)
    other = connection.execute(sa.select(_attempts).where(*key, _attempts.c.contact == contact)).one_or_none()
    if other is not None:
        # Both spellings were used. What has dialed guards the phone; a row that has not is not needed.
        if other.state != "reserved":
            return
        connection.execute(_attempts.delete().where(_attempts.c.seq == other.seq))
    _update(connection, row.seq, contact=contact)


def _update(connection: sa.Connection, seq: int, **values: str) -> None:
    connection.execute(_attempts.update().where(_attempts.c.seq == seq).values(**values))


def downgrade() -> None:
    """Nothing: the numbers are the same phones."""
