"""Staying with an accepted call until it is over; one that a standing order has answered is taken over first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import (
    SAFE_RETRIES,
    SAFE_RETRY_DELAY,
    check_match_literals,
    is_literal,
    read_match,
    read_seconds,
)
from airflow_openai_realtime.conversation.given_conversation import (
    TEMPLATED_CONVERSATION_FIELDS,
    ConversationParameters,
)
from airflow_openai_realtime.exceptions import InvalidInput, SwitchboardRefused
from airflow_openai_realtime.hooks.airflow_connections import hand_over
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import CallTask, call_of, check_call
from airflow_openai_realtime.operators.call_to_end import (
    OVER,
    call_that_is_over,
    check_conversation,
    finished,
    read_conversation,
    refuse_execution_timeout,
    run_in_triggerer,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.inbound.taking_over import AnsweredMatch
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

#: How much longer than ``timeout`` the deferral may last, in seconds; only a backstop.
BACKSTOP_SECONDS = 60
_CONDITIONS = ("to", "from_number", "headers")
#: By itself the task only listens.
_LISTENING = ConversationParameters(silence_seconds=None, end_call=False)


class WatchCallOperator(CallTask):
    """
    Stay with an accepted call until it is over, in the triggerer, and return what came of it.

    ``AcceptCallOperator`` or ``IncomingCallSensor(answer=True)`` has accepted it, or a standing order has: give its
    name as ``order``. Then the task waits until the order has answered a call that matches, and takes the live call
    over. The caller talks with the model all the while and notices nothing. Only one task gets each call; a call that
    no task takes over goes on until the caller hangs up or its time is over.

    By itself the task only listens and writes down; at the call's ``hangup_at`` it hangs up. With ``greeting``,
    ``result_model``, ``functions`` and so on it steers the call as well.

    One task at a time runs a call. When another one attaches to it, this one waits for the result of that.

    When the task is marked as failed or successful while it has the call, or its run fails, the call ends; when it is
    cleared, the call waits a minute for the next try (Airflow 3.3 and later).

    Retries: the call belongs to the task, not to one try of it. It attaches to the call again and goes on from what was
    saved; of a call that is over it returns the result.

    :param call: The call as ``AcceptCallOperator`` returns it, or its id. Templated.
    :param call_id: Its id alone (``rtc_u1_abc``), instead of ``call``. Templated.
    :param order: Instead of ``call`` and ``call_id``: name of a standing order, as given to ``OpenLineOperator``, whose
        next call is taken over. Templated.
    :param to: With ``order``: pattern for the number that was called, E.164. Templated.
    :param from_number: With ``order``: pattern for the caller's number, E.164. Templated.
    :param headers: With ``order``: patterns for SIP headers by name. Callers can write what they like into headers.
        Templated.
    :param timeout: With ``order``: how long to wait for a call, in seconds above 0 or as a ``timedelta``; then the task
        fails without a retry, or is skipped with ``soft_fail``.
    :param soft_fail: With ``order``: whether the task is skipped, and does not fail, when no call was answered in time.
    :param wait_for_end: Whether the task stays with the call until it is over and returns its result. ``False`` only
        with ``order``: it returns the call as soon as it has taken it over.
    :param greeting: What the model says first, at most 2,000 characters; ``None``: it waits until the caller speaks.
        Templated.
    :param silence_seconds: The call is hung up when neither side has spoken for so long, in seconds above 0, at most
        3,600; ``None`` (default): no limit. Templated.
    :param end_call: Whether the model may end the call itself when the conversation is over; not by default. Templated.
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
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: The result of the call, as :class:`~airflow_openai_realtime.calls.result.CallResult` describes it. Without
        ``wait_for_end`` the call as a dict, as ``AcceptCallOperator`` returns it.
    :raises UnknownCall: The switchboard has never seen the call.
    :raises InvalidInput: The call was not accepted, or a value cannot be used.
    :raises AirflowSensorTimeout: The order answered no call in time.
    :raises SwitchboardUnreachable: The switchboard did not answer when the task started.

    Source: https://developers.openai.com/api/docs/guides/voice-server-controls
    """

    template_fields: Sequence[str] = (
        "call",
        "call_id",
        "order",
        *_CONDITIONS,
        *TEMPLATED_CONVERSATION_FIELDS,
        "openai_realtime_conn_id",
    )
    template_fields_renderers = {"transfer_to": "json", "prices": "json"}
    masked_fields = ("call",)

    def __init__(
        self,
        *,
        call: Any = None,
        call_id: str | None = None,
        order: str | None = None,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        timeout: timedelta | float = 300,
        soft_fail: bool = False,
        wait_for_end: bool = True,
        greeting: str | None = None,
        silence_seconds: float | str | None = None,
        end_call: bool | str = False,
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
        self.order = order
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.timeout = read_seconds(timeout, "timeout", above=0)
        self.soft_fail = soft_fail
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
        self._check_which_call()
        check_conversation(self, self.wait_for_end, _LISTENING)
        refuse_execution_timeout(self, "timeout, which limits the waiting,")
        self.note_given()

    def execute(self, context: Context) -> dict[str, Any]:
        """Look whether the call is over already, else stay with it in the triggerer; see the class."""
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        self.check_given()
        if self.order is not None:
            return self._take_over(context)
        call_id = call_of(self).call_id
        wanted = read_conversation(self)
        with self._hook().switchboard() as switchboard:
            row = switchboard.send(get_call(call_id))
            if row.is_over:
                return self._finished(context, switchboard, row)
        if row.hangup_at is None:
            raise InvalidInput(
                f"call {row.call_id} is {row.state}, not accepted; put AcceptCallOperator before this task",
                field="call",
            )
        return run_in_triggerer(self, context, wanted, row)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Return the result of the call that the trigger has run, or stay with the call that it has taken over.

        :param context: Airflow's.
        :param event: The trigger's.
        :raises AirflowSensorTimeout: The order answered no call in time.
        :raises AirflowSkipException: The same, with ``soft_fail``.
        :raises SwitchboardRefused: Waiting on cannot help.
        :raises CallError: The call could not be run.
        """
        from airflow_openai_realtime.switchboard.client.switchboard_requests import get_call

        event = event or {}
        status = event.get("status")
        if status == "timeout":
            message = f"the order {self.order} answered no call within {self.timeout:g} s"
            raise AirflowSkipException(message) if self.soft_fail else AirflowSensorTimeout(message)
        if self.order is not None and status not in ("accepted", OVER):
            raise SwitchboardRefused(str(event.get("message") or "the trigger ended without a result"))
        call_id = event["call_id"] if status == "accepted" else call_that_is_over(event)
        with self._hook().switchboard() as switchboard:
            call = switchboard.send(get_call(call_id))
            if status == OVER:
                return self._finished(context, switchboard, call)
        return self._taken(context, call)

    def _take_over(self, context: Context) -> dict[str, Any]:
        """Take over a call that was answered already, else wait for one in the triggerer."""
        from airflow_openai_realtime.inbound.taking_over import take_over_now
        from airflow_openai_realtime.inbound.waiting import newest_accepted
        from airflow_openai_realtime.switchboard.client.switchboard_requests import list_calls

        match, owner = self._match(), owner_name(context["ti"])
        if self.wait_for_end:
            read_conversation(self)  # a mistake shows before a call is taken
        with self._hook().switchboard() as switchboard:
            if self.wait_for_end:
                before = newest_accepted(switchboard.send(list_calls(claimed_by=owner)).calls, match)
                if before is not None and before.is_over:
                    return self._finished(context, switchboard, before)
            call = take_over_now(switchboard, match, owner)
        if call is None:
            self._wait(match, owner)
        return self._taken(context, call)

    def _taken(self, context: Context, call: SwitchboardCall) -> dict[str, Any]:
        self.shown_call_id = call.call_id
        self.log.info("Call %s is taken over; it is ended at %s at the latest.", call.call_id, call.hangup_at)
        if not self.wait_for_end:
            return call.to_dict()
        if call.is_over:
            with self._hook().switchboard() as switchboard:
                return self._finished(context, switchboard, call)
        return run_in_triggerer(self, context, read_conversation(self), call)

    def _wait(self, match: AnsweredMatch, owner: str) -> NoReturn:
        from airflow_openai_realtime.triggers.take_call import TakeCallTrigger

        self.waits_for_call = True
        self.defer(
            trigger=TakeCallTrigger(
                openai_realtime_conn_id=self.openai_realtime_conn_id,
                order=match.order,
                match=match.match.to_dict(),
                claimant=owner,
                deadline=time.time() + self.timeout,
                connections=hand_over(self._hook().connection()),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout + BACKSTOP_SECONDS),
        )
        raise AssertionError("unreachable: deferring raises")  # pragma: no cover

    def _finished(self, context: Context, switchboard: SwitchboardClient, call: SwitchboardCall) -> dict[str, Any]:
        from airflow_openai_realtime.outbound.placed import about_given

        return finished(self, context, switchboard, call, about_given(self.call))

    def _check_which_call(self) -> None:
        """Reject at parse time what does not go together, and invalid literals."""
        mine = vars(self)
        if self.order is not None:
            self.ignore_shared(["call", "call_id"])
            if self.call is not None or self.call_id is not None:
                raise InvalidInput("give call, call_id or order, not several", field="order")
        else:
            self.ignore_shared(_CONDITIONS)
            self.ignore_shared(["wait_for_end"], {"wait_for_end": True})
            for name in _CONDITIONS:
                if mine[name] is not None:
                    raise InvalidInput(f"{name} is for calls of a standing order: give order, too", field=name)
            if self.wait_for_end is False:
                raise InvalidInput(
                    "wait_for_end=False needs order: a call that was given is watched to its end", field="wait_for_end"
                )
        check_call(self)
        check_match_literals(self.to, self.from_number, self.headers)
        if self.order is not None and is_literal(self.order):
            self._order_name()

    def _match(self) -> AnsweredMatch:
        from airflow_openai_realtime.inbound.taking_over import AnsweredMatch

        return AnsweredMatch(self._order_name(), read_match(self.to, self.from_number, self.headers))

    def _order_name(self) -> str:
        from airflow_openai_realtime.calls.order import check_order_name

        return check_order_name(self.order)

    def _hook(self) -> RealtimeHook:
        return RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id)
