"""The hook for connections of type ``openai_realtime``: one OpenAI project and the switchboard of its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_openai_realtime.exceptions import ConfigurationError, OpenAIRealtimeError, SwitchboardRefused
from airflow_openai_realtime.hooks.connection_fields import ConnectionFields
from airflow_openai_realtime.hooks.connections import (
    find_connection,
    find_connection_async,
    hide,
    hide_async,
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
    from airflow_openai_realtime.api.settings import ApiSettings
    from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


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
        self._fields: ConnectionFields | None = None

    def connection(self) -> ConnectionFields:
        """
        Return the connection as Airflow has it, to hand it over to a trigger.

        :raises ConfigurationError: There is no such connection.
        """
        return self._found()

    def line(self) -> LineSettings:
        """
        Return the connection's settings.

        :raises ConfigurationError: There is no such connection, or a field is missing or unusable; the message names
            the connection, the field and what to do.
        """
        return _line_of(self._found())

    async def aline(self) -> LineSettings:
        """Return the connection's settings, from within an event loop; see :meth:`line`."""
        return _line_of(await self._afound())

    def api(self) -> ApiSettings:
        """
        Return how to reach OpenAI; unlike :meth:`line` this needs nothing of the switchboard.

        :raises ConfigurationError: As :meth:`line`.
        """
        return _api_of(self._found())

    def calls(self) -> CallsClient:
        """Make a client for OpenAI's call endpoints; see :meth:`api` for errors."""
        from airflow_openai_realtime.api.client import CallsClient

        return CallsClient(self.api())

    async def acalls(self) -> CallsClient:
        """Make an async client for OpenAI's call endpoints; see :meth:`api` for errors."""
        from airflow_openai_realtime.api.client import CallsClient

        return CallsClient(_api_of(await self._afound()))

    def switchboard(self) -> SwitchboardClient:
        """Make a client for the switchboard; see :meth:`line` for errors."""
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        return SwitchboardClient.at(_address_of(self._found()))

    async def aswitchboard(self) -> SwitchboardClient:
        """Make an async client for the switchboard; see :meth:`line` for errors."""
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        return SwitchboardClient.at(_address_of(await self._afound()))

    def _found(self) -> ConnectionFields:
        if self._fields is None:
            fields = find_connection(self.openai_realtime_conn_id, self.conn_type)
            hide(*_secrets_of(fields))
            self._fields = fields
        return self._fields

    async def _afound(self) -> ConnectionFields:
        if self._fields is None:
            fields = await find_connection_async(self.openai_realtime_conn_id, self.conn_type, self._connections)
            await hide_async(*_secrets_of(fields))
            self._fields = fields
        return self._fields

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

        fields = self._found()
        at = _address_of(fields)
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


def _line_of(fields: ConnectionFields) -> LineSettings:
    return LineSettings(fields.connection_id, _api_of(fields), _address_of(fields))


def _api_of(fields: ConnectionFields) -> ApiSettings:
    from airflow_openai_realtime.calls.line_settings import api_settings_from_fields

    with _naming(fields):
        return api_settings_from_fields(password=fields.password, host=fields.host, extra=fields.extra)


def _address_of(fields: ConnectionFields) -> SwitchboardAddress:
    from airflow_openai_realtime.calls.line_settings import switchboard_address_from_fields

    with _naming(fields):
        return switchboard_address_from_fields(fields.connection_id, fields.extra)


@contextmanager
def _naming(fields: ConnectionFields) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"connection {fields.connection_id}: {error}") from error


def _secrets_of(fields: ConnectionFields) -> tuple[str, ...]:
    from airflow_openai_realtime.calls.line_settings import secrets_from_fields

    return secrets_from_fields(fields.password, fields.extra)
