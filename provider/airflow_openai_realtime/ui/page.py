"""What the page runs with; what needs Airflow comes in here, so that the rest is tested without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from starlette.requests import Request

from airflow_openai_realtime.ui.directory import CallDirectory
from airflow_openai_realtime.ui.owners import OwningTask
from airflow_openai_realtime.ui.page_cursors import SealedCursors
from airflow_openai_realtime.ui.work import PageWork


class Backend(Protocol):
    """What the page does outside itself. Called in a thread."""

    def hang_up(self, conn_id: str, call_id: str) -> bool:
        """
        End a call at OpenAI.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :returns: Whether it was over already.
        :raises OpenAIRealtimeError: It could not be ended; the message can be shown.
        """
        ...  # pragma: no cover

    def note(self, user_name: str, task: OwningTask | None, conn_id: str, call_id: str) -> None:
        """
        Write down, for people who look into it later, that a user has hung up a call.

        :param user_name: Name of the user.
        :param task: The task that the call belongs to; ``None`` when it is no task's.
        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        """
        ...  # pragma: no cover


@dataclass(frozen=True)
class CallsPage:
    """
    The page's parts.

    :param directory: Where calls are.
    :param backend: What is done with them.
    :param auth: A FastAPI dependency that gives the user's permissions, or refuses with 401.
    :param now: The clock, aware.
    :param work: Runs what blocks.
    :param cursors: Seals what the page's answers name.
    """

    directory: CallDirectory
    backend: Backend
    auth: Callable[..., Any]
    now: Callable[[], datetime]
    work: PageWork = field(default_factory=PageWork)
    cursors: SealedCursors = field(default_factory=SealedCursors)


def page_of(request: Request) -> CallsPage:
    """
    The page that a request came to.

    :param request: The request.
    """
    page: CallsPage = request.app.state.calls_page
    return page


async def signed_in_user() -> Any:
    """Stands for the page's auth, which each application puts in its place."""
    raise RuntimeError("the calls page has no auth")
