"""Accepting a ringing call, and perhaps staying with it until it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_openai_realtime.calls.answer_plan import ANSWER_FIELDS, check_answer, session_as_dict
from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY
from airflow_openai_realtime.conversation.given_conversation import SILENCE_SECONDS, TEMPLATED_CONVERSATION_FIELDS
from airflow_openai_realtime.exceptions import (
    AcceptFailed,
    CallAlreadyDecided,
    CallGone,
    SwitchboardUnreachable,
    UnknownCall,
)
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import CallTask, IfGone, call_of, check_call, settle_gone
from airflow_openai_realtime.operators.call_to_end import (
    call_that_is_over,
    check_conversation,
    finished,
    read_answer,
    run_in_triggerer,
)
from airflow_openai_realtime.operators.task_acceptance import TaskAcceptance

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession
    from airflow_openai_realtime.calls.answer_plan import AnswerPlan
    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.parameters import CallReference
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient


class AcceptCallOperator(CallTask):
    """
    Accept a ringing call: from now on the model talks with the caller.

    The session is given whole (``session``), by its common fields, or both, where they do not contradict each other.
    What needs no rendering is checked at parse time, the rest in the task, before anything is sent.

    With ``wait_for_end`` the task stays with the call, in the triggerer, and returns what came of it.

    Every accepted call has an end: before OpenAI is asked, the switchboard stores when the call must be over, and ends
    it then, whichever process dies. When the task is killed while it accepts the call, the call ends; when it is
    cleared, the call waits a minute for the next try.

    When OpenAI refuses the accept (a wrong key, a session that it does not take), the task fails and the phone rings
    on: a retry, another sensor or a fallback order may take the call. On 429, 5xx and without a connection it is asked
    again as long as the phone rings. When no clear answer came, the call's sideband tells whether it was accepted.

    Retries: another try of this task (or of a cleared run) accepts nothing twice. When an earlier try has accepted the
    call, the task succeeds with that call. An answer "already decided" counts as that too if an earlier try may have
    asked OpenAI; otherwise another client decided, and the task fails and leaves the call alone.
    With ``wait_for_end`` it attaches to that call again; when it is over by now, it returns its result.

    :param call: The call as ``IncomingCallSensor`` returns it, or its id. Templated.
    :param call_id: Its id alone (``rtc_u1_abc``), instead of ``call``. Then a claim by a task of the same DAG run is
        used. Templated.
    :param if_gone: What to do when the caller has hung up before: ``skip`` (default), ``succeed`` or ``fail``.
    :param session: Whole session configuration: a ``RealtimeSession`` or a dict of the same shape. Templated, as all of
        the session.
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
    :param max_duration_seconds: When the call is ended at the latest, in seconds from accepting it, above 0, at most
        3,600. Templated.
    :param wait_for_end: Whether the task stays with the call until it is over and returns its result. It stays in the
        triggerer and takes no worker slot. Without it, the parameters from ``greeting`` to ``transcript_path`` cannot
        be given.
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
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again, 0 or more; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since a phone is ringing.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: The call as a dict, with ``accepted_at`` and ``hangup_at``. With ``wait_for_end`` the result of the call,
        as :class:`~airflow_openai_realtime.calls.result.CallResult` describes it.
    :raises InvalidInput: A value cannot be used; nothing was sent. ``InvalidSession`` names all that is wrong.
    :raises AirflowFailException: A retry cannot help: the call could not be accepted while it rang, and is over; or,
        with ``wait_for_end``, another owner has it.
    :raises CallError: It was not accepted. The phone rings on, or that is not known and the call is kept for a retry.
    :raises SwitchboardUnreachable: Nothing was sent to OpenAI.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    template_fields: Sequence[str] = (
        "call",
        "call_id",
        "openai_realtime_conn_id",
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
    masked_fields = ("call",)

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        if_gone: IfGone = "skip",
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
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, map_index_template=map_index_template, **kwargs)
        self.call = call
        self.call_id = call_id
        self.if_gone = if_gone
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
        self._acceptance = TaskAcceptance()
        check_call(self, if_gone)
        conversation = check_conversation(self, wait_for_end)
        check_answer(vars(self), conversation.offered_tools() if wait_for_end else ())
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Accept the call; see the class."""
        self.check_given()
        reference = call_of(self)
        plan, wanted = read_answer(self, wait_for_end=self.wait_for_end)
        if wanted is not None:
            return self._accept_and_wait(context, reference, plan, wanted)
        try:
            return {**self._accept(context, reference, plan).to_dict(), **self._about()}
        except CallGone as error:
            settle_gone(self.if_gone, error, self.log)
            call = self.plain("call")
            given = call if isinstance(call, dict) else {}
            return {**given, "call_id": reference.call_id, "state": "ended", "end_reason": "gone"}

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Return the result of the call that the trigger has run.

        :param context: Airflow's.
        :param event: The trigger's.
        :raises CallError: The call could not be run.
        """
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        call_id = call_that_is_over(event)
        with self._hook().switchboard() as switchboard:
            return finished(self, context, switchboard, switchboard.send(get_call(call_id)), self._about())

    def on_kill(self) -> None:
        """End the call that is being accepted; a cleared task's call waits for the next try."""
        self._acceptance.kill()

    def _accept_and_wait(
        self, context: Context, reference: CallReference, plan: AnswerPlan, wanted: WantedConversation
    ) -> dict[str, Any]:
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        with self._hook().switchboard() as switchboard:
            before = _accepted_before(switchboard, reference.call_id)
            if before is not None and before.is_over:
                return finished(self, context, switchboard, before, self._about())
            try:
                call = self._accept(context, reference, plan)
            except CallGone as error:
                settle_gone(self.if_gone, error, self.log)
                return finished(
                    self, context, switchboard, switchboard.send(get_call(reference.call_id)), self._about()
                )
            except CallAlreadyDecided as error:
                # Another owner has it: a retry would only find it gone.
                raise AirflowFailException(str(error)) from error
        return run_in_triggerer(self, context, wanted, call)

    def _accept(self, context: Context, reference: CallReference, plan: AnswerPlan) -> SwitchboardCall:
        from airflow_openai_realtime.calls.task_states import reference_to
        from airflow_openai_realtime.inbound.accepting import accepting_owner

        with self._hook().clients() as at:
            try:
                owner = accepting_owner(reference, context["ti"], at.switchboard)
                acceptance = self._acceptance.begin(
                    at.line, at.calls, at.switchboard, reference.call_id, owner, reference_to(context["ti"]), self.log
                )
                call = acceptance.accept(plan.session_for, plan.max_duration_seconds)
            except AcceptFailed as error:
                # Not skipped as a caller's end: the failure is ours. But the phone rings no more.
                raise AirflowFailException(str(error)) from error
            except SwitchboardUnreachable as error:
                raise SwitchboardUnreachable(
                    f"call {reference.call_id} was not accepted: the switchboard, which would end it in time, does not "
                    f"answer. {error}",
                    call_id=reference.call_id,
                    status=error.status,
                ) from error
        self.log.info("Call %s is accepted; it is ended at %s at the latest.", call.call_id, call.hangup_at)
        return call

    def _about(self) -> dict[str, Any]:
        """Return what the given call says of the attempt from which it came."""
        from airflow_openai_realtime.outbound.placed import about_given

        return about_given(self.plain("call"))

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)


def _accepted_before(switchboard: SwitchboardClient, call_id: str) -> SwitchboardCall | None:
    """Return a call that was accepted before, by whomever; it may be over."""
    from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

    try:
        call = switchboard.send(get_call(call_id))
    except UnknownCall:
        return None
    return call if call.accepted_at is not None else None
