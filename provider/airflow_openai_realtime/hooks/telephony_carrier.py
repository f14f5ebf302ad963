"""The hook for connections of type ``telephony_carrier``: who rings the phones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_openai_realtime.exceptions import ConfigurationError, OpenAIRealtimeError
from airflow_openai_realtime.hooks.airflow_connections import (
    ConnectionFields,
    find_connection,
    find_connection_async,
    hide,
    hide_async,
    without_test_id,
)

if TYPE_CHECKING:
    from airflow_openai_realtime.outbound.carriers.port import CarrierSettings, Dialer


class TelephonyCarrierHook(BaseHook):
    """
    Dialers for one carrier account, from one connection.

    The connection is looked up on first use and kept. Dialers are context managers.

    :param telephony_carrier_conn_id: A connection of type ``telephony_carrier``.
    :param connections: Connections that a task has handed over to its trigger, sealed by ``hand_over``; one among them
        is not looked up.

    Source: https://www.twilio.com/docs/voice/api/call-resource
    """

    conn_name_attr = "telephony_carrier_conn_id"
    default_conn_name = "telephony_carrier_default"
    conn_type = "telephony_carrier"
    hook_name = "Telephony carrier"

    def __init__(
        self, telephony_carrier_conn_id: str = default_conn_name, connections: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self._connections = connections
        self._fields: ConnectionFields | None = None
        self._settings: CarrierSettings | None = None

    def connection(self) -> ConnectionFields:
        """
        Return the connection as Airflow has it, to hand it over to a trigger.

        :raises ConfigurationError: There is no such connection.
        """
        if self._fields is None:
            self._fields = find_connection(self.telephony_carrier_conn_id, self.conn_type)
        return self._fields

    def settings(self) -> CarrierSettings:
        """
        Return the connection's settings.

        :raises ConfigurationError: There is no such connection, or a field is missing or unusable; the message names
            the connection, the field and what to do.
        """
        if self._settings is None:
            settings = _settings_of(self.connection())
            hide(settings.token)
            self._settings = settings
        return self._settings

    async def asettings(self) -> CarrierSettings:
        """Return the connection's settings, from within an event loop; see :meth:`settings`."""
        if self._settings is None:
            settings = _settings_of(
                await find_connection_async(self.telephony_carrier_conn_id, self.conn_type, self._connections)
            )
            await hide_async(settings.token)
            self._settings = settings
        return self._settings

    def dialer(self) -> Dialer:
        """Make a dialer for tasks; see :meth:`settings` for errors."""
        from airflow_openai_realtime.outbound.carriers.twilio import dialer_for

        return dialer_for(self.settings())

    async def async_dialer(self) -> Dialer:
        """Make a dialer for triggers; see :meth:`settings` for errors."""
        from airflow_openai_realtime.outbound.carriers.twilio import dialer_for

        return dialer_for(await self.asettings())

    def get_conn(self) -> Dialer:
        """Make a dialer, as :meth:`dialer` does."""
        return self.dialer()

    def test_connection(self) -> tuple[bool, str]:
        """
        Try account and token, or API key and secret, and look at what placing a call needs. Dials nothing.

        :return: Whether calls can be placed with this connection as far as that can be known, and a sentence.
        """
        try:
            settings = self.settings()
            settings.check_can_place()
            with self.dialer() as dialer:
                dialer.send(dialer.check())
        except OpenAIRealtimeError as error:
            return False, without_test_id(str(error), self.telephony_carrier_conn_id)
        signed_in = "API key" if settings.api_key else "token"
        return True, f"The carrier accepted account and {signed_in}. Caller number and OpenAI project look right."


def _settings_of(fields: ConnectionFields) -> CarrierSettings:
    from airflow_openai_realtime.outbound.carriers.port import CarrierSettings

    given: dict[str, Any] = {
        "api_key": _text(fields.extra.get("api_key")),
        "carrier": _text(fields.extra.get("carrier")),
        "base_url": _text(fields.host),
        "caller_number": _text(fields.extra.get("caller_number")),
        "openai_project_id": _text(fields.extra.get("openai_project_id")),
        "sip_host": _text(fields.extra.get("openai_sip_host")),
        "refer_url": _text(fields.extra.get("refer_url")),
    }
    try:
        # Only what is given, so that the defaults are the dialer's.
        return CarrierSettings(
            account=_text(fields.login) or "",
            token=_text(fields.password) or "",
            **{name: value for name, value in given.items() if value is not None},
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"connection {fields.connection_id}: {error}") from error


def _text(value: object) -> str | None:
    """Return text without blanks around it; empty text, as Airflow's form sends it, counts as not given."""
    return str(value).strip() or None if value is not None else None
