"""What a task dials, as a DAG author gave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import is_literal, read_integer, read_number
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput, InvalidPhoneNumber
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

if TYPE_CHECKING:
    from airflow_openai_realtime.outbound.carriers.port import CarrierSettings
    from airflow_openai_realtime.outbound.placing import PlaceOrder

#: How long a phone may be let ring, in seconds; carriers take no more.
LONGEST_RING_SECONDS = 600
#: How much later than the task the carrier ends the call, in seconds: it counts from picking up, the task from the
#: accept.
CARRIER_MARGIN_SECONDS = 120.0


@dataclass(frozen=True)
class PlaceParameters:
    """
    What is dialed, by the names that ``PlaceCallOperator`` gives it; perhaps with templates.

    :param to: Number to ring, E.164.
    :param campaign: Name under which attempts are remembered.
    :param contact: Stable key of the person to dial; ``None``: the number.
    :param attempt: 1 for the first attempt to reach this contact, 2 for the second.
    :param from_number: Number the person sees, E.164; ``None``: the connection's caller number.
    :param ring_seconds: How long to let it ring, in seconds, 1 to 600.
    :param max_duration_seconds: When the call is ended at the latest, in seconds above 0, at most 3,600; the default is
        filled in.
    :param wait_for_end: Whether the task answers the call and stays with it: then the carrier ends it two minutes
        later.
    :param telephony_carrier_conn_id: Connection of the carrier, for messages.
    """

    to: Any
    campaign: Any
    contact: Any
    attempt: Any
    from_number: Any
    ring_seconds: Any
    max_duration_seconds: Any
    wait_for_end: bool
    telephony_carrier_conn_id: str

    def ledger_key(self) -> tuple[str, str, int]:
        """
        Return campaign, contact and attempt, as the ledger has them.

        :raises InvalidInput: One of them cannot be used.
        """
        from airflow_openai_realtime.api.phone_numbers import canonical_number, to_e164

        # A contact may be named by a number other than the one to ring, so it has one spelling, too.
        if self.contact is not None:
            contact = canonical_number(_key(self.contact, "contact"))
        else:
            contact = to_e164(self.to, "to")
        return _key(self.campaign, "campaign"), contact, self._read_attempt()

    def order(self, settings: CarrierSettings) -> PlaceOrder:
        """
        Return whom to reach, and what the carrier is asked.

        :param settings: Those of the carrier's connection.
        :raises ConfigurationError: The connection lacks something.
        :raises InvalidInput: A value cannot be used.
        """
        from airflow_openai_realtime.api.phone_numbers import to_e164
        from airflow_openai_realtime.outbound.carriers.port import DialRequest
        from airflow_openai_realtime.outbound.placing import PlaceOrder

        to = to_e164(self.to, "to")
        connection = f"connection {self.telephony_carrier_conn_id}"
        from_number = self.from_number or settings.caller_number
        if not from_number:
            raise ConfigurationError(f"{connection}: caller_number is missing; set it, or give from_number")
        try:
            if not self.from_number:
                from_number = to_e164(from_number, "caller_number")
            sip_uri = settings.sip_uri
        except (ConfigurationError, InvalidPhoneNumber) as error:
            raise ConfigurationError(f"{connection}: {error}") from error
        request = DialRequest(
            to=to,
            from_number=from_number,
            sip_uri=sip_uri,
            correlation_id="not-reserved-yet",
            ring_seconds=self.read_ring_seconds(),
            max_duration_seconds=self.read_carrier_limit(),
            refer_url=settings.refer_url,
        )
        return PlaceOrder(*self.ledger_key(), request)

    def read_ring_seconds(self) -> float:
        """
        Return how long the phone rings, in seconds.

        :raises InvalidInput: The value cannot be used.
        """
        return read_number(self.ring_seconds, "ring_seconds", at_least=1, at_most=LONGEST_RING_SECONDS)

    def read_carrier_limit(self) -> float:
        """
        Return after how many seconds the carrier ends the call.

        :raises InvalidInput: The value cannot be used.
        """
        limit = read_number(self.max_duration_seconds, "max_duration_seconds", above=0, at_most=LONGEST_CALL_SECONDS)
        return limit + CARRIER_MARGIN_SECONDS if self.wait_for_end else limit

    def check_literals(self, max_lateness_seconds: object) -> None:
        """
        Reject invalid literals at parse time; numbers only by their shape, which costs nothing.

        :param max_lateness_seconds: The operator's parameter of that name.
        :raises InvalidInput: A value that needs no rendering cannot be used.
        """
        if is_literal(self.campaign):
            _key(self.campaign, "campaign")
        if is_literal(self.contact) and self.contact is not None:
            _key(self.contact, "contact")
        if is_literal(self.attempt):
            self._read_attempt()
        if is_literal(self.ring_seconds):
            self.read_ring_seconds()
        if is_literal(self.max_duration_seconds):
            self.read_carrier_limit()
        for number, field in ((self.to, "to"), (self.from_number, "from_number")):
            if is_literal(number) and number is not None:
                check_number_shape(number, field)
        if max_lateness_seconds is not None:
            read_number(max_lateness_seconds, "max_lateness_seconds", at_least=0)

    def _read_attempt(self) -> int:
        return read_integer(self.attempt, "attempt", at_least=1)


def check_number_shape(value: object, field: str) -> None:
    """
    Reject what cannot be an E.164 number by its shape alone; whether its country has such numbers is checked later.

    :param value: The number.
    :param field: Name of the parameter, for the message.
    :raises InvalidPhoneNumber: No ``+`` and digits.
    """
    from airflow_openai_realtime.api.phone_numbers import mask_number

    text = value if isinstance(value, str) else ""
    if not (text.startswith("+") and text[1:].isdigit() and text.isascii() and 7 <= len(text) - 1 <= 15):
        raise InvalidPhoneNumber(
            f"{field} {mask_number(str(value))} is not E.164: write + and the country code, no spaces, "
            "like +14155550123",
            field=field,
        )


def _key(value: object, field: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise InvalidInput(f"{field} must be a non-empty text that stays the same between runs", field=field)
    return text
