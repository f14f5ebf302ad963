"""What operators share that wait for a call: which one is wanted, and for how long they wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator

from airflow_openai_realtime.calls.parameters import SAFE_RETRIES, SAFE_RETRY_DELAY, read_number
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_link import LABEL
from airflow_openai_realtime.operators.limits import refuse_execution_timeout
from airflow_openai_realtime.operators.template_fields import RenderedTask


class WaitingOperator(RenderedTask, BaseOperator):
    """
    Base of the operators that wait for a call. Waiting again costs nobody a call, so Airflow tries again soon.

    :param to: Pattern for the number that was called, E.164. Templated.
    :param from_number: Pattern for the caller's number, E.164. Templated.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Templated.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``. Templated.
    :param timeout: How long to wait, in seconds or as a ``timedelta``, above 0.
    :param soft_fail: Whether the task is skipped, and does not fail, when no call came in time.
    :param retries: How often Airflow tries again; 3 unless set here or in ``default_args``.
    :param retry_delay: Pause before a retry, in seconds or as a ``timedelta``; one second.
    :param map_index_template: What a mapped task is called in Airflow; contact and masked number unless given.
    :raises InvalidInput: ``timeout`` cannot be used, or ``execution_timeout`` is given, which would limit nothing.
    """

    template_fields: Sequence[str] = ("to", "from_number", "headers", "openai_realtime_conn_id")

    def __init__(
        self,
        *,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
        timeout: timedelta | float = 300,
        soft_fail: bool = False,
        retries: int | None = SAFE_RETRIES,
        retry_delay: timedelta | float = SAFE_RETRY_DELAY,
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, map_index_template=map_index_template, **kwargs)
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.openai_realtime_conn_id = openai_realtime_conn_id
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        self.timeout = read_number(seconds, "timeout", above=0)
        self.soft_fail = soft_fail
        refuse_execution_timeout(self, "timeout, which limits the waiting,")
