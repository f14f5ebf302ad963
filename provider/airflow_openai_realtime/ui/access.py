"""
Who may see a call, and who may hang it up. Pure; the user's rights in Airflow are an argument.

A call of a task is visible to users who may read that DAG's task instances; its transcript, result and usage to users
who may read the DAG's XComs, where the result is as well. Users who may change its task instances may hang it up.

A call without a task (it rings, was missed or declined, or a standing order answered it) belongs to its line: users who
may read the connection see it, users who may edit the connection may hang it up. A placed call belongs to the task that
placed it unless another task owns it. An attempt that has not become a call belongs to the task that dials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from airflow_openai_realtime.calls.recent import RecentCall, UnreachedAttempt
from airflow_openai_realtime.ui.owners import OwningTask, owner_of

READ_CALLS = "read_calls"
READ_TRANSCRIPTS = "read_transcripts"
HANG_UP = "hang_up"


class Permissions(Protocol):
    """The rights of the requesting user in Airflow. Called in a thread."""

    @property
    def user_name(self) -> str:
        """Name of the user, for the audit log."""
        ...  # pragma: no cover

    def dags(self, right: str, dag_ids: Collection[str]) -> set[str]:
        """
        Return the DAGs for which the user has a right.

        :param right: ``READ_CALLS``, ``READ_TRANSCRIPTS`` or ``HANG_UP``.
        :param dag_ids: Ids of the DAGs to check.
        """
        ...  # pragma: no cover

    def connections(self, right: str, conn_ids: Collection[str]) -> set[str]:
        """
        Return the connections for which the user has a right.

        :param right: ``READ_CALLS``, ``READ_TRANSCRIPTS`` or ``HANG_UP``.
        :param conn_ids: Ids of the connections to check.
        """
        ...  # pragma: no cover


@dataclass(frozen=True)
class SeenCall:
    """
    A call that a user may see.

    :param recent: The call; its line is the id of the connection.
    :param owner: The task that it belongs to; ``None``: it belongs to its line.
    :param may_hang_up: Whether the user may hang it up.
    """

    recent: RecentCall
    owner: OwningTask | None
    may_hang_up: bool


@dataclass(frozen=True)
class SeenAttempt:
    """
    An attempt without a call that a user may see.

    :param unreached: The attempt; its line is the id of the connection.
    :param owner: The task that dials; ``None``: not known.
    """

    unreached: UnreachedAttempt
    owner: OwningTask | None


def visible(calls: Iterable[RecentCall], permissions: Permissions) -> list[SeenCall]:
    """
    Return the calls that the user may see, in their order.

    :param calls: Calls from the switchboards.
    :param permissions: Rights of the user.
    """
    with_owners = [(recent, owner_of(recent)) for recent in calls]
    readable = _allowed(permissions, READ_CALLS, *_asked_about(with_owners))
    editable = _allowed(permissions, HANG_UP, *readable)
    return [
        SeenCall(recent, owner, may_hang_up=_is_among(recent, owner, editable))
        for recent, owner in with_owners
        if _is_among(recent, owner, readable)
    ]


def visible_attempts(attempts: Iterable[UnreachedAttempt], permissions: Permissions) -> list[SeenAttempt]:
    """
    Return the attempts that the user may see, in their order.

    :param attempts: Attempts from the switchboards.
    :param permissions: Rights of the user.
    """
    with_owners = [(each, owner_of(each)) for each in attempts]
    readable = _allowed(permissions, READ_CALLS, *_asked_about(with_owners))
    return [SeenAttempt(each, owner) for each, owner in with_owners if _is_among(each, owner, readable)]


def may_read_transcript(seen: SeenCall, permissions: Permissions) -> bool:
    """
    Tell whether the user may read the transcript of a call.

    :param seen: A call that the user may see.
    :param permissions: Rights of the user.
    """
    if seen.owner is not None:
        return seen.owner.dag_id in permissions.dags(READ_TRANSCRIPTS, {seen.owner.dag_id})
    line = seen.recent.call.line
    return line in permissions.connections(READ_TRANSCRIPTS, {line})


_Allowed = tuple[set[str], set[str]]
_Row = RecentCall | UnreachedAttempt


def _asked_about(with_owners: Sequence[tuple[_Row, OwningTask | None]]) -> _Allowed:
    """Return the DAGs and connections whose rights decide which rows are visible."""
    dag_ids = {owner.dag_id for _, owner in with_owners if owner is not None}
    return dag_ids, {_line_of(row) for row, owner in with_owners if owner is None}


def _allowed(permissions: Permissions, right: str, dag_ids: set[str], conn_ids: set[str]) -> _Allowed:
    return (
        permissions.dags(right, dag_ids) if dag_ids else set(),
        permissions.connections(right, conn_ids) if conn_ids else set(),
    )


def _is_among(row: _Row, owner: OwningTask | None, allowed: _Allowed) -> bool:
    dag_ids, conn_ids = allowed
    return owner.dag_id in dag_ids if owner is not None else _line_of(row) in conn_ids


def _line_of(row: _Row) -> str:
    return row.line if isinstance(row, UnreachedAttempt) else row.call.line
