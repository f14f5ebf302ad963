"""Notify Airflow of ringing calls, for DAGs that are scheduled on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.hooks.realtime import RealtimeHook
from airflow_openai_realtime.version_compat import has_acknowledged_streams

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

    from airflow_openai_realtime.calls.call import SwitchboardCall
    from airflow_openai_realtime.calls.matching import CallMatch

#: Parameters of the shared stream; the others belong to each trigger alone.
_OF_THE_STREAM = ("ring_again_seconds", "openai_realtime_conn_id")


class IncomingCallTrigger(BaseEventTrigger):
    """
    A notifier: fires when a matching call rings, and repeatedly until the call is claimed.

    For ``AssetWatcher``. The payload of the event holds ``call_id``, ``line`` and ``received_at``, but no number, since
    all users who may see assets can see it. An event says only *look now*: Airflow may hold events back, combine
    several in one run, or deliver one twice. So let the DAG's first task look at the ringing calls:
    ``ClaimCallsOperator``.

    It fires at least once for each call that keeps ringing, whichever process dies meanwhile, and stops once the call
    is claimed. The trigger does not end: it logs errors at most once a minute, and retries.

    All triggers in a process share one long poll for each line. On Airflow 3.3, triggers with the same connection and
    ``ring_again_seconds`` also share one stream, which fires again at once when Airflow did not store an event.

    Patterns are plain text with ``*`` (any text) and ``?`` (one character). They are checked at parse time.

    :param to: Pattern for the number that was called, E.164.
    :param from_number: Pattern for the caller's number, E.164.
    :param headers: Patterns for SIP headers by name.
    :param ring_again_seconds: Pause between two events for one call, in seconds, at least 1.
    :param openai_realtime_conn_id: Connection of type ``openai_realtime``.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """

    def __init__(
        self,
        to: str | None = None,
        from_number: str | None = None,
        headers: Mapping[str, str] | None = None,
        ring_again_seconds: float = 15.0,
        openai_realtime_conn_id: str = RealtimeHook.default_conn_name,
    ) -> None:
        super().__init__()
        # No checks: an exception in a constructor ends the whole triggerer. serialize checks the arguments.
        self.to = to
        self.from_number = from_number
        self.headers = headers
        self.ring_again_seconds = ring_again_seconds
        self.openai_realtime_conn_id = openai_realtime_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Return the arguments of this trigger: JSON primitives, no secret.

        Airflow calls it at parse time, so an invalid value becomes an import error of the DAG.

        :raises InvalidInput: A pattern or a number is invalid.
        """
        match, seconds = self._checked()
        return (
            "airflow_openai_realtime.triggers.incoming_call_event.IncomingCallTrigger",
            {
                "to": match.to,
                "from_number": match.from_number,
                "headers": dict(match.headers) or None,
                "ring_again_seconds": seconds,
                "openai_realtime_conn_id": self.openai_realtime_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire without end; where triggers share streams, Airflow calls :meth:`filter_shared_stream` instead."""
        from airflow_openai_realtime.inbound.notifier import Notifier
        from airflow_openai_realtime.triggers.ringing import idle_for_ever, ring_for_ever

        try:
            match, seconds = self._checked()
        except InvalidInput as error:
            # If this ended, Airflow would start it again every second.
            await idle_for_ever(f"This watcher cannot work; correct its DAG: {error}", self._report)
            return
        async with aclosing(ring_for_ever(self.openai_realtime_conn_id, Notifier(seconds), self._report)) as calls:
            async for call in calls:
                if match.matches(call):
                    yield _event(call)

    # -- Airflow 3.3 and later --------------------------------------------------------------------------------------

    def shared_stream_key(self) -> Hashable | None:
        """Return the key of the stream that triggers of one connection share; ``None`` where Airflow has no streams."""
        try:
            self._checked()
        except InvalidInput:
            return None
        if not has_acknowledged_streams():
            return None
        return (type(self).__name__, *(getattr(self, name) for name in _OF_THE_STREAM))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """
        Make the source of a shared stream: all ringing calls of the line.

        :param kwargs: Arguments of one of the triggers that share it.
        """
        from airflow_openai_realtime.triggers.ringing_stream import RingingStream

        return RingingStream(**{name: kwargs[name] for name in _OF_THE_STREAM})

    async def filter_shared_stream(self, shared_stream: AsyncIterator[SwitchboardCall]) -> AsyncIterator[TriggerEvent]:
        """
        Fire for the matching calls of the stream.

        :param shared_stream: Calls for which the stream fires.
        """
        match, _ = self._checked()
        async for call in shared_stream:
            if match.matches(call):
                yield _event(call)

    def _checked(self) -> tuple[CallMatch, float]:
        from airflow_openai_realtime.calls.parameters import read_match, read_number
        from airflow_openai_realtime.inbound.notifier import LEAST_RING_AGAIN_SECONDS

        seconds = read_number(self.ring_again_seconds, "ring_again_seconds", at_least=LEAST_RING_AGAIN_SECONDS)
        return read_match(self.to, self.from_number, self.headers), seconds

    def _report(self, line: str) -> None:
        self.log.warning("%s", line)


def _event(call: SwitchboardCall) -> TriggerEvent:
    about = {"call_id": call.call_id, "line": call.line, "received_at": call.received_at.isoformat()}
    return TriggerEvent(about)
