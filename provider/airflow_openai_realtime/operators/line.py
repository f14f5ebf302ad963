"""Opening and closing a phone line that the switchboard answers by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_openai_realtime.calls.order_parameters import LIMITS, check_order_literals, read_greeting, read_limits
from airflow_openai_realtime.calls.owner import claimant_of
from airflow_openai_realtime.calls.parameters import is_literal, read_match
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.operators.call_operator import CallOperator
from airflow_openai_realtime.operators.session_operator import SessionOperator
from airflow_openai_realtime.operators.template_fields import (
    RenderedTask,
    as_written,
    check_rendered,
    drop_shared_defaults,
)

if TYPE_CHECKING:
    from airflow.sdk import Context


_EXPIRY = frozenset({"expires_at", "expires_in_seconds"})


class OpenLineOperator(SessionOperator):
    """
    Let the switchboard answer calls by itself, within milliseconds: a standing order.

    From now on it accepts every call that matches, with this session, until the line is closed, the order expires or
    its uses are over. No task, trigger or scheduler is needed for that. With ``status_code`` it declines them instead.
    All parameters of the session, ``caller_fields`` and ``max_duration_seconds`` are those of
    :class:`~airflow_openai_realtime.operators.session_operator.SessionOperator`.

    Of several orders that fit a call the one with the highest priority answers it; of several such, the oldest. With
    ``unclaimed_after_seconds`` the order is a fallback: it answers only what no task has claimed for so long. Nobody
    has to look after the calls: each ends when the caller hangs up, or after ``max_duration_seconds``.
    ``TakeCallOperator`` takes a live call over.

    The session rests in the switchboard's database until the line is closed, with the credentials of MCP servers in it.
    Nothing shows it.

    Retries: the order is replaced by the same one; uses that were made count on. So do they when the task is cleared. A
    task of another run has all of its ``uses`` again.

    :param name: Name of the order on this line: letters, digits and ``_ . -``, at most 100. Templated, as all that
        follow.
    :param to: Pattern for the number that was called, E.164.
    :param from_number: Pattern for the caller's number, E.164.
    :param headers: Patterns for SIP headers by name. Callers can write what they like into headers. Calls that
        ``PlaceCallOperator`` placed match only with a pattern for ``X-Correlation-Id``.
    :param greeting: What the model is told to say first, for example ``Say: Example Stores, good morning.`` Without it
        the model waits until the caller speaks.
    :param status_code: Decline the calls with this SIP status, 300 to 699, instead of accepting them; 486 is busy.
    :param priority: A whole number; the highest goes first. 0 by default.
    :param uses: How many calls it answers; ``None`` (default): any number. A use counts also when the caller is gone.
    :param expires_at: Until when it answers calls: a moment with a time zone, as a ``datetime`` or ISO 8601 text. When
        it is past already, the task is skipped.
    :param expires_in_seconds: The same, in seconds from now.
    :param unclaimed_after_seconds: Answer only what nobody has claimed for so long, above 0, at most 600.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.
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
        *SessionOperator.template_fields,
        "greeting",
        *LIMITS,
        "openai_realtime_conn_id",
    )
    template_fields_renderers = {**SessionOperator.template_fields_renderers, "greeting": "md"}
    ui_color = CallOperator.ui_color

    def __init__(
        self,
        *,
        name: str,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | str | None = None,
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
        self.greeting = greeting
        self.status_code = status_code
        self.priority = priority
        self.uses = uses
        self.expires_at = expires_at
        self.expires_in_seconds = expires_in_seconds
        self.unclaimed_after_seconds = unclaimed_after_seconds
        self.openai_realtime_conn_id = openai_realtime_conn_id
        if status_code is not None:
            drop_shared_defaults(self, [*self._given(), "greeting", "caller_fields"])
        if expires_at is not None and expires_in_seconds is not None:
            drop_shared_defaults(self, _EXPIRY if self._passed & _EXPIRY else ())
        check_order_literals(name, (to, from_number, headers), self._limits(), self.greeting)
        if status_code is not None and is_literal(status_code):
            self._refuse_session()
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Open the line; see the class."""
        check_rendered(self)
        limits = read_limits(self._limits())
        expires_at = limits.get("expires_at")
        if expires_at is not None and expires_at <= datetime.now(timezone.utc):
            raise AirflowSkipException(f"the line {self.name} would have been closed again at {expires_at}")
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            order = switchboard.put_order(
                self.name,
                match=read_match(self.to, self.from_number, self.headers),
                edition=claimant_of(context["ti"]),
                **limits,
                **self._answer(declines="status_code" in limits),
            )
        self.log.info("The line %s is open until %s.", order.name, order.expires_at or "it is closed")
        return order.to_dict()

    def _answer(self, *, declines: bool) -> dict[str, Any]:
        if declines:
            self._refuse_session()
            return {}
        plan = self._answer_plan()
        return {
            "session": plan.session,
            "caller_fields": plan.caller_fields,
            "max_duration_seconds": plan.max_duration_seconds,
            "greeting": read_greeting(self.greeting),
        }

    def _refuse_session(self) -> None:
        given = {**self._given(), "greeting": self.greeting, "caller_fields": self.caller_fields}
        names = [name for name, value in given.items() if value is not None]
        if names:
            raise InvalidInput(
                f"{names[0]} is for calls that are accepted; leave it out, or status_code", field=names[0]
            )

    def _limits(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in LIMITS}


class CloseLineOperator(RenderedTask, BaseOperator):
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
    ui_color = CallOperator.ui_color

    def __init__(
        self, *, name: str, openai_realtime_conn_id: str = RealtimeHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.openai_realtime_conn_id = openai_realtime_conn_id
        check_order_literals(name, (None, None, None), {})
        self._written = as_written(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Close the line; see the class."""
        check_rendered(self)
        with RealtimeHook(openai_realtime_conn_id=self.openai_realtime_conn_id).switchboard() as switchboard:
            was_open = switchboard.remove_order(self.name)
        self.log.info("The line %s %s.", self.name, "is closed" if was_open else "was not open")
        return {"name": self.name, "was_open": was_open}
