"""Accepting a ringing call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.parameters import CallReference, is_literal, read_number, read_rendered
from airflow_openai_realtime.exceptions import CallGone, OpenAIRealtimeError, SwitchboardUnreachable
from airflow_openai_realtime.operators.call_operator import CallOperator, IfGone
from airflow_openai_realtime.operators.tool_secrets import hide_tool_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.api.session import RealtimeSession
    from airflow_openai_realtime.calls.accepting import Acceptance
    from airflow_openai_realtime.calls.claimant import TaskIdentity
    from airflow_openai_realtime.hooks.realtime import LineSettings
    from airflow_openai_realtime.switchboard.client import SwitchboardClient

#: OpenAI ends a session after an hour itself.
LONGEST_CALL_SECONDS = 3600
#: Limit for one request while the task is being killed, in seconds: Airflow kills it for good after five.
KILL_REQUEST_SECONDS = 2.0

_SESSION_FIELDS = (
    "model",
    "instructions",
    "voice",
    "speed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "transcription_model",
    "transcription_language",
    "turn_detection",
    "noise_reduction",
    "max_output_tokens",
    "output_modalities",
    "reasoning_effort",
    "include",
    "tracing",
    "truncation",
    "extra_fields",
)


class AcceptCallOperator(CallOperator):
    """
    Accept a ringing call: from now on the model talks with the caller.

    The session is given whole (``session``), by its common fields, or both, where they do not contradict each other.

    No call is left running that nobody watches: before OpenAI is asked, the switchboard knows when the call must be
    over, and ends it then whatever dies. When accepting fails, or the task is killed while it works, the call is hung
    up.

    Retries: another try of this task (or of a cleared run) accepts nothing twice. When an earlier try has accepted the
    call, the task succeeds with that call. An answer "already decided" counts as that too, if an earlier try had come
    as far as asking OpenAI; otherwise somebody else decided, and the task fails and leaves the call alone.

    :param call: The call as ``IncomingCallSensor`` returns it, or its id. Templated.
    :param call_id: Its id alone, instead of ``call``. Then a claim by a task of the same DAG run is used. Templated.
    :param session: Whole session configuration: a ``RealtimeSession`` or a dict of the same shape. Templated.
    :param model: For example ``gpt-realtime-2.1``. Templated, as all that follow up to ``max_duration_seconds``.
    :param instructions: What the model is told to be and to do.
    :param voice: For example ``marin``.
    :param speed: Speed of speech, 0.25 to 1.5.
    :param tools: Functions and MCP servers that the model may use.
    :param tool_choice: ``auto``, ``none``, ``required`` or one tool.
    :param parallel_tool_calls: Whether several tools may be called at once; only reasoning models.
    :param transcription_model: Switches the transcript of the caller's words on; for example ``gpt-4o-transcribe``.
    :param transcription_language: ISO 639-1, for example ``en``.
    :param turn_detection: ``server_vad``, ``semantic_vad`` or a dict.
    :param noise_reduction: ``near_field``, ``far_field`` or a dict.
    :param max_output_tokens: 1 to 4096, or ``inf``.
    :param output_modalities: ``["audio"]`` or ``["text"]``.
    :param reasoning_effort: ``minimal`` to ``xhigh``; only reasoning models.
    :param include: More that events shall include.
    :param tracing: ``auto`` or a dict.
    :param truncation: ``auto``, ``disabled`` or a dict.
    :param extra_fields: Fields that OpenAI added after this release; merged into the request.
    :param max_duration_seconds: When the call is ended at the latest, in seconds from accepting, above 0, at most
        3,600.
    :param if_gone: When the caller has hung up before: ``skip`` (default), ``succeed`` or ``fail``.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: The call as a dict, with ``accepted_at`` and ``hangup_at``.
    :raises InvalidInput: A value cannot be used; nothing was sent. ``InvalidSession`` names all that is wrong.
    :raises SwitchboardUnreachable: Nothing was sent to OpenAI.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    template_fields: Sequence[str] = (
        *CallOperator.template_fields,
        "session",
        *_SESSION_FIELDS,
        "max_duration_seconds",
    )
    template_fields_renderers = {"session": "json", "tools": "json", "instructions": "md"}

    def __init__(
        self,
        *,
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
        max_duration_seconds: float | str = 600,
        if_gone: IfGone = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(if_gone=if_gone, **kwargs)
        # As a dict, its texts are templates too, and Airflow can show it.
        self.session = _as_dict(session)
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
        self.max_duration_seconds = max_duration_seconds
        self._stopped = False
        self._line: LineSettings | None = None
        self._under_way: Acceptance | None = None
        self._check_literals()

    def execute(self, context: Context) -> dict[str, Any]:
        """Accept the call; see the class."""
        reference = self.reference()
        seconds = self._max_duration()
        session = self._parsed_session(self._given_session_fields())
        hook = self.hook
        self._line = hook.line()
        with hook.calls() as calls, hook.switchboard() as switchboard:
            try:
                call = self._acceptance(calls, switchboard, reference, context["ti"]).accept(session, seconds)
            except CallGone as error:
                self.settle_gone(error)
                given = self.call if isinstance(self.call, dict) else {}
                return {**given, "call_id": reference.call_id, "state": "ended", "end_reason": "gone"}
            except SwitchboardUnreachable as error:
                raise SwitchboardUnreachable(
                    f"call {reference.call_id} was not accepted: the switchboard, which would end it in time, does not "
                    f"answer. {error}",
                    call_id=reference.call_id,
                    status=error.status,
                ) from error
        self.log.info("Call %s is accepted; it is ended at %s at the latest.", call.call_id, call.hangup_at)
        return call.to_dict()

    def on_kill(self) -> None:
        """
        Hang up the call when the task is killed while it accepts it.

        Airflow calls this from a signal handler and goes on with what was interrupted: so a flag is left for that, and
        nothing is used that it may hold (clients, the supervisor's channel).
        """
        self._stopped = True
        if self._under_way is None or self._line is None or not self._under_way.is_ours:
            return
        call_id = self._under_way.call_id
        self.log.warning("The task is killed while it accepts call %s: hanging up.", call_id)
        _hang_up_now(self._line, call_id, self.report)

    def _acceptance(
        self, calls: CallsClient, switchboard: SwitchboardClient, reference: CallReference, task: TaskIdentity
    ) -> Acceptance:
        from airflow_openai_realtime.calls.accepting import Acceptance, accepting_claimant

        self._under_way = Acceptance(
            calls=calls,
            switchboard=switchboard,
            call_id=reference.call_id,
            claimant=accepting_claimant(reference, task, switchboard),
            report=self.report,
            is_stopped=lambda: self._stopped,
        )
        return self._under_way

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a value, and keep the credentials of MCP servers in it out of logs and the list of rendered fields."""
        rendered = super().render_template(content, *args, **kwargs)
        hide_tool_secrets(rendered)
        return rendered

    def _max_duration(self) -> float:
        return read_number(self.max_duration_seconds, "max_duration_seconds", above=0, at_most=LONGEST_CALL_SECONDS)

    def _check_literals(self) -> None:
        """Refuse now what no rendering can mend; the rest is checked in the task, before anything is sent."""
        if is_literal(self.max_duration_seconds):
            self._max_duration()
        given = self._given_session_fields()
        others = {name: value for name, value in given.items() if name != "instructions"}
        if others and is_literal(others):
            self._parsed_session(others)

    def _given_session_fields(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in ("session", *_SESSION_FIELDS)}
        return {name: value for name, value in fields.items() if value is not None}

    def _parsed_session(self, given: Mapping[str, Any]) -> RealtimeSession:
        from airflow_openai_realtime.api.session import parse_session

        return parse_session(**{name: read_rendered(value, name) for name, value in given.items()})


def _hang_up_now(line: LineSettings, call_id: str, report: Any) -> None:
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.calls.accepting import STOPPED, tell_ended
    from airflow_openai_realtime.switchboard.client import SwitchboardClient

    try:
        with CallsClient(replace(line.api, timeout_seconds=KILL_REQUEST_SECONDS)) as calls:
            calls.hang_up(call_id)
        at = line.switchboard
        with SwitchboardClient(at.url, at.token, line=at.line, timeout_seconds=KILL_REQUEST_SECONDS) as switchboard:
            tell_ended(switchboard, call_id, STOPPED, report)
    except OpenAIRealtimeError as error:
        report(f"Call {call_id} could not be hung up; the switchboard will when its time is over: {error}")


def _as_dict(session: Any) -> Any:
    """Return a ``RealtimeSession`` as a dict, and anything else as it is."""
    return session.model_dump(mode="json", exclude_unset=True) if hasattr(session, "model_dump") else session
