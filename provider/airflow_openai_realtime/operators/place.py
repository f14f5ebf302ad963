"""Ringing a phone, and perhaps staying with the call until it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_openai_realtime.calls.answer_plan import (
    ANSWER_FIELDS,
    SESSION_FIELDS,
    check_answer,
    session_as_dict,
)
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY
from airflow_openai_realtime.conversation.given_conversation import SILENCE_SECONDS, TEMPLATED_CONVERSATION_FIELDS
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
from airflow_openai_realtime.operators.call_link import LABEL, person_label
from airflow_openai_realtime.operators.call_task import CallTask
from airflow_openai_realtime.operators.call_to_end import (
    NOT_ANSWERED,
    OUTCOME_KEY,
    TIMEOUT,
    check_conversation,
    finished,
    read_answer,
    report_result,
)
from airflow_openai_realtime.operators.dialing import PlaceParameters
from airflow_openai_realtime.operators.task_acceptance import TaskAcceptance
from airflow_openai_realtime.states import AttemptOutcome, CallState, EndReason

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.call import Attempt, SwitchboardCall
    from airflow_openai_realtime.operators.call_wait import CallWait
    from airflow_openai_realtime.outbound.placed import Placement
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: What to do when the phone is not answered.
IfPlacedNotAnswered = Literal["result", "skip", "fail"]
#: How long a call may last by default, in seconds: from picking up, and with ``wait_for_end`` from the accept.
CARRIER_SECONDS = 900
CALL_SECONDS = 600
#: How late a scheduled run may start and still dial, in seconds: longer than a busy scheduler takes, and short enough
#: that an unpaused DAG does not make up for the run that it missed.
MAX_LATENESS_SECONDS = 300.0
#: How long after the last ring the call may take to come in, in seconds: the person picks up, the carrier connects, and
#: OpenAI's event may be delivered a second time.
COMING_IN_SECONDS = 120.0
_FOR_ANSWER = (*SESSION_FIELDS, "caller_fields")


class PlaceCallOperator(CallTask):
    """
    Ring a person's phone through a carrier, and connect it to OpenAI when it is answered.

    The answered call then comes in as any other: give what this task returns to ``IncomingCallSensor(placed=…)``.

    Or give ``wait_for_end``: then this one task rings the phone, accepts the call when it comes in, stays with it in
    the triggerer until it is over, and returns what came of it.

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
    :param contact: Stable key of the person to dial; the number when left out. Templated.
    :param attempt: 1 for the first attempt to reach this contact, 2 for the second. Templated.
    :param from_number: Number the person sees, E.164; the connection's caller number when left out. Templated.
    :param ring_seconds: How long to let it ring, in seconds, 1 to 600. Templated.
    :param if_not_answered: With ``wait_for_end``, when it is not answered: ``result`` (default; ``outcome`` says
        ``no_answer``, ``busy``, ``failed``, ``gone`` or ``unknown``), ``skip`` or ``fail``.
    :param dial_in_backfill: Whether a backfill rings phones.
    :param max_lateness_seconds: How late a scheduled run may start and still dial, in seconds from its ``run_after``, 0
        or more; 300 by default, ``None`` for no limit.
    :param session: With ``wait_for_end``: whole session configuration to accept the call with, a ``RealtimeSession`` or
        a dict of the same shape; nothing given means OpenAI's defaults. Templated, as all of the session.
    :param model: Model, for example ``gpt-realtime-2.1``.
    :param instructions: Instructions for the model: its role and its task.
    :param voice: Voice, for example ``marin``.
    :param speed: Speed of speech, 0.25 to 1.5.
    :param tools: Functions and MCP servers that the model may use, as a list of dicts.
    :param tool_choice: ``auto``, ``none``, ``required`` or one tool as a dict.
    :param parallel_tool_calls: Whether several tools may be called at once; only reasoning models.
    :param transcription_model: Switches the transcript of the caller's words on; for example ``gpt-transcribe``.
    :param transcription_language: A code of ISO 639-1, for example ``en``.
    :param turn_detection: ``server_vad``, ``semantic_vad`` or a dict.
    :param noise_reduction: ``near_field``, ``far_field`` or a dict.
    :param max_output_tokens: Tokens in one response, 1 to 4096, or ``inf``.
    :param output_modalities: ``["audio"]`` or ``["text"]``.
    :param reasoning_effort: ``minimal`` to ``xhigh``; only reasoning models.
    :param include: More that events shall include, as a list of names.
    :param tracing: ``auto`` or a dict.
    :param truncation: ``auto``, ``disabled`` or a dict.
    :param extra_fields: Fields that OpenAI added after this release; merged into the request.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder: ``{"caller_number":
        "from_number", "order": "headers.X-Order-Id"}`` replaces ``{caller_number}`` and ``{order}``. Sources are
        ``from_number``, ``to_number`` and ``headers.NAME``. Values are quoted, and a notice marks them for the model as
        data. With it, a brace that is meant as one is doubled in the instructions. Templated.
    :param max_duration_seconds: When the call is ended at the latest, in seconds above 0, at most 3,600; ``None``: 600
        with ``wait_for_end``, 900 without. With ``wait_for_end`` it counts from accepting the call, and the carrier
        ends the call two minutes later. Without, the carrier ends it so long after the person has picked up: give more
        than ``AcceptCallOperator``'s (600) and the minute in which the call waits to be accepted. Templated.
    :param wait_for_end: Whether the task also answers the call, stays with it until it is over and returns its result.
        It stays in the triggerer and takes no worker slot. Without it, the parameters from ``session`` to
        ``caller_fields`` and from ``greeting`` to ``transcript_path`` cannot be given.
    :param greeting: What the model says first, at most 2,000 characters; ``None``: it waits until the caller speaks.
        Templated.
    :param silence_seconds: The call is hung up when neither side has spoken for so long, in seconds above 0, at most
        3,600; ``None``: no limit. Templated.
    :param end_call: Whether the model may end the call itself when the conversation is over. Templated.
    :param goodbye: What the model says some seconds before the time is over, at most 2,000 characters; ``None``: the
        call is cut off. Templated.
    :param result_model: What the call is to find out: a pydantic class, its import path, or a JSON schema of an object.
        The model records it; it is in the result. Not templated, since it names code.
    :param functions: What the model may call: functions, their import paths, or dicts of ``path``, ``name``,
        ``description`` and ``timeout_seconds``. They run in the triggerer, so they stand in a module that it can
        import. Not templated.
    :param transfer_to: Where the model may transfer the call to: for each name a ``tel:`` or ``sip:`` URI, or a dict of
        ``target_uri`` and ``description``. Templated.
    :param prices: Own prices for the estimate of the cost, US dollars by model. Templated.
    :param transcript_path: Where to write the transcript: a file (``….json`` or ``….txt``) or a folder (ends with
        ``/``), for example ``s3://aws_default@bucket/calls/``. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``, for the ledger. Templated.
    :param telephony_carrier_conn_id: Connection of type ``telephony_carrier``. Templated.
    :param retries: How often Airflow tries again, 0 or more; 3 unless set here or in ``default_args``. A retry dials
        nothing twice.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: ``attempt_id``, ``campaign``, ``contact``, ``attempt``, ``correlation_id``, ``carrier_call_id``,
        ``carrier_conn_id``, ``to_masked``, ``status`` (``placed`` or ``already_placed``), ``placed_at``. With
        ``wait_for_end`` the result of the call, as
        :class:`~airflow_openai_realtime.calls.result.CallResult` describes it, with ``attempt_id``,
        ``campaign``, ``contact``, ``attempt`` and ``to_masked``; ``call_id`` is ``None`` when it never came in.
    :raises InvalidInput: A value cannot be used; ``InvalidPhoneNumber`` for a number. Nothing was dialed.
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
        *ANSWER_FIELDS,
        *TEMPLATED_CONVERSATION_FIELDS,
    )
    template_fields_renderers = {
        "session": "json",
        "tools": "json",
        "instructions": "md",
        "caller_fields": "json",
        "transfer_to": "json",
        "prices": "json",
    }
    masked_fields = ("to", "contact")

    def __init__(
        self,
        *,
        to: str,
        campaign: str,
        contact: str | None = None,
        attempt: int | str = 1,
        from_number: str | None = None,
        ring_seconds: float | str = 30,
        if_not_answered: IfPlacedNotAnswered = "result",
        dial_in_backfill: bool = False,
        max_lateness_seconds: float | None = MAX_LATENESS_SECONDS,
        session: RealtimeSession | Mapping[str, Any] | str | None = None,
        model: str | None = None,
        instructions: str | None = None,
        voice: str | Mapping[str, Any] | None = None,
        speed: float | str | None = None,
        tools: Sequence[Any] | str | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | str | None = None,
        transcription_model: str | None = None,
        transcription_language: str | None = None,
        turn_detection: str | Mapping[str, Any] | None = None,
        noise_reduction: str | Mapping[str, Any] | None = None,
        max_output_tokens: int | str | None = None,
        output_modalities: Sequence[str] | str | None = None,
        reasoning_effort: str | None = None,
        include: Sequence[str] | str | None = None,
        tracing: str | Mapping[str, Any] | None = None,
        truncation: str | Mapping[str, Any] | None = None,
        extra_fields: Mapping[str, Any] | str | None = None,
        caller_fields: Mapping[str, str] | str | None = None,
        max_duration_seconds: float | str | None = None,
        wait_for_end: bool = False,
        greeting: str | None = None,
        silence_seconds: float | str | None = SILENCE_SECONDS,
        end_call: bool | str = True,
        goodbye: str | None = None,
        result_model: Any = None,
        functions: Sequence[Any] | None = None,
        transfer_to: Mapping[str, Any] | str | None = None,
        prices: Mapping[str, Any] | str | None = None,
        transcript_path: str | None = None,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        telephony_carrier_conn_id: str = TelephonyCarrierHook.default_conn_name,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, map_index_template=map_index_template, **kwargs)
        self.to = to
        self.campaign = campaign
        self.contact = contact
        self.attempt = attempt
        self.from_number = from_number
        self.ring_seconds = ring_seconds
        self.if_not_answered = if_not_answered
        self.dial_in_backfill = dial_in_backfill
        self.max_lateness_seconds = max_lateness_seconds
        self.session = session_as_dict(session)
        self.model = model
        self.instructions = instructions
        self.voice = voice
        self.speed = speed
        self.tools = tools
        self.tool_choice = tool_choice
        self.parallel_tool_calls = parallel_tool_calls
        self.transcription_model = transcription_model
        self.transcription_language = transcription_language
        self.turn_detection = turn_detection
        self.noise_reduction = noise_reduction
        self.max_output_tokens = max_output_tokens
        self.output_modalities = output_modalities
        self.reasoning_effort = reasoning_effort
        self.include = include
        self.tracing = tracing
        self.truncation = truncation
        self.extra_fields = extra_fields
        self.caller_fields = caller_fields
        self.max_duration_seconds = max_duration_seconds
        self.wait_for_end = wait_for_end
        self.greeting = greeting
        self.silence_seconds = silence_seconds
        self.end_call = end_call
        self.goodbye = goodbye
        self.result_model = result_model
        self.functions = functions
        self.transfer_to = transfer_to
        self.prices = prices
        self.transcript_path = transcript_path
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self.telephony_carrier_conn_id = telephony_carrier_conn_id
        self._acceptance = TaskAcceptance()
        self._check_literals()
        self.note_given()

    @property
    def call_label(self) -> str:
        """Contact and masked number."""
        return person_label(self.plain("contact"), self.plain("to"))

    def execute(self, context: Context) -> dict[str, Any]:
        """Dial the phone, unless it was dialed before; see the class."""
        self.check_given()
        if not self.wait_for_end:
            return self._placed_result(self._place(context))
        # A mistake is to show before the phone rings.
        plan, _ = read_answer(self, wait_for_end=True)
        placement = self._place(context, plan.session.get("model"))
        self._placed_result(placement)
        return self._wait(context, placement.attempt).begin()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Return what came of the call.

        :param context: Airflow's.
        :param event: The trigger's.
        """
        event = event or {}
        attempt = self._find_attempt()
        self.shown_attempt_id = attempt.attempt_id
        wait = self._wait(context, attempt)
        if event.get("status") in (TIMEOUT, NOT_ANSWERED):
            return self._unanswered(wait, attempt, str(event.get("outcome") or TIMEOUT))
        return wait.resume(event)

    def on_kill(self) -> None:
        """End the call that is being accepted; a cleared task's call waits for the next try."""
        self._acceptance.kill()

    # -- ringing ------------------------------------------------------------------------------------------------------

    def _place(self, context: Context, model: str | None = None) -> Placement:
        """
        Dial, if nothing has before.

        :param model: The model that the call is accepted with, when this task accepts it.
        """
        from airflow_openai_realtime.outbound.placing import DialingRun, Placing

        carrier = TelephonyCarrierHook(telephony_carrier_conn_id=self.telephony_carrier_conn_id)
        ti, dag_run, hook = context["ti"], context["dag_run"], self._hook()
        run = DialingRun(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            run_type=str(dag_run.run_type.value if isinstance(dag_run.run_type, Enum) else dag_run.run_type),
            due_at=dag_run.run_after,
            started_at=dag_run.start_date,
            dial_in_backfill=self.dial_in_backfill,
            max_lateness_seconds=self.max_lateness_seconds,
        )
        with carrier.dialer() as dialer:
            order = self._parameters().order(dialer.account)
            api = hook.line().api
            with hook.switchboard() as switchboard:
                placing = Placing(switchboard, dialer, self._warn)
                placement = placing.reach(order, owner_name(ti), run, hook.calls, api, model)
                if isinstance(placement, str):
                    return self._placed_before(switchboard, placement)
                return placement

    def _placed_result(self, placement: Placement) -> dict[str, Any]:
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
        self.log.info("Not dialing: %s", reason)
        raise AirflowSkipException(reason)

    def _find_attempt(self) -> Attempt:
        with self._hook().switchboard() as switchboard:
            row = self._row_in_ledger(switchboard)
        if row is None:
            raise SwitchboardRefused("the ledger has no row of this attempt any more")
        return row

    def _row_in_ledger(self, switchboard: SwitchboardClient) -> Attempt | None:
        from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts

        campaign, contact, attempt = self._parameters().ledger_key()
        rows = switchboard.send(list_attempts(campaign, contact=contact))
        return next((row for row in rows if row.attempt == attempt), None)

    # -- staying with the call ----------------------------------------------------------------------------------------

    def _wait(self, context: Context, attempt: Attempt) -> CallWait:
        from airflow_openai_realtime.api.sip import CORRELATION_HEADER
        from airflow_openai_realtime.calls.matching import CallMatch
        from airflow_openai_realtime.operators.call_wait import CallWait
        from airflow_openai_realtime.outbound.placed import PlacedReference, about_attempt

        placed = PlacedReference(
            attempt_id=attempt.attempt_id,
            correlation_id=attempt.correlation_id,
            campaign=attempt.campaign,
            contact=attempt.contact,
            carrier_conn_id=self.telephony_carrier_conn_id,
            carrier_call_id=attempt.carrier_call_id,
            about=about_attempt(attempt),
        )
        return CallWait(
            task=self,
            context=context,
            match=CallMatch(headers={CORRELATION_HEADER: attempt.correlation_id}),
            timeout_seconds=self._parameters().read_ring_seconds() + COMING_IN_SECONDS,
            acceptance=self._acceptance,
            answer=True,
            wait_for_end=True,
            unanswered=lambda wait, outcome: self._unanswered(wait, attempt, outcome),
            placed=placed,
            carrier_conn_id=self.telephony_carrier_conn_id,
        )

    def _unanswered(self, wait: CallWait, attempt: Attempt, outcome: str) -> dict[str, Any]:
        """Return what came of an attempt whose call does not come in."""
        if outcome == AttemptOutcome.ANSWERED:
            return self._answered_before(wait, attempt)
        if outcome != TIMEOUT:
            wait.note_not_answered(outcome)
        failed = self._failed_call(wait) if outcome in (AttemptOutcome.FAILED, AttemptOutcome.GONE) else None
        if failed is not None:
            with wait.hook.switchboard() as switchboard:
                return finished(self, wait.context, switchboard, failed, wait.about)
        wait.context["ti"].xcom_push(key=OUTCOME_KEY, value=str(outcome))
        message = f"the placed call did not come in: {outcome}"
        self.log.info("%s", message)
        if self.if_not_answered == "skip":
            raise AirflowSkipException(message)
        if self.if_not_answered == "fail":
            # A retry could not change it: the attempt is over.
            raise AirflowFailException(message)
        from airflow_openai_realtime.calls.result import unanswered_result

        result = unanswered_result(outcome, wait.hook.line().switchboard.line)
        return report_result(self, wait.context, result, wait.about)

    def _answered_before(self, wait: CallWait, attempt: Attempt) -> dict[str, Any]:
        """Return the result of a call that another run of the same attempt has had."""
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        with wait.hook.switchboard() as switchboard:
            call = switchboard.send(get_call(attempt.call_id)) if attempt.call_id else None
            if call is not None and call.is_over:
                return finished(self, wait.context, switchboard, call, wait.about)
        raise AirflowFailException(
            f"another task has the call of this attempt ({attempt.call_id or 'unknown'}), and it goes on"
        )

    def _failed_call(self, wait: CallWait) -> SwitchboardCall | None:
        """Return the call of this attempt when an earlier try could not get it accepted."""
        from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls

        with wait.hook.switchboard() as switchboard:
            calls = switchboard.send(list_calls(state=f"{CallState.ENDED},{CallState.MISSED}")).calls
        return next(
            (call for call in calls if call.end_reason == EndReason.ACCEPT_FAILED and wait.match.matches(call)), None
        )

    # -- what was given -----------------------------------------------------------------------------------------------

    def _parameters(self) -> PlaceParameters:
        return PlaceParameters(
            to=self.plain("to"),
            campaign=self.campaign,
            contact=self.plain("contact"),
            attempt=self.attempt,
            from_number=self.from_number,
            ring_seconds=self.ring_seconds,
            max_duration_seconds=self.max_duration_seconds,
            wait_for_end=self.wait_for_end,
            telephony_carrier_conn_id=self.telephony_carrier_conn_id,
        )

    def _check_literals(self) -> None:
        """Reject at parse time what does not go together, and invalid literals."""
        conversation = check_conversation(self, self.wait_for_end)
        if self.max_duration_seconds is None:
            self.max_duration_seconds = CALL_SECONDS if self.wait_for_end else CARRIER_SECONDS
        if not self.wait_for_end:
            self._refuse_session()
        known = get_args(IfPlacedNotAnswered)
        if self.if_not_answered not in known:
            raise InvalidInput(
                f"if_not_answered must be one of {', '.join(known)}; it is {self.if_not_answered!r}",
                field="if_not_answered",
            )
        offered = conversation.offered_tools() if self.wait_for_end else ()
        check_answer(vars(self), offered)
        self._parameters().check_literals(self.max_lateness_seconds)

    def _refuse_session(self) -> None:
        self.ignore_shared(_FOR_ANSWER)
        mine = vars(self)
        for name in _FOR_ANSWER:
            if mine[name] is not None:
                raise InvalidInput(
                    f"{name} needs wait_for_end=True: without it this task rings the phone, and AcceptCallOperator "
                    f"takes {name}",
                    field=name,
                )

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)

    def _warn(self, line: str) -> None:
        self.log.warning("%s", line)
