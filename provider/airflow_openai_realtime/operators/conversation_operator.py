"""What all operators share that may stay with a call until it is over: what happens in it, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY, is_literal, read_mapping
from airflow_openai_realtime.exceptions import CallError, InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL, HasCallLink
from airflow_openai_realtime.operators.limits import refuse_execution_timeout
from airflow_openai_realtime.operators.template_fields import RenderedTask, drop_shared_defaults, refuse_code_from_tasks

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How much longer than the call the deferral may last, in seconds; only a backstop.
AFTER_CALL_SECONDS = 180
SILENCE_SECONDS = 60.0

_CONVERSATION_FIELDS = (
    "greeting",
    "silence_seconds",
    "end_call",
    "goodbye",
    "result_model",
    "functions",
    "transfer_to",
)
_BY_DEFAULT: Mapping[str, Any] = {"silence_seconds": SILENCE_SECONDS, "end_call": True}
#: Fields that name code to import. A template would let any user who may trigger a run choose it.
_NAMES_OF_CODE = ("result_model", "functions")


class ConversationOperator(HasCallLink, RenderedTask, BaseOperator):
    """
    Base of the operators that may run a call to its end in the triggerer.

    :param wait_for_end: Whether the task stays with the call until it is over and returns its result. Without it what
        follows cannot be given. It stays in the triggerer and takes no worker slot.
    :param greeting: What the model says first; ``None``: it waits until the caller speaks. Templated, as all that
        follow but ``result_model`` and ``functions``, which name code to run.
    :param silence_seconds: How long nobody may speak, in seconds above 0, before the call is hung up; ``None``: for
        ever.
    :param end_call: Whether the model may end the call itself when the conversation is over.
    :param goodbye: What the model says some seconds before the time is over; ``None``: it is cut off.
    :param result_model: What the call is to find out: a pydantic class, its import path, or a JSON schema. The model
        records it; it is in the result.
    :param functions: What the model may call: functions, their import paths, or dicts of ``path``, ``name``,
        ``description`` and ``timeout_seconds``. They run in the triggerer, so they stand in a module that it can
        import, not in the DAG file.
    :param transfer_to: Whom the model may transfer the call to: for each name a ``tel:`` or ``sip:`` URI, or a dict of
        ``target_uri`` and ``description``.
    :param prices: Own prices for the estimate of the cost, US dollars by model.
    :param transcript_path: Where to write the transcript: a file (``….json`` or ``….txt``) or a folder (ends with
        ``/``; the file is named after the call), for example ``s3://aws_default@bucket/calls/``.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``. A retry finds the call
        that the task has, and accepts and dials nothing twice.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :param map_index_template: What a mapped task is called in Airflow; contact and masked number unless given.
    :raises InvalidInput: A value that needs no rendering cannot be used.
    """

    template_fields: Sequence[str] = (
        *(name for name in _CONVERSATION_FIELDS if name not in _NAMES_OF_CODE),
        "prices",
        "transcript_path",
    )
    template_fields_renderers = {"transfer_to": "json", "prices": "json"}

    def __init__(
        self,
        *,
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
        # In the signature: ``partial`` reads the defaults of a mapped task there, and never runs this.
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, map_index_template=map_index_template, **kwargs)
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
        if wait_for_end is False:
            drop_shared_defaults(self, (*_CONVERSATION_FIELDS, "prices", "transcript_path"), _BY_DEFAULT)
        self._check_conversation_literals()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of the call that the trigger has run."""
        if not event or event.get("status") != "over":
            raise CallError(str((event or {}).get("message") or "the trigger ended without a result"))
        with self._line_hook().switchboard() as switchboard:
            return self._finished(context, switchboard, switchboard.call(event["call_id"]))

    def _conversation(self) -> WantedConversation:
        """
        Read what is to happen in the call, rendered; imports what is named by a path.

        :raises InvalidInput: A value cannot be used.
        """
        from airflow_openai_realtime.conversation.conversation_parameters import read_conversation_plan
        from airflow_openai_realtime.conversation.run.transcript_file import check_transcript_path
        from airflow_openai_realtime.conversation.wanted_conversation import WantedConversation

        refuse_code_from_tasks(self, _NAMES_OF_CODE)
        check_transcript_path(self.transcript_path)
        plan = read_conversation_plan(**self._conversation_values())
        return WantedConversation(plan, self._prices())

    def _conversation_values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CONVERSATION_FIELDS}

    def _prices(self) -> Mapping[str, Mapping[str, Any]] | None:
        given = read_mapping(self.prices, "prices")
        if given is None:
            return None
        from airflow_openai_realtime.calls.timeline.prices import check_prices

        return check_prices(given)

    def _run_in_triggerer(self, context: Context, wanted: WantedConversation, call: SwitchboardCall) -> NoReturn:
        """Let the triggerer run an accepted call to its end."""
        from airflow_openai_realtime.hooks.handing_over import hand_over
        from airflow_openai_realtime.triggers.live_call import LiveCallTrigger

        hook = self._line_hook()
        self.shown_call_id = call.call_id
        left = max((call.hangup_at or _now()) - _now(), timedelta())
        self.defer(
            trigger=LiveCallTrigger(
                openai_realtime_conn_id=self._conn_id(),
                call_id=call.call_id,
                holder=claimant_of(context["ti"]),
                conversation=wanted.of(call).seal(hook.api().api_key),
                connections=hand_over(hook.connection()),
            ),
            method_name="execute_complete",
            timeout=left + timedelta(seconds=AFTER_CALL_SECONDS),
        )
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def _finished(self, context: Context, switchboard: SwitchboardClient, call: SwitchboardCall) -> dict[str, Any]:
        """Return the result of a call that is over, after everything that is to be done with it."""
        from airflow_openai_realtime.conversation.run.finished_call import finished_call
        from airflow_openai_realtime.conversation.run.transcript_file import check_transcript_path

        finished = finished_call(switchboard, call, claimant_of(context["ti"]), self._prices())
        result = finished.result
        path = check_transcript_path(self.transcript_path)
        if path is not None:
            from airflow_openai_realtime.operators.finishing import keep_transcript

            result = {**result, "transcript_path": keep_transcript(path, result, finished.entries)}
        return self._told(context, result)

    def _told(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        """Tell log and assets of a result, and return it."""
        from airflow_openai_realtime.operators.finishing import tell_assets

        result = {**result, **self._about_attempt()}
        self.shown_call_id = result.get("call_id")
        seconds = result["talk_seconds"]
        self.log.info(
            "Call %s is over: %s (%s), %s.",
            result.get("call_id"),
            result["outcome"],
            result["reason"],
            "not known how long" if seconds is None else f"{seconds} s",
        )
        tell_assets(self.outlets, context.get("outlet_events"), result)
        return result

    def _about_attempt(self) -> dict[str, Any]:
        """Return what is known of the attempt from which the call came: whom it was to reach."""
        from airflow_openai_realtime.outbound.placed import about_given

        return about_given(getattr(self, "call", None)) or about_given(getattr(self, "placed", None))

    def _conn_id(self) -> str:
        return str(getattr(self, "openai_realtime_conn_id"))  # noqa: B009 - each operator has it, with its own default

    def _line_hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self._conn_id())

    def _check_conversation_literals(self) -> None:
        """Refuse when the DAG is parsed what no rendering can mend."""
        if not isinstance(self.wait_for_end, bool):
            raise InvalidInput("wait_for_end must be True or False", field="wait_for_end")
        if self.wait_for_end:
            refuse_execution_timeout(self, "max_duration_seconds, which limits the call,")
        given = self._given_for_conversation()
        if given and not self.wait_for_end:
            raise InvalidInput(
                f"{given[0]} needs wait_for_end=True: without it the task leaves the call when it is accepted. Or give "
                f"{given[0]} to the WatchCallOperator that follows",
                field=given[0],
            )
        if not given:
            return
        for name in _NAMES_OF_CODE:
            if not is_literal(getattr(self, name)):
                raise InvalidInput(
                    f"{name} names code to run, so it is not templated, and no other task can give it: name the code "
                    "in the DAG file",
                    field=name,
                )
        from airflow_openai_realtime.conversation.conversation_parameters import check_conversation_literals
        from airflow_openai_realtime.conversation.run.transcript_file import check_transcript_path

        check_conversation_literals(**self._conversation_values())
        if is_literal(self.prices):
            self._prices()
        if is_literal(self.transcript_path):
            check_transcript_path(self.transcript_path)

    def _given_for_conversation(self) -> list[str]:
        names = (*_CONVERSATION_FIELDS, "prices", "transcript_path")
        return [name for name in names if getattr(self, name) != _BY_DEFAULT.get(name)]


def _now() -> datetime:
    return datetime.now(timezone.utc)
