"""The parts that the page runs with. The ones that need Airflow are injected here, so that tests can replace them."""

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
    """Actions of the page outside its own data. Called in a thread."""

    def hang_up(self, conn_id: str, call_id: str) -> bool:
        """
        End a call at OpenAI.

        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        :returns: Whether it was already over.
        :raises OpenAIRealtimeError: It could not be ended; the message is fit for users.
        """
        ...  # pragma: no cover

    def note(self, user_name: str, task: OwningTask | None, conn_id: str, call_id: str) -> None:
        """
        Write to the audit log that a user hangs up a call.

        :param user_name: Name of the user.
        :param task: The task that the call belongs to; ``None`` when it belongs to its line.
        :param conn_id: Id of the connection.
        :param call_id: OpenAI's id of the call.
        """
        ...  # pragma: no cover


@dataclass(frozen=True)
class CallsPage:
    """
    The page's parts.

    :param directory: Finds calls.
    :param backend: Hangs up calls and writes the audit log.
    :param auth: A FastAPI dependency that returns the user's permissions, or answers 401.
    :param now: Returns the current time, aware.
    :param work: Runs blocking code.
    :param cursors: Encrypts the cursors in answers.
    """

    directory: CallDirectory
    backend: Backend
    auth: Callable[..., Any]
    now: Callable[[], datetime]
    work: PageWork = field(default_factory=PageWork)
    cursors: SealedCursors = field(default_factory=SealedCursors)


def page_of(request: Request) -> CallsPage:
    """
    Return the page that serves a request.

    :param request: The request.
    """
    page: CallsPage = request.app.state.calls_page
    return page


async def signed_in_user() -> Any:
    """Placeholder for the page's auth; each application overrides it."""
    raise RuntimeError("the calls page has no auth")
