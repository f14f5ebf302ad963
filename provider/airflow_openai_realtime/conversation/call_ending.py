"""Making sure that a call is over, and finding out who ended it."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_openai_realtime.conversation.ports import CallPorts
from airflow_openai_realtime.exceptions import CallError, SwitchboardError
from airflow_openai_realtime.switchboard.records import SwitchboardCall

#: How long after ``hangup_at`` a hang-up that fails is tried again, in seconds; the switchboard does so as well.
HANG_UP_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 8.0
#: This close to ``hangup_at`` (in seconds), the end of a call may be the switchboard's doing; it is asked again.
REAPER_MARGIN_SECONDS = 5.0
#: How often, and with what pause, the switchboard is then asked for the reason.
REASON_ATTEMPTS = 4
REASON_PAUSE_SECONDS = 0.5


class CallEnding:
    """
    Ends one call.

    :param ports: OpenAI, the switchboard and the clock.
    :param call_id: The call.
    :param hangup_at: When the switchboard ends it, aware.
    """

    def __init__(self, ports: CallPorts, call_id: str, hangup_at: datetime) -> None:
        self._ports = ports
        self._call_id = call_id
        self._hangup_at = hangup_at
        #: Whether OpenAI said that it is over. Once it is marked as ended nobody looks after it, so this must be so.
        self.is_certain = False
        #: Whether it was over before we hung up.
        self.was_over = False
        #: The switchboard's row, once it was seen to be over.
        self.row: SwitchboardCall | None = None

    async def hang_up(self) -> None:
        """Hang up, trying until some time after ``hangup_at``. Nothing is raised."""
        until = max(self._hangup_at, self._ports.now()) + timedelta(seconds=HANG_UP_SECONDS)
        pause = FIRST_PAUSE_SECONDS
        while not await self._hang_up_once("cannot be hung up"):
            if self._ports.now() >= until:
                return
            await self._ports.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def make_certain(self) -> None:
        """Hang up once a call that seems to be over; when that fails, it is left to the switchboard."""
        await self._hang_up_once("seems to be over, but OpenAI does not say so")

    async def look_at_row(self) -> None:
        """Find out whether the switchboard knows how the call ended."""
        near_deadline = (self._hangup_at - self._ports.now()).total_seconds() <= REAPER_MARGIN_SECONDS
        for attempt in range(REASON_ATTEMPTS if near_deadline else 1):
            if attempt:
                # The reaper hangs up first and writes the reason after.
                await self._ports.sleep(REASON_PAUSE_SECONDS)
            try:
                row = await self._ports.find(self._call_id)
            except SwitchboardError:
                continue
            if row is not None and row.is_over:
                self.row = row
                return

    async def tell(self, outcome: str) -> None:
        """Tell the switchboard, if it is certain."""
        if self.is_certain:
            await self._ports.ended(self._call_id, outcome)

    async def _hang_up_once(self, trouble: str) -> bool:
        """Return whether there is nothing more to try."""
        try:
            hung_up = await self._ports.hang_up(self._call_id)
        except CallError as error:
            self._ports.report(f"Call {self._call_id} {trouble}; the switchboard ends it at its time: {error}")
            return not error.safe_to_retry
        self.is_certain, self.was_over = True, hung_up.gone
        return True
