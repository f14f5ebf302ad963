"""Make sure that a call is over, and find out who ended it."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.witnesses import Account
from airflow_openai_realtime.conversation.run.ports import CallPorts
from airflow_openai_realtime.exceptions import CallError, SwitchboardError

#: Seconds after ``hangup_at`` for which a failed hang-up is retried; the switchboard retries as well.
HANG_UP_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 8.0


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
        #: Whether OpenAI confirmed that the call is over. Only then may it be marked as ended, since no process watches
        #: an ended call.
        self.is_certain = False
        #: Whether it was certainly over before we hung up.
        self.was_over = False

    async def hang_up(self) -> None:
        """Hang up. Raises nothing; retries with pauses of 1 to 8 s until 30 s after ``hangup_at``."""
        until = max(self._hangup_at, self._ports.now()) + timedelta(seconds=HANG_UP_SECONDS)
        pause = FIRST_PAUSE_SECONDS
        while not await self._hang_up_once("cannot be hung up"):
            if self._ports.now() >= until:
                return
            await self._ports.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def make_certain(self) -> None:
        """Hang up a call that seems to be over, without a retry; if that fails, the switchboard ends it at its time."""
        await self._hang_up_once("seems to be over, but OpenAI does not confirm it")

    async def tell(self, account: Account, ended_at: datetime) -> SwitchboardCall | None:
        """
        Report to the switchboard how the call ended, if it certainly did.

        :param account: The owner's account.
        :param ended_at: When it ended, aware.
        :return: The switchboard's row, which may hold the account of a stronger witness; ``None``: not known.
        """
        if self.is_certain:
            return await self._ports.ended(self._call_id, account, ended_at)
        try:
            return await self._ports.find(self._call_id)
        except SwitchboardError:
            return None

    async def _hang_up_once(self, trouble: str) -> bool:
        """Return whether there is nothing more to try."""
        try:
            hung_up = await self._ports.hang_up(self._call_id)
        except CallError as error:
            self._ports.report(f"Call {self._call_id} {trouble}; the switchboard ends it at its time: {error}")
            return not error.safe_to_retry
        self.is_certain, self.was_over = True, hung_up.gone and not hung_up.maybe_by_us
        return True
