"""The hook for connections of type ``openai_realtime``: one OpenAI project and the switchboard of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseHook

from airflow_openai_realtime.exceptions import ConfigurationError, OpenAIRealtimeError, SwitchboardRefused
from airflow_openai_realtime.hooks.airflow_connections import (
    ConnectionFields,
    find_line,
    find_line_async,
    is_test_id,
    without_test_id,
)
from airflow_openai_realtime.switchboard import MOUNTED_AT

_OTHER_PROCESS = (
    "When the API server runs in several processes, the test may have met another one than the one that runs it: then "
    "save the connection, and run python -m airflow_openai_realtime.switchboard doctor --airflow"
)

if TYPE_CHECKING:
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.api.request import Request
    from airflow_openai_realtime.api.settings import ApiSettings
    from airflow_openai_realtime.calls.line_settings import ConnectionSettings, SwitchboardAddress
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


T = TypeVar("T")


@dataclass(frozen=True)
class LineSettings:
    """
    What an ``openai_realtime`` connection says, checked.

    :param connection_id: The connection.
    :param api: How to reach OpenAI with the project's key.
    :param switchboard: Where the switchboard is, the token for it, and the line's name there.
    """

    connection_id: str
    api: ApiSettings
    switchboard: SwitchboardAddress


@dataclass(frozen=True)
class LineClients:
    """
    Clients for all that a connection leads to, open.

    :param line: The connection's settings.
    :param calls: Client of OpenAI's call endpoints.
    :param switchboard: Client of the line at its switchboard.
    """

    line: LineSettings
    calls: CallsClient
    switchboard: SwitchboardClient


class RealtimeHook(BaseHook):
    """
    Clients for OpenAI's call endpoints and for the switchboard, from one connection.

    The connection is looked up on first use and kept; nothing is looked up when a DAG file is parsed. Clients are
    context managers.

    :param openai_realtime_conn_id: A connection of type ``openai_realtime``.
    :param connections: Connections that a task has handed over to its trigger, sealed by ``hand_over``; one among them
        is not looked up.

    Source: https://developers.openai.com/api/docs/guides/voice-sip
    """

    conn_name_attr = "openai_realtime_conn_id"
    default_conn_name = "openai_realtime_default"
    conn_type = "openai_realtime"
    hook_name = "OpenAI Realtime (calls)"

    def __init__(
        self, openai_realtime_conn_id: str = default_conn_name, connections: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self._connections = connections
        self._known: tuple[ConnectionFields, ConnectionSettings] | None = None

    def connection(self) -> ConnectionFields:
        """
        Return the connection as Airflow has it, to hand it over to a trigger.

        :raises ConfigurationError: There is no such connection.
        """
        return self._read()[0]

    def line(self) -> LineSettings:
        """
        Return the connection's settings.

        :raises ConfigurationError: There is no such connection, or a field is missing or unusable; the message names
            the connection, the field and what to do.
        """
        return self._line_of(self._read()[1])

    async def aline(self) -> LineSettings:
        """Return the connection's settings, from within an event loop; see :meth:`line`."""
        return self._line_of(await self._aread())

    def api(self) -> ApiSettings:
        """
        Return how to reach OpenAI; unlike :meth:`line` this needs nothing of the switchboard.

        :raises ConfigurationError: As :meth:`line`.
        """
        return self._usable(self._read()[1].api)

    def calls(self) -> CallsClient:
        """Make a client for OpenAI's call endpoints; see :meth:`api` for errors."""
        from airflow_openai_realtime.api.client import CallsClient

        return CallsClient(self.api())

    async def acalls(self) -> CallsClient:
        """Make an async client for OpenAI's call endpoints; see :meth:`api` for errors."""
        from airflow_openai_realtime.api.client import CallsClient

        return CallsClient(self._usable((await self._aread()).api))

    def switchboard(self) -> SwitchboardClient:
        """Make a client for the switchboard; see :meth:`line` for errors."""
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        return SwitchboardClient.at(self._usable(self._read()[1].switchboard))

    async def aswitchboard(self) -> SwitchboardClient:
        """Make an async client for the switchboard; see :meth:`line` for errors."""
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        return SwitchboardClient.at(self._usable((await self._aread()).switchboard))

    @contextmanager
    def clients(self) -> Iterator[LineClients]:
        """Open clients for both, OpenAI and the switchboard; see :meth:`line` for errors."""
        line = self.line()
        with self.calls() as calls, self.switchboard() as switchboard:
            yield LineClients(line, calls, switchboard)

    def send(self, request: Request[T]) -> T:
        """
        Send one request to where it is for, OpenAI or the switchboard, with a client of its own.

        :param request: What is asked.
        :raises ConfigurationError: See :meth:`api` and :meth:`line`.
        :raises OpenAIRealtimeError: What the request says.

        Retries: as the request says.
        """
        from airflow_openai_realtime.api.request import OPENAI

        with self.calls() if request.to == OPENAI else self.switchboard() as client:
            return client.send(request)

    def _read(self) -> tuple[ConnectionFields, ConnectionSettings]:
        if self._known is None:
            self._known = find_line(self.openai_realtime_conn_id, self.conn_type)
        return self._known

    async def _aread(self) -> ConnectionSettings:
        if self._known is None:
            self._known = await find_line_async(self.openai_realtime_conn_id, self.conn_type, self._connections)
        return self._known[1]

    def _line_of(self, settings: ConnectionSettings) -> LineSettings:
        return LineSettings(
            self.openai_realtime_conn_id, self._usable(settings.api), self._usable(settings.switchboard)
        )

    def _usable(self, part: T | ConfigurationError) -> T:
        """Return a part of the connection's settings, unless it is the error that says why it cannot be used."""
        if isinstance(part, ConfigurationError):
            raise ConfigurationError(f"connection {self.openai_realtime_conn_id}: {part}") from part
        return part

    def get_conn(self) -> CallsClient:
        """Make a client for OpenAI's call endpoints, as :meth:`calls` does."""
        return self.calls()

    def test_connection(self) -> tuple[bool, str]:
        """
        Try the key, the switchboard and the webhook secrets. Places no call and touches none.

        The switchboard is sent an event that it does not store, signed with each secret as OpenAI would sign it.

        :return: Whether all work, and a sentence about each.
        """
        key_works, about_key = self._try(self._key_works)
        switchboard_works, about_switchboard = self._try(self._switchboard_works)
        return key_works and switchboard_works, f"OpenAI: {about_key} Switchboard: {about_switchboard}"

    def _try(self, what: Callable[[], str]) -> tuple[bool, str]:
        try:
            return True, f"{what()}."
        except OpenAIRealtimeError as error:
            return False, f"{without_test_id(str(error), self.openai_realtime_conn_id)}."

    def _key_works(self) -> str:
        from airflow_openai_realtime.api.call_requests import check_key

        with self.calls() as calls:
            calls.send(check_key())
        return "the key works"

    def _switchboard_works(self) -> str:
        from airflow_openai_realtime.api.webhooks import webhook_secret_problem
        from airflow_openai_realtime.calls.line_settings import webhook_secrets_from_fields
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status
        from airflow_openai_realtime.switchboard.doctor import deliver_test_event

        fields, settings = self._read()
        at = self._usable(settings.switchboard)
        secrets = webhook_secrets_from_fields(fields.extra)
        if not secrets and at.url.endswith(MOUNTED_AT):
            raise ConfigurationError("webhook_secret is missing: the mounted switchboard takes no call without it")
        for problem in filter(None, map(webhook_secret_problem, secrets)):
            raise ConfigurationError(f"webhook_secret: {problem}")
        try:
            with self.switchboard() as switchboard:
                status = switchboard.send(get_status())
        except SwitchboardRefused as error:
            if error.status == 401 and at.url.endswith(MOUNTED_AT) and is_test_id(self.openai_realtime_conn_id):
                raise ConfigurationError(f"{error}. {_OTHER_PROCESS}") from error
            raise
        line = status.get("line")
        for secret in secrets:
            deliver_test_event(f"{at.url}/webhook/{line}", secret)
        named = "" if is_test_id(str(line)) else f"line {line}, "
        taken = ", takes deliveries signed with the webhook secret" if secrets else ""
        return f"reached, {named}version {status.get('version')}{taken}"
