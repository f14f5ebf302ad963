"""Opening and closing a phone line that the switchboard answers by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.calls.answer_plan import (
    ANSWER_FIELDS,
    SESSION_FIELDS,
    check_answer,
    read_plan,
    session_as_dict,
)
from airflow_openai_realtime.calls.order_parameters import LIMITS, check_order_literals, read_greeting, read_limits
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import is_literal, read_match
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_task import CallTask

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

_EXPIRY = frozenset({"expires_at", "expires_in_seconds"})
_FOR_ACCEPTED = (*SESSION_FIELDS, "greeting", "caller_fields")


class OpenLineOperator(CallTask):
    """
    Let the switchboard answer calls by itself, within milliseconds: a standing order.

    From now on it accepts every call that matches, with this session, until the line is closed, the order expires or
    its uses are over. No task, trigger or scheduler is needed for that. With ``status_code`` it declines them instead.

    The session is given whole (``session``), by its common fields, or both, where they do not contradict each other.
    What needs no rendering is checked at parse time, the rest in the task, before anything is sent.

    Of several orders that fit a call the one with the highest priority answers it; of several such, the oldest. With
    ``unclaimed_after_seconds`` the order is a fallback: it answers only what no task has claimed for so long. The calls
    need no task: each ends when the caller hangs up, or after ``max_duration_seconds``. ``WatchCallOperator(order=…)``
    takes a live call over.

    The session rests in the switchboard's database until the line is closed, with the credentials of MCP servers in it.
    Nothing shows it.

    Retries: the order is replaced by the same one; uses that were made count on. So do they when the task is cleared. A
    task of another run has all of its ``uses`` again.

    :param name: Name of the order on this line: letters, digits and ``_ . -``, at most 100. Templated.
    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Calls that
        ``PlaceCallOperator`` placed match only with a pattern for ``X-Correlation-Id``. Templated.
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
    :param greeting: Instruction for what the model says first, at most 4,000 characters, for example
        ``Say: Example Stores, good morning.`` ``None``: it waits until the caller speaks. Templated.
    :param status_code: Decline the calls with this SIP status, 300 to 699, instead of accepting them; 486 is busy.
        Templated.
    :param priority: A whole number; the highest goes first. 0 by default. Templated.
    :param uses: How many calls it answers, 1 or more; ``None`` (default): any number. A use counts also when the caller
        is gone. Templated.
    :param expires_at: Until when it answers calls: a moment with a time zone, as a ``datetime`` or ISO 8601 text. When
        it is past already, the task is skipped. Templated.
    :param expires_in_seconds: The same, in seconds from now, above 0. Templated.
    :param unclaimed_after_seconds: Answer only what no task has claimed for so long, in seconds above 0, at most 600.
        Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: The order as a dict: ``name``, ``action``, ``match``, ``priority``, ``uses_left``, ``expires_at`` and more,
        without the session.
    :raises InvalidInput: A value cannot be used; nothing was sent. ``InvalidSession`` names all that is wrong.
    :raises SwitchboardRefused: The switchboard refused it, for example since the line has too many orders.
    :raises SwitchboardUnreachable: The switchboard did not answer.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """

    template_fields: Sequence[str] = (
        "name",
        "to",
        "from_number",
        "headers",
        *ANSWER_FIELDS,
        "greeting",
        *LIMITS,
        "openai_realtime_conn_id",
    )
    template_fields_renderers = {
        "session": "json",
        "tools": "json",
        "instructions": "md",
        "caller_fields": "json",
        "greeting": "md",
    }
    operator_extra_links: Any = ()

    def __init__(
        self,
        *,
        name: str,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
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
        greeting: str | None = None,
        status_code: int | str | None = None,
        priority: int | str = 0,
        uses: int | str | None = None,
        expires_at: datetime | str | None = None,
        expires_in_seconds: float | str | None = None,
        unclaimed_after_seconds: float | str | None = None,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.to = to
        self.from_number = from_number
        self.headers = headers
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
        self.greeting = greeting
        self.status_code = status_code
        self.priority = priority
        self.uses = uses
        self.expires_at = expires_at
        self.expires_in_seconds = expires_in_seconds
        self.unclaimed_after_seconds = unclaimed_after_seconds
        self.openai_realtime_conn_id = openai_realtime_conn_id
        if status_code is not None:
            self.ignore_shared(_FOR_ACCEPTED)
        if expires_at is not None and expires_in_seconds is not None and self.passed & _EXPIRY:
            self.ignore_shared(_EXPIRY)
        check_answer(vars(self))
        check_order_literals(name, (to, from_number, headers), self._limits(), self.greeting)
        if status_code is not None and is_literal(status_code):
            self._refuse_session()
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Open the line; see the class."""
        from airflow_openai_realtime.switchboard.client.order_requests import put_order

        self.check_given()
        limits = read_limits(self._limits())
        expires_at = limits.get("expires_at")
        if expires_at is not None and expires_at <= datetime.now(timezone.utc):
            raise AirflowSkipException(f"the line {self.name} would have been closed again at {expires_at}")
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            order = switchboard.send(
                put_order(
                    self.name,
                    match=read_match(self.to, self.from_number, self.headers),
                    edition=owner_name(context["ti"]),
                    **limits,
                    **self._answer(declines="status_code" in limits),
                )
            )
        self.log.info("The line %s is open until %s.", order.name, order.expires_at or "it is closed")
        return order.to_dict()

    def _answer(self, *, declines: bool) -> dict[str, Any]:
        if declines:
            self._refuse_session()
            return {}
        plan = read_plan(vars(self))
        return {
            "session": plan.session,
            "caller_fields": plan.caller_fields,
            "max_duration_seconds": plan.max_duration_seconds,
            "greeting": read_greeting(self.greeting),
        }

    def _refuse_session(self) -> None:
        mine = vars(self)
        names = [name for name in _FOR_ACCEPTED if mine[name] is not None]
        if names:
            raise InvalidInput(
                f"{names[0]} is for calls that are accepted; leave it out, or status_code", field=names[0]
            )

    def _limits(self) -> dict[str, Any]:
        mine = vars(self)
        return {name: mine[name] for name in LIMITS}


class CloseLineOperator(CallTask):
    """
    Close a line that ``OpenLineOperator`` opened. Calls that it has answered go on until their end.

    Fit to be its teardown, so that the line closes whatever fails in between::

        open_line = OpenLineOperator(task_id="open_line", name="support_hours", instructions="…")
        close_line = CloseLineOperator(task_id="close_line", name="support_hours").as_teardown(setups=open_line)

    Retries: closing twice is harmless; a line that is not open counts as closed.

    :param name: Name of the order, as given to ``OpenLineOperator``. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :return: ``name``, and ``was_open``: whether there was such an order.
    :raises InvalidInput: The name cannot be one.
    :raises SwitchboardUnreachable: The switchboard did not answer.
    """

    template_fields: Sequence[str] = ("name", "openai_realtime_conn_id")
    operator_extra_links: Any = ()

    def __init__(
        self,
        *,
        name: str,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.openai_realtime_conn_id = openai_realtime_conn_id
        check_order_literals(name, (None, None, None), {})
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Close the line; see the class."""
        from airflow_openai_realtime.switchboard.client.order_requests import remove_order

        self.check_given()
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            was_open = switchboard.send(remove_order(self.name))
        self.log.info("The line %s %s.", self.name, "is closed" if was_open else "was not open")
        return {"name": self.name, "was_open": was_open}
