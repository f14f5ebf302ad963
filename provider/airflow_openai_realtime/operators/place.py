"""Ringing a phone, and perhaps staying with the call until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import is_literal, read_integer, read_number
from airflow_openai_realtime.exceptions import ConfigurationError, InvalidInput, InvalidPhoneNumber, SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
from airflow_openai_realtime.operators.call_link import person_label
from airflow_openai_realtime.operators.conversation_operator import ConversationOperator
from airflow_openai_realtime.operators.masked_fields import MaskedFields
from airflow_openai_realtime.operators.placed_call import (
    CARRIER_MARGIN_SECONDS,
    COMING_IN_SECONDS,
    IfPlacedNotAnswered,
    PlacedCallWaiting,
)
from airflow_openai_realtime.operators.session_operator import SessionOperator
from airflow_openai_realtime.operators.template_fields import as_written, check_rendered, drop_shared_defaults
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.call import Attempt
    from airflow_openai_realtime.outbound.carriers.carrier_settings import CarrierSettings
    from airflow_openai_realtime.outbound.carriers.port import DialRequest
    from airflow_openai_realtime.outbound.placing import Placement
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How long a phone may be let ring, in seconds; carriers take no more.
LONGEST_RING_SECONDS = 600
CARRIER_SECONDS = 900
CALL_SECONDS = 600
#: How late a scheduled run may start and still dial, in seconds: longer than a busy scheduler takes, and short enough
#: that an unpaused DAG does not make up for the run that it missed.
MAX_LATENESS_SECONDS = 300.0


class PlaceCallOperator(MaskedFields, PlacedCallWaiting, SessionOperator, ConversationOperator):
    """
    Ring a person's phone through a carrier, and connect it to OpenAI when it is answered.

    The answered call then comes in as any other: give what this task returns to ``IncomingCallSensor(placed=…)``.

    Or give ``wait_for_end``: then this one task rings the phone, accepts the call when it comes in, stays with it in
    the triggerer until it is over, and returns what came of it. Then it also takes the session that calls are accepted
    with and ``caller_fields``, as :class:`~airflow_openai_realtime.operators.session_operator.SessionOperator`
    describes them, and what happens in the call (``greeting``, ``result_model`` and so on), as
    :class:`~airflow_openai_realtime.operators.conversation_operator.ConversationOperator` does.

    **The phone rings at most once** for one (campaign, contact, attempt), whatever is retried, cleared, backfilled or
    run twice. The attempt is written into the switchboard's ledger before the carrier is asked.

    When the carrier refuses a call, no phone rings: correct the cause (the key, the balance, the caller number; for
    ``NumberRefused`` the number itself) and clear the task, and it dials. When it is not certain whether the phone
    rang, the task and every retry fail with ``PlacementUnknown``: look at the carrier's log, and give this contact
    alone a higher ``attempt`` if its phone did not ring.

    A scheduled run dials only when it started at its time, within ``max_lateness_seconds``: not when the DAG is
    unpaused later, nor in a catch-up. What counts is when the run first started, not when its tasks do: a paced
    campaign, a retry or a cleared run is not late. Backfills dial only with ``dial_in_backfill``. A task that does not
    dial for these reasons is skipped.

    Before it dials, the task checks that OpenAI takes the key and has the model, that the switchboard answers and can
    take the call, and that the carrier's connection is complete. A check that passed counts for all tasks of the line
    for some minutes.

    Retries: an attempt that was placed is returned as it is (``status`` is ``already_placed``). A retry dials only when
    the carrier was not reached or refused the call. With ``wait_for_end`` a retry continues with its call, or returns
    the call's result when that is over.

    :param to: Number to ring, E.164 (``+14155550123``). Templated.
    :param campaign: Name under which attempts are remembered, for example of the campaign and its week. Two runs with
        the same campaign do not ring the same contact twice. Templated.
    :param contact: Who is rung, as a key that stays the same; the number when left out. Templated.
    :param attempt: 1 for the first attempt to reach this contact, 2 for the second. Templated.
    :param telephony_carrier_conn_id: Connection of type ``telephony_carrier``. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``, for the ledger. Templated.
    :param from_number: Number the person sees, E.164; the connection's caller number when left out. Templated.
    :param ring_seconds: How long to let it ring, in seconds, 1 to 600. Templated.
    :param max_duration_seconds: Without ``wait_for_end``: the carrier ends the call after this long, in seconds, above
        0, at most 3,600; 900 by default. It is the last backstop, for when nothing here is alive to hang up, and it
        counts from the moment the person picks up, which is before the call is accepted: give more than
        ``AcceptCallOperator``'s (600) and the minute in which the call waits to be accepted. With ``wait_for_end``:
        when the call is ended at the latest, in seconds from accepting it, 600 by default; the carrier ends it two
        minutes later. Templated.
    :param if_not_answered: With ``wait_for_end``, when nobody picks up: ``result`` (default; ``outcome`` says
        ``no_answer``, ``busy``, ``failed``, ``gone`` or ``unknown``), ``skip`` or ``fail``.
    :param dial_in_backfill: Whether a backfill rings phones.
    :param max_lateness_seconds: How late a scheduled run may start and still dial, in seconds from its ``run_after``, 0
        or more; ``None`` for no limit.
    :return: ``attempt_id``, ``campaign``, ``contact``, ``attempt``, ``correlation_id``, ``carrier_call_id``,
        ``carrier_conn_id``, ``to_masked``, ``status`` (``placed`` or ``already_placed``), ``placed_at``. With
        ``wait_for_end`` the result of the call, as
        :class:`~airflow_openai_realtime.calls.result.CallResult` describes it, with ``attempt_id``,
        ``campaign``, ``contact``, ``attempt`` and ``to_masked``; ``call_id`` is ``None`` when it never came in.
    :raises InvalidInput: A value cannot be used; ``InvalidPhoneNumber`` for a number. Nothing was dialled.
    :raises AuthenticationError: OpenAI refused the key; nothing was dialed. ``RequestRefused``: it has no such model.
    :raises ConfigurationError: A connection lacks something, or the switchboard could take no call; nothing was dialed.
    :raises NumberRefused: The carrier cannot ring this number; correct it.
    :raises CarrierRefused: The carrier refused for another reason; no phone rang.
    :raises CarrierUnavailable: The carrier could not be reached; no phone rang.
    :raises PlacementUnknown: The phone may have rung.

    Source: https://www.twilio.com/docs/voice/api/call-resource
    """

    template_fields: Sequence[str] = (
        "to",
        "campaign",
        "contact",
        "attempt",
        "telephony_carrier_conn_id",
        "openai_realtime_conn_id",
        "from_number",
        "ring_seconds",
        *SessionOperator.template_fields,
        *ConversationOperator.template_fields,
    )
    template_fields_renderers = {
        **SessionOperator.template_fields_renderers,
        **ConversationOperator.template_fields_renderers,
    }
    masked_fields = ("to", "contact")
    ui_color = "#e8f3ee"
    to: str
    telephony_carrier_conn_id: str

    def __init__(
        self,
        *,
        to: str,
        campaign: str,
        contact: str | None = None,
        attempt: int | str = 1,
        telephony_carrier_conn_id: str = TelephonyCarrierHook.default_conn_name,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        from_number: str | None = None,
        ring_seconds: float | str = 30,
        max_duration_seconds: float | str | None = None,
        if_not_answered: IfPlacedNotAnswered = "result",
        dial_in_backfill: bool = False,
        max_lateness_seconds: float | None = MAX_LATENESS_SECONDS,
        **kwargs: Any,
    ) -> None:
        given = max_duration_seconds
        super().__init__(max_duration_seconds=CARRIER_SECONDS if given is None else given, **kwargs)
        if given is None and self.wait_for_end:  # which default_args may say, too
            self.max_duration_seconds = CALL_SECONDS
        self.to = to
        self.campaign = campaign
        self.contact = contact
        self.attempt = attempt
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.from_number = from_number
        self.ring_seconds = ring_seconds
        self.if_not_answered = if_not_answered
        self.soft_fail = False
        self.dial_in_backfill = dial_in_backfill
        self.max_lateness_seconds = max_lateness_seconds
        if not self.wait_for_end:
            drop_shared_defaults(self, [*self._given(), "caller_fields"])
        self._check_literals()
        self._written = as_written(self)

    @property
    def call_label(self) -> str:
        """Contact and masked number."""
        return person_label(self._plain("contact"), self._plain("to"))

    def execute(self, context: Context) -> dict[str, Any]:
        """Ring the phone, if nobody has before; see the class."""
        check_rendered(self)
        if not self.wait_for_end:
            return self._result(self._place(context))
        # A mistake is to show before the phone rings.
        self._answer(self._wanted())
        placement = self._place(context, self._plan().session.get("model"))
        self._result(placement)
        self._attempt_row = placement.attempt
        self.timeout = self._ring_seconds() + COMING_IN_SECONDS
        found = self._look(context)
        return found if found is not None else self._defer(context)

    def _place(self, context: Context, model: str | None = None) -> Placement:
        """
        Dial, if nothing has before.

        :param model: The model that the call is accepted with, when this task accepts it.
        """
        from airflow_openai_realtime.api.phone_numbers import to_e164
        from airflow_openai_realtime.outbound.placing import Placing, may_dial
        from airflow_openai_realtime.outbound.preflight import check_before_dialing, openai_check

        to = to_e164(self._plain("to"), "to")
        campaign, contact, attempt = self._ledger_key()
        carrier = TelephonyCarrierHook(telephony_carrier_conn_id=self.telephony_carrier_conn_id)
        settings = carrier.settings()
        self._dial_request(settings, to, correlation_id="checked-before-anything-is-written")
        hook = self._line_hook()
        api = hook.line().api
        with self._switchboard() as switchboard:
            known = switchboard.preflight([openai_check(api, model)], run=self._run_start(context))
            reason = self._reason_not_to_dial(context["dag_run"], known.first_started_at)
            if reason is not None:
                return self._placed_before(switchboard, reason)
            claimant = claimant_of(context["ti"])
            reserved = switchboard.reserve_attempt(campaign, contact, attempt, to, claimant)
            if may_dial(reserved, to):
                check_before_dialing(known, switchboard, hook.calls, api, model, self._report)
            with carrier.dialer() as dialer:
                request = self._dial_request(settings, to, reserved.correlation_id)
                return Placing(switchboard, dialer, self._report).place(reserved, request)

    def _result(self, placement: Placement) -> dict[str, Any]:
        result = placement.to_dict(self.telephony_carrier_conn_id)
        self.shown_attempt_id = placement.attempt.attempt_id
        self.log.info(
            "Attempt %s to reach %s: %s, carrier's call %s.",
            result["attempt"],
            result["to_masked"],
            result["status"],
            result["carrier_call_id"],
        )
        return result

    def _placed_before(self, switchboard: SwitchboardClient, reason: str) -> Placement:
        """Return what an earlier run has placed; otherwise this task is skipped, for the reason given."""
        from airflow_openai_realtime.outbound.placing import placed_before

        row = self._row_in_ledger(switchboard)
        placement = placed_before(row) if row is not None else None
        if placement is not None:
            return placement
        self.log.info("Nobody is rung: %s", reason)
        raise AirflowSkipException(reason)

    def _find_attempt(self) -> Attempt:
        with self._switchboard() as switchboard:
            row = self._row_in_ledger(switchboard)
        if row is None:
            raise SwitchboardRefused("the ledger has no row of this attempt any more")
        return row

    def _row_in_ledger(self, switchboard: SwitchboardClient) -> Attempt | None:
        campaign, contact, attempt = self._ledger_key()
        rows = switchboard.attempts(campaign, contact=contact)
        return next((row for row in rows if row.attempt == attempt), None)

    def _ledger_key(self) -> tuple[str, str, int]:
        from airflow_openai_realtime.api.phone_numbers import canonical_number, to_e164

        # A contact may be named by a number other than the one to ring, so it has one spelling, too.
        if self.contact is not None:
            contact = canonical_number(self._key("contact"))
        else:
            contact = to_e164(self._plain("to"), "to")
        return self._key("campaign"), contact, self._attempt()

    def _plan(self) -> AnswerPlan:
        return self._answer_plan()

    def _run_start(self, context: Context) -> tuple[str, str, datetime] | None:
        """Return DAG, run and start of a run that may be late."""
        ti, dag_run = context["ti"], context["dag_run"]
        if _run_type(dag_run) != "scheduled" or self.max_lateness_seconds is None:
            return None
        return ti.dag_id, ti.run_id, _started_at(dag_run)

    def _reason_not_to_dial(self, dag_run: Any, first_started_at: datetime | None) -> str | None:
        run_type = _run_type(dag_run)
        if run_type == "backfill":
            return None if self.dial_in_backfill else "this is a backfill; to ring all the same: dial_in_backfill=True"
        if run_type != "scheduled" or self.max_lateness_seconds is None:
            return None
        late = ((first_started_at or _started_at(dag_run)) - dag_run.run_after).total_seconds()
        if late <= self.max_lateness_seconds:
            return None
        return (
            f"this run started {late:.0f} s after its time, more than max_lateness_seconds "
            f"({self.max_lateness_seconds:g}), as after the DAG was unpaused. To call now, trigger the DAG by hand; to "
            "let late runs call, give a larger number, or None"
        )

    def _dial_request(self, settings: CarrierSettings, to: str, correlation_id: str) -> DialRequest:
        from airflow_openai_realtime.api.phone_numbers import to_e164
        from airflow_openai_realtime.outbound.carriers.port import DialRequest

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
        return DialRequest(
            to=to,
            from_number=from_number,
            sip_uri=sip_uri,
            correlation_id=correlation_id,
            ring_seconds=self._ring_seconds(),
            max_duration_seconds=self._max_duration(),
            refer_url=settings.refer_url,
        )

    def _key(self, field: str) -> str:
        value = self._plain(field)
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            raise InvalidInput(f"{field} must be a non-empty text that stays the same between runs", field=field)
        return text

    def _attempt(self) -> int:
        return read_integer(self.attempt, "attempt", at_least=1)

    def _ring_seconds(self) -> float:
        return read_number(self.ring_seconds, "ring_seconds", at_least=1, at_most=LONGEST_RING_SECONDS)

    def _max_duration(self) -> float:
        """Return when the carrier ends the call."""
        limit = read_number(self.max_duration_seconds, "max_duration_seconds", above=0, at_most=LONGEST_CALL_SECONDS)
        return limit + CARRIER_MARGIN_SECONDS if self.wait_for_end else limit

    def _check_literals(self) -> None:
        """Refuse now what no rendering can mend; numbers only by their shape, which costs nothing."""
        self._check_if_not_answered()
        for field in [*self._given(), *(["caller_fields"] if self.caller_fields is not None else [])]:
            if not self.wait_for_end:
                raise InvalidInput(
                    f"{field} needs wait_for_end=True: without it this task rings the phone, and AcceptCallOperator "
                    f"takes {field}",
                    field=field,
                )
        for field in ("campaign", "contact"):
            value = getattr(self, field)
            if is_literal(value) and (field == "campaign" or value is not None):
                self._key(field)
        for field, check in (
            ("attempt", self._attempt),
            ("ring_seconds", self._ring_seconds),
            ("max_duration_seconds", self._max_duration),
        ):
            if is_literal(getattr(self, field)):
                check()
        for field in ("to", "from_number"):
            value = getattr(self, field)
            if is_literal(value) and value is not None:
                check_number_shape(value, field)
        if self.max_lateness_seconds is not None:
            read_number(self.max_lateness_seconds, "max_lateness_seconds", at_least=0)


def _run_type(dag_run: Any) -> str:
    return str(getattr(dag_run.run_type, "value", dag_run.run_type))


def _started_at(dag_run: Any) -> datetime:
    """Return when the run started; Airflow forgets it when the run is cleared."""
    return dag_run.start_date or datetime.now(timezone.utc)


def check_number_shape(value: object, field: str) -> None:
    """
    Refuse what cannot be an E.164 number by its shape alone; whether its country has such numbers is checked later.

    :raises InvalidPhoneNumber: No ``+`` and digits.
    """
    from airflow_openai_realtime.api.phone_numbers import mask_number
    from airflow_openai_realtime.exceptions import InvalidPhoneNumber

    text = value if isinstance(value, str) else ""
    if not (text.startswith("+") and text[1:].isdigit() and text.isascii() and 7 <= len(text) - 1 <= 15):
        raise InvalidPhoneNumber(
            f"{field} {mask_number(str(value))} is not E.164: write + and the country code, no spaces, "
            "like +14155550123",
            field=field,
        )
