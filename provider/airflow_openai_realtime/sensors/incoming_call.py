"""The sensor for incoming calls: it waits for a call, and optionally answers it and runs it to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.calls.answer_plan import (
    ANSWER_FIELDS,
    SESSION_FIELDS,
    check_answer,
    session_as_dict,
)
from airflow_openai_realtime.calls.parameters import (
    SAFE_RETRIES,
    SAFE_RETRY_DELAY,
    check_match_literals,
    read_match,
    read_seconds,
)
from airflow_openai_realtime.conversation.given_conversation import SILENCE_SECONDS, TEMPLATED_CONVERSATION_FIELDS
from airflow_openai_realtime.exceptions import DialError, InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import CallTask
from airflow_openai_realtime.operators.call_to_end import (
    NOT_ANSWERED,
    OUTCOME_KEY,
    TIMEOUT,
    check_conversation,
    refuse_execution_timeout,
)
from airflow_openai_realtime.operators.task_acceptance import KILL_REQUEST_SECONDS, TaskAcceptance
from airflow_openai_realtime.states import AttemptOutcome

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
    from airflow_openai_realtime.operators.call_wait import CallWait
    from airflow_openai_realtime.outbound.carriers.port import CarrierSettings

#: What to do when the placed call is not answered.
IfNotAnswered = Literal["skip", "fail"]
_FOR_ANSWER = (*SESSION_FIELDS, "caller_fields")


@dataclass(frozen=True)
class _Order:
    """A placed call for which a worker waits, with the client to cancel it."""

    carrier: CarrierSettings
    carrier_call_id: str
    attempt_id: str
    switchboard: SwitchboardAddress


class IncomingCallSensor(CallTask, BaseSensorOperator):
    """
    Wait for a ringing call, claim it, and return it.

    A claim is exclusive: no other sensor gets the same call. It belongs to the task, not to one try of it: after a
    retry or clear, the sensor gets its own call again while the call lasts. It also finds a call that began to ring
    shortly before it started. A caller hears ringing until the call is accepted, so let ``AcceptCallOperator`` follow
    at once.

    With ``answer`` the sensor accepts the call as soon as it finds it, and returns the accepted call. Session and
    instructions are rendered and checked when the task starts, so neither a worker nor the scheduler delays the accept.
    ``caller_fields`` puts fields of the call into the instructions. Set the session as a whole (``session``), by its
    common fields, or both, if they do not contradict each other. A call that is gone before the accept is skipped, and
    the sensor waits for the next one. Let ``WatchCallOperator`` follow, and ``HangupCallOperator`` as teardown; or set
    ``wait_for_end``: then the task stays with the call, and returns its result.

    For a call that ``PlaceCallOperator`` has placed, pass its result as ``placed``. The sensor then waits for
    just that call, and asks the carrier for its status: when the phone is not answered, the task ends as
    ``if_not_answered`` says, with the outcome in XCom under ``outcome`` and in the ledger.

    Patterns are plain text with ``*`` (any text) and ``?`` (one character).

    When the task is marked as failed or successful while it owns the call, the call ends; when it is cleared, the call
    waits a minute for the next try (Airflow 3.3 and later; with 3.2 the switchboard ends it at ``hangup_at``). A placed
    call that still rings is canceled at the carrier.

    Retries: after a retry, a clear or a move to another triggerer, the task finds the call that it has claimed or
    accepted and returns it, while the call lasts; it accepts no call twice and takes no second call. With
    ``wait_for_end`` it continues that call; if the call is over, it returns its result.

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write any text into headers. Templated.
    :param placed: Result of ``PlaceCallOperator``, to wait for that call alone. Templated.
    :param if_not_answered: With ``placed``, when the phone is not answered: ``skip`` (default) or ``fail``.
    :param answer: Whether the triggerer accepts the call, tens of milliseconds after it began to ring. ``False``
        (default): the call is only claimed, and the parameters from ``session`` to ``caller_fields`` and
        ``wait_for_end`` cannot be set.
    :param session: With ``answer``: whole session configuration, a ``RealtimeSession`` or a dict of the same form;
        ``None`` uses OpenAI's defaults. Templated, like all session parameters.
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
    :param include: Names of further fields that events should include, as a list.
    :param tracing: ``auto`` or a dict.
    :param truncation: ``auto``, ``disabled`` or a dict.
    :param extra_fields: Fields that OpenAI added after this release; merged into the request.
    :param caller_fields: Fields of the call to put into the instructions, by placeholder: ``{"caller_number":
        "from_number", "order": "headers.X-Order-Id"}`` replaces ``{caller_number}`` and ``{order}``. Sources are
        ``from_number``, ``to_number`` and ``headers.NAME``. Values are quoted and marked as
        data for the model. With it, double each literal brace in the instructions. Templated.
    :param max_duration_seconds: With ``answer``: longest call in seconds from the accept, above 0, at most 3,600.
        Templated.
    :param wait_for_end: With ``answer``: whether the task stays with the call until it is over and returns its result.
        It stays in the triggerer and takes no worker slot. Without it, the parameters from ``greeting`` to
        ``transcript_path`` cannot be set.
    :param greeting: What the model says first, at most 2,000 characters; ``None``: it waits until the caller speaks.
        Templated.
    :param silence_seconds: Seconds of silence after which the call is hung up, above 0, at most 3,600; ``None``: no
        limit. Templated.
    :param end_call: Whether the model may end the call when the conversation is over. Templated.
    :param goodbye: What the model says some seconds before the time is over, at most 2,000 characters; ``None``: the
        call is cut off. Templated.
    :param result_model: Form of the result that the model records: a pydantic class, its import path, or a JSON schema
        of an object. Not templated, since it names code.
    :param functions: Functions that the model may call: functions, import paths, or dicts of ``path``, ``name``,
        ``description`` and ``timeout_seconds``. They run in the triggerer, so it must be able to import their module.
        Not templated.
    :param transfer_to: Transfer targets by name: a ``tel:`` or ``sip:`` URI, or a dict of ``target_uri`` and
        ``description``. Templated.
    :param prices: Your prices for the estimate of the cost, in US dollars by model. Templated.
    :param transcript_path: Where to write the transcript: a file (``….json`` or ``….txt``) or a folder (ends with
        ``/``), for example ``s3://aws_default@bucket/calls/``. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param telephony_carrier_conn_id: With ``placed``: connection of the carrier; that of the placed call when left out.
        Templated.
    :param deferrable: Wait in the triggerer (default), or in the worker. With ``mode="reschedule"`` always the latter.
    :param timeout: How long to wait, in seconds above 0 or as a ``timedelta``; then the task fails without a retry, or
        is skipped with ``soft_fail``.
    :param poke_interval: Pause between two looks in the worker, in seconds or as a ``timedelta``.
    :param retries: How often Airflow tries again, 0 or more; 3 unless set here or in ``default_args``. A retry loses no
        call, and a busy scheduler can fail a task whose trigger fires soon after it deferred.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since a phone may be
        ringing.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: The call as a dict: ``call_id``, ``from_number``, ``to_number``, ``headers`` (names in lower case),
        ``received_at``, ``claimed_by`` and more; with ``answer`` also ``accepted_at`` and ``hangup_at``. With
        ``wait_for_end`` the result of the call, as
        :class:`~airflow_openai_realtime.calls.result.CallResult` describes it.
    :raises InvalidInput: A value is invalid; nothing was sent. ``InvalidSession`` lists all problems of the session.
    :raises AirflowSensorTimeout: No call came in time.
    :raises CallError: A call was not accepted. It rings on for others, or that is not known and it is kept; a retry
        continues with it, or waits for the next one.
    :raises SwitchboardUnreachable: The switchboard did not answer when the task started.

    Source: https://developers.openai.com/api/docs/guides/webhooks
    """

    template_fields: Sequence[str] = (
        "to",
        "from_number",
        "headers",
        "placed",
        *ANSWER_FIELDS,
        *TEMPLATED_CONVERSATION_FIELDS,
        "openai_realtime_conn_id",
        "telephony_carrier_conn_id",
    )
    template_fields_renderers = {
        "session": "json",
        "tools": "json",
        "instructions": "md",
        "caller_fields": "json",
        "transfer_to": "json",
        "prices": "json",
    }
    ui_color = BaseSensorOperator.ui_color

    def __init__(
        self,
        *,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        placed: Mapping[str, Any] | str | None = None,
        if_not_answered: IfNotAnswered = "skip",
        answer: bool = False,
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
        max_duration_seconds: float | str = 600,
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
        telephony_carrier_conn_id: str | None = None,
        deferrable: bool = True,
        timeout: timedelta | float = 300,
        poke_interval: timedelta | float = 1,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            timeout=read_seconds(timeout, "timeout", above=0),
            poke_interval=poke_interval,
            retries=retries,
            retry_delay=retry_delay,
            map_index_template=map_index_template,
            **kwargs,
        )
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.placed = placed
        self.if_not_answered = if_not_answered
        self.answer = answer
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
        self.deferrable = deferrable
        self._acceptance = TaskAcceptance()
        self._order: _Order | None = None
        self._check_literals()
        self.note_given()

    def execute(self, context: Context) -> Any:
        """Look for a call now, else wait; see the class."""
        self.check_given()
        wait = self._wait(context)
        if not self.deferrable or self.reschedule:
            return self._wait_in_worker(context, wait)
        return wait.begin()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Read the trigger's event and fetch the call.

        :param context: Airflow's task context.
        :param event: Event of the trigger.
        :raises AirflowSensorTimeout: No call came in time.
        :raises AirflowSkipException: The same, with ``soft_fail``; or the placed call was not answered.
        :raises SwitchboardRefused: The switchboard refused the token; waiting longer cannot help.
        """
        wait, event = self._wait(context), event or {}
        if event.get("status") == TIMEOUT:
            if event.get("outcome") is not None:
                wait.note_not_answered(str(event["outcome"]))
            message = f"no call came within {self.timeout:g} s"
            raise AirflowSkipException(message) if self.soft_fail else AirflowSensorTimeout(message)
        if event.get("status") == NOT_ANSWERED:
            self._end_unanswered(wait, str(event.get("outcome")))
        return wait.resume(event)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once, from the worker."""
        wait = self._wait(context)
        found = wait.now()
        if found is None:
            outcome = self._carrier_outcome(wait)
            if outcome is not None:
                # The call may have come in since the carrier's answer.
                found = wait.now()
                if found is None:
                    self._end_unanswered(wait, outcome)
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def on_kill(self) -> None:
        """Cancel the placed call that the sensor waits for in a worker, and end a call that it is accepting."""
        self._acceptance.kill()
        if self._order is not None:
            self._take_back(replace(self._order.carrier, timeout_seconds=KILL_REQUEST_SECONDS), KILL_REQUEST_SECONDS)

    def _wait(self, context: Context) -> CallWait:
        from airflow_openai_realtime.operators.call_wait import CallWait

        placed = None
        if self.placed is not None:
            from airflow_openai_realtime.outbound.placed import read_placed

            placed = read_placed(self.placed)
        return CallWait(
            task=self,
            context=context,
            match=read_match(
                self.to, self.from_number, self.headers, placed.correlation_id if placed is not None else None
            ),
            timeout_seconds=self.timeout,
            acceptance=self._acceptance,
            answer=self.answer,
            wait_for_end=self.wait_for_end,
            unanswered=self._end_unanswered,
            placed=placed,
            carrier_conn_id=self.telephony_carrier_conn_id or (placed.carrier_conn_id if placed is not None else None),
        )

    def _end_unanswered(self, wait: CallWait, outcome: str) -> NoReturn:
        """End the task, since the placed call does not come in."""
        if outcome != AttemptOutcome.ANSWERED:
            wait.note_not_answered(outcome)
        wait.context["ti"].xcom_push(key=OUTCOME_KEY, value=str(outcome))
        message = (
            "the placed call came in before and is over, or another task has it"
            if outcome == AttemptOutcome.ANSWERED
            else f"the placed call did not come in: {outcome}"
        )
        self.log.info("%s", message)
        if self.if_not_answered == "skip" or self.soft_fail:
            raise AirflowSkipException(message)
        # A retry cannot help: the attempt is over.
        raise AirflowFailException(message)

    def _wait_in_worker(self, context: Context, wait: CallWait) -> Any:
        placed = wait.placed
        if placed is not None and placed.carrier_call_id is not None and wait.carrier_conn_id is not None:
            from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook

            # Looked up in advance: a task that is being killed must not ask its supervisor.
            carrier = TelephonyCarrierHook(telephony_carrier_conn_id=wait.carrier_conn_id).settings()
            self._order = _Order(carrier, placed.carrier_call_id, placed.attempt_id, wait.hook.line().switchboard)
        try:
            return BaseSensorOperator.execute(self, context)
        except (AirflowSensorTimeout, AirflowSkipException):
            if self._order is not None:
                self._take_back(self._order.carrier)
            raise

    def _take_back(self, settings: CarrierSettings, timeout_seconds: float = 10.0) -> None:
        """Cancel the placed call at the carrier, or end it when it was picked up in this moment; note it."""
        from airflow_openai_realtime.outbound.carriers.twilio import dialer_for
        from airflow_openai_realtime.outbound.placed import outcome_of, take_back_now
        from airflow_openai_realtime.outbound.placing import note_outcome
        from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

        order, self._order = self._order, None
        if order is None:
            return
        with dialer_for(settings) as dialer:
            call = take_back_now(dialer, order.carrier_call_id, self._warn)
        if call is None:
            return
        at = order.switchboard
        with SwitchboardClient(at.url, at.token, line=at.line, timeout_seconds=timeout_seconds) as switchboard:
            outcome = outcome_of(call) if call.final else AttemptOutcome.GONE
            note_outcome(switchboard, order.attempt_id, outcome, self._warn)

    def _carrier_outcome(self, wait: CallWait) -> str | None:
        if wait.placed is None or wait.carrier_conn_id is None:
            return None
        from airflow_openai_realtime.hooks.telephony_carrier import TelephonyCarrierHook
        from airflow_openai_realtime.outbound.placed import carrier_outcome

        try:
            with TelephonyCarrierHook(telephony_carrier_conn_id=wait.carrier_conn_id).dialer() as dialer:
                return carrier_outcome(dialer, wait.placed)
        except DialError as error:
            self._warn(f"The carrier does not report the status of the call; retrying: {error}")
            return None

    def _warn(self, line: str) -> None:
        self.log.warning("%s", line)

    def _check_literals(self) -> None:
        """Reject invalid literals and contradictory parameters at parse time."""
        if self.if_not_answered not in get_args(IfNotAnswered):
            # PlaceCallOperator, which may share default_args, knows more ways.
            self.ignore_shared(["if_not_answered"], {"if_not_answered": "skip"})
        if self.if_not_answered not in get_args(IfNotAnswered):
            raise InvalidInput(
                f"if_not_answered must be one of {', '.join(get_args(IfNotAnswered))}; it is {self.if_not_answered!r}",
                field="if_not_answered",
            )
        check_match_literals(self.to, self.from_number, self.headers)
        if not isinstance(self.answer, bool):
            raise InvalidInput(
                "answer must be True or False; what calls are accepted with is given as session, or by its fields",
                field="answer",
            )
        if not self.answer:
            self._refuse_without_answer()
        conversation = check_conversation(self, self.wait_for_end)
        if self.deferrable and not self.reschedule:
            refuse_execution_timeout(self, "timeout, which limits the waiting,")
        if self.answer:
            check_answer(vars(self), conversation.offered_tools() if self.wait_for_end else ())

    def _refuse_without_answer(self) -> None:
        self.ignore_shared(_FOR_ANSWER)
        self.ignore_shared(["wait_for_end"], {"wait_for_end": False})
        mine = vars(self)
        given = [name for name in _FOR_ANSWER if mine[name] is not None]
        if self.wait_for_end is not False:
            given.append("wait_for_end")
        if given:
            raise InvalidInput(
                f"{given[0]} needs answer=True: without it the call is only claimed, and AcceptCallOperator takes "
                f"{given[0]}",
                field=given[0],
            )
