"""Claiming calls that ring: one that is known, or all that match; or starting a run for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.calls.parameters import (
    SAFE_RETRIES,
    SAFE_RETRY_DELAY,
    check_match_literals,
    is_literal,
    read_integer,
    read_mapping,
    read_match,
)
from airflow_openai_realtime.exceptions import ClaimLost, InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.call_task import CallTask, IfGone, call_of, check_call, settle_gone

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.matching import CallMatch
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

_CONDITIONS = ("to", "from_number", "headers")
_ONE_CALL = ("call", "call_id")


class ClaimCallsOperator(CallTask):
    """
    Claim the calls that ring now and match, and return them: none, one or many.

    For the first task of a DAG that ``IncomingCallTrigger`` starts. Whatever event started the run, and however many
    events Airflow kept back, the task looks at what rings now. Map the tasks that handle one call over what it returns;
    where there is no call, they are skipped. Patterns are plain text with ``*`` (any text) and ``?`` (one character).
    Give the same ones as to the trigger.

    With ``call`` or ``call_id`` it claims that call and returns it alone. ``AcceptCallOperator`` claims an unclaimed
    call itself; claim it first to look at the caller and the headers before deciding what to do.

    With ``trigger_dag_id`` it starts one DAG run for each call instead, and claims none. The id of a call's run is made
    from the call's id, and Airflow takes an id only once: however often this task looks at the same call, the call has
    one run. The run finds ``call_id``, ``line`` and ``received_at`` in its conf, and claims the call itself, with
    ``AcceptCallOperator(call_id="{{ dag_run.conf['call_id'] }}")``. Until then the call stays unclaimed, so standing
    orders and other tasks may still take it.

    Retries: a claim belongs to the task, not to one try of it. Tried again, the task returns the calls that it has
    already, while they last, and those that ring now. A run that was started is not started again.

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param max_calls: How many calls to claim at most, 1 to 1,000; the others go on ringing. Templated.
    :param call: One call to claim, as a dict, or its id. Templated.
    :param call_id: The id of one call to claim, for example ``{{ dag_run.conf['call_id'] }}``. Templated.
    :param if_gone: With ``call`` or ``call_id``, when that call rings no more or another owner has it: ``skip``
        (default), ``succeed`` or ``fail``.
    :param trigger_dag_id: DAG to run once for each call; it must not be paused. ``None`` (default): the task claims the
        calls itself. Templated.
    :param conf: With ``trigger_dag_id``: more for the conf of the runs, a dict. Shown in Airflow's UI: no personal
        data. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param retries: How often Airflow tries again, 0 or more; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second, since a phone may be
        ringing.
    :param map_index_template: Name of a mapped task in Airflow; contact and masked number unless given.
    :return: The calls as a list of dicts, oldest first, each as ``IncomingCallSensor`` returns it; with ``call`` or
        ``call_id`` one such dict; with ``trigger_dag_id`` the ids of the runs that were started, as a list, without
        those of calls that have a run already.
    :raises InvalidInput: A pattern cannot be used, or parameters do not go together.
    :raises UnknownCall: The switchboard has never seen the given call; is it another line's?
    :raises ConfigurationError: The DAG to run is paused, or Airflow does not start it.
    :raises SwitchboardUnreachable: The switchboard did not answer, and no call is claimed.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dag-run.html
    """

    template_fields: Sequence[str] = (
        *_CONDITIONS,
        "max_calls",
        *_ONE_CALL,
        "trigger_dag_id",
        "conf",
        "openai_realtime_conn_id",
    )
    masked_fields = ("call",)

    def __init__(
        self,
        *,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        max_calls: int | str = 100,
        call: Any = None,
        call_id: str | None = None,
        if_gone: IfGone = "skip",
        trigger_dag_id: str | None = None,
        conf: Mapping[str, Any] | str | None = None,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, map_index_template=map_index_template, **kwargs)
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.max_calls = max_calls
        self.call = call
        self.call_id = call_id
        self.if_gone = if_gone
        self.trigger_dag_id = trigger_dag_id
        self.conf = conf
        self.openai_realtime_conn_id = openai_realtime_conn_id
        self._check_literals()
        self.note_given()

    def execute(self, context: Context) -> Any:
        """Claim what rings, or start runs for it; see the class."""
        self.check_given()
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            if self.was_given(*_ONE_CALL):
                return self._claim_one(switchboard, owner_name(context["ti"]))
            if self.trigger_dag_id is not None:
                return self._start_runs(switchboard, self.trigger_dag_id)
            return self._claim_all(switchboard, owner_name(context["ti"]))

    def _claim_one(self, switchboard: SwitchboardClient, owner: str) -> dict[str, Any]:
        from airflow_openai_realtime.switchboard.client.switchboard_requests import claim_call, get_call

        call_id = call_of(self).call_id
        try:
            call = switchboard.send(claim_call(call_id, owner))
        except ClaimLost as error:
            settle_gone(self.if_gone, error, self.log)
            call = switchboard.send(get_call(call_id))
        self.log.info("Call %s is %s by %s.", call.call_id, call.state, call.claimed_by)
        return call.to_dict()

    def _claim_all(self, switchboard: SwitchboardClient, owner: str) -> list[dict[str, Any]]:
        from airflow_openai_realtime.inbound.claiming import claim_ringing

        calls = claim_ringing(switchboard, self._match(), owner, self._warn, most=self._most())
        self.log.info("%d calls are claimed: %s", len(calls), ", ".join(call.call_id for call in calls) or "none")
        return [call.to_dict() for call in calls]

    def _start_runs(self, switchboard: SwitchboardClient, dag_id: str) -> list[str]:
        from airflow_openai_realtime.calls.run_ids import run_id_of
        from airflow_openai_realtime.inbound.claiming import ringing_calls
        from airflow_openai_realtime.operators.dag_runs import check_not_paused, start_run

        more = read_mapping(self.conf, "conf") or {}
        calls = ringing_calls(switchboard, self._match())
        if not calls:
            self.log.info("No call rings that matches and is unclaimed.")
            return []
        check_not_paused(dag_id)
        started: list[str] = []
        for call in calls:
            run_id = run_id_of(call.call_id)
            if start_run(dag_id, run_id, {**more, **_about(call)}):
                started.append(run_id)
                self.log.info("Run %s of %s is started.", run_id, dag_id)
            else:
                self.log.info("Call %s has its run already.", call.call_id)
        return started

    def _check_literals(self) -> None:
        """Reject at parse time what does not go together, and invalid literals."""
        check_call(self, self.if_gone)
        if self.call is not None or self.call_id is not None:
            self._refuse(
                (*_CONDITIONS, "trigger_dag_id", "conf"), "is for all calls that ring: leave out call, call_id"
            )
        if self.trigger_dag_id is None:
            self._refuse(("conf",), "is for the runs that are started: give trigger_dag_id")
        elif not self.trigger_dag_id:
            raise InvalidInput("trigger_dag_id is empty; give the id of the DAG to run", field="trigger_dag_id")
        check_match_literals(self.to, self.from_number, self.headers)
        if is_literal(self.max_calls):
            self._most()

    def _refuse(self, names: Sequence[str], why: str) -> None:
        self.ignore_shared(names)
        mine = vars(self)
        for name in names:
            if mine[name] is not None:
                raise InvalidInput(f"{name} {why}", field=name)

    def _match(self) -> CallMatch:
        return read_match(self.to, self.from_number, self.headers)

    def _most(self) -> int:
        return read_integer(self.max_calls, "max_calls", at_least=1, at_most=1000)

    def _warn(self, line: str) -> None:
        self.log.warning("%s", line)


def _about(call: SwitchboardCall) -> dict[str, str]:
    """Return the call's data for its run: nothing personal, since all users who may see the run can see it."""
    return {"call_id": call.call_id, "line": call.line, "received_at": call.received_at.isoformat()}
