"""
Clients of the switchboard's private API, for tasks (:class:`SwitchboardClient`) and triggers
(:class:`AsyncSwitchboardClient`). They differ only in how they send.

Retries: every request is repeated a few times within some five seconds when no answer came, on 429 and on 5xx. A
repeated request has no second effect, and is answered as the first one was.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import tenacity

from airflow_openai_realtime.api.sip import DEFAULT_REJECT_STATUS
from airflow_openai_realtime.api.transport import AsyncTransport, Transport
from airflow_openai_realtime.calls.call import Announcement, Attempt, CallPage, Preflight, SwitchboardCall
from airflow_openai_realtime.calls.line_settings import check_address
from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.task_states import CLEARED_SECONDS, TaskReference, TaskState
from airflow_openai_realtime.exceptions import SwitchboardRefused, SwitchboardUnreachable
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.client import switchboard_requests as ask
from airflow_openai_realtime.switchboard.client.conversation_client import AsyncConversationMethods, ConversationMethods
from airflow_openai_realtime.switchboard.client.order_client import AsyncOrderMethods, OrderMethods
from airflow_openai_realtime.switchboard.client.switchboard_requests import SwitchboardRequest

if TYPE_CHECKING:
    from airflow_openai_realtime.calls.witnesses import Account

MOST_ANSWER_BYTES = 48 * 1024 * 1024
"""Of one answer; a conversation is kept up to 16 MiB, and its characters may be escaped in an answer."""

REUSE_SECONDS = 4.0
"""How long a connection is kept for the next request; servers wait five seconds and more."""

_RETRYING: dict[str, Any] = {
    "retry": tenacity.retry_if_exception_type(SwitchboardUnreachable),
    "stop": tenacity.stop_after_attempt(5) | tenacity.stop_after_delay(5.0),
    "wait": tenacity.wait_exponential(multiplier=0.1, max=1.5) + tenacity.wait_random(0, 0.2),
    "reraise": True,
}


class _Address:
    """What both clients hold: where the switchboard is, and how to sign in."""

    def __init__(
        self,
        url: str,
        token: str,
        line: str | None,
        timeout_seconds: float,
        retries: bool,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.url = check_address(url, token)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if line:
            headers[LINE_HEADER] = line
        self._options: dict[str, Any] = {
            "headers": headers,
            "timeout_seconds": timeout_seconds,
            "most_bytes": MOST_ANSWER_BYTES,
            "reuse_seconds": REUSE_SECONDS,
            "transport": transport,
        }
        self._retries = retries

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @property
    def _retrying(self) -> dict[str, Any]:
        return _RETRYING if self._retries else {**_RETRYING, "stop": tenacity.stop_after_attempt(1)}

    def _arguments(self, request: SwitchboardRequest) -> dict[str, Any]:
        """Arguments of a transport's ``send``; a long poll may take its wait longer."""
        return {
            "method": request.method,
            "url": self.url + request.path,
            "params": request.params or None,
            "json": request.body,
            "wait_seconds": request.wait_seconds,
        }


class SwitchboardClient(_Address, OrderMethods, ConversationMethods):
    """
    Client for synchronous code. A context manager; :meth:`close` does the same.

    :param url: The switchboard, for example ``http://airflow-api-server:8080/openai-realtime``.
    :param token: Bearer token of the line.
    :param line: Name of the line; None for the switchboard's default.
    :param transport: For tests.
    :param timeout_seconds: Limit for one whole exchange, in seconds, above 0, not counting a long poll's wait.
    :param retries: Whether a request that failed is repeated.
    :raises ConfigurationError: URL or token are missing or unusable.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        line: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_seconds: float = 10.0,
        retries: bool = True,
    ) -> None:
        super().__init__(url, token, line, timeout_seconds, retries, transport)
        self._http = Transport(**self._options)

    def __enter__(self) -> SwitchboardClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, request: SwitchboardRequest) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            try:
                response = self._http.send(**self._arguments(request))
            except httpx.HTTPError as error:
                raise ask.unreachable(request, self.url, error) from error
            return ask.interpret(request, self.url, response.status_code, response.content)

        return tenacity.Retrying(**self._retrying)(once)

    def calls(
        self,
        *,
        after: str | None = None,
        wait_seconds: float = 0.0,
        state: str | None = None,
        claimed_by: str | None = None,
        limit: int = 500,
    ) -> CallPage:
        """
        Calls of the line, oldest first, and a cursor.

        Without ``after``: calls as they are now; without a filter the ringing ones. With ``after``: calls that changed
        since that cursor, each as it is now; when there is none yet, the answer is held back up to ``wait_seconds``.

        :param after: Cursor of an earlier page.
        :param wait_seconds: 0 to 25, in seconds; only with ``after``.
        :param state: Only calls in this state; several separated by commas; ``all`` for every state.
        :param claimed_by: Only calls of this claimant; without ``state`` in any state.
        :param limit: 1 to 1,000; the newest ones when there are more.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.
        :raises SwitchboardRefused: Token, line or request are wrong.

        Retries: up to 5 within 5 s.
        """
        request = ask.list_calls(
            after=after, wait_seconds=wait_seconds, state=state, claimed_by=claimed_by, limit=limit
        )
        return ask.as_page(self._send(request))

    def call(self, call_id: str) -> SwitchboardCall:
        """
        One call as it is now.

        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.one_call(call_id)))

    def claim(self, call_id: str, claimant: str) -> SwitchboardCall:
        """
        Take a ringing call. Only one claimant gets it; the same one asking again gets it again.

        :param call_id: The call.
        :param claimant: A stable name, for example of the task instance, so that a retried task gets its own call.
        :raises MoveRefused: Another claimant has it, or it rings no more; a :class:`ClaimLost`.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.move_call(call_id, "claim", claimant=claimant)))

    def accepting(self, call_id: str, claimant: str, max_duration_seconds: float) -> SwitchboardCall:
        """
        Say, before OpenAI is asked to accept, by when the call must be over; claims it when nobody has yet.

        A call that the switchboard does not know is registered, so that it is watched as well. The moment is counted by
        the switchboard's clock, and is never moved later by asking again.

        :param call_id: The call.
        :param claimant: Who accepts it.
        :param max_duration_seconds: Above 0, at most 3,600, in seconds.
        :raises MoveRefused: Another claimant has it, or it is over: do not accept it.
        """
        return self.announce(call_id, claimant, max_duration_seconds).call

    def announce(
        self,
        call_id: str,
        claimant: str,
        max_duration_seconds: float,
        is_sole: bool = False,
        sole_match: CallMatch | None = None,
    ) -> Announcement:
        """
        As :meth:`accepting`, and learn whether OpenAI may have been asked before.

        :param call_id: The call.
        :param claimant: Who accepts it.
        :param max_duration_seconds: Above 0, at most 3,600, in seconds.
        :param is_sole: Whether the claimant must have no other open call; then it is refused as ``has_another``.
        :param sole_match: Which other calls count for that; ``None``: all.
        :raises MoveRefused: Another claimant has it, or it is over: do not accept it.
        """
        request = ask.announce(call_id, claimant, max_duration_seconds, is_sole, sole_match)
        return ask.as_announcement(self._send(request))

    def accepted(self, call_id: str, claimant: str) -> SwitchboardCall:
        """
        Say that OpenAI has accepted the call.

        :raises MoveRefused: ``ended``: it was hung up meanwhile; ``claimed_by_other``: another claimant has it.
        """
        return ask.as_call(self._send(ask.move_call(call_id, "accepted", claimant=claimant)))

    def release(self, call_id: str, claimant: str, claimed_at: datetime | None, reason: str) -> SwitchboardCall:
        """
        Give a claim back, when OpenAI has certainly not accepted the call: it rings on, and any task may claim it.

        Nothing happens when the claimant does not have the call any more, or has claimed it again in between.

        :param call_id: The call.
        :param claimant: Who has claimed it.
        :param claimed_at: When, as the call says that was announced or claimed.
        :param reason: Why, for example ``accept_failed``, up to 200 characters; the call's ``end_reason`` if no other
            task answers it.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.release(call_id, claimant, claimed_at, reason)))

    def accept_in_doubt(self, call_id: str, claimant: str) -> SwitchboardCall:
        """
        Note that an accept failed without a clear answer. The claim and the announced end stay.

        :param call_id: The call.
        :param claimant: Who has claimed it.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.move_call(call_id, "accept_in_doubt", claimant=claimant)))

    def rejected(self, call_id: str, status_code: int) -> SwitchboardCall:
        """
        Say that the call was rejected with this SIP status; a call that is over stays as it is.

        :raises MoveRefused: ``not_ringing``: it was accepted.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.move_call(call_id, "rejected", status_code=status_code)))

    def decline_call(
        self, call_id: str, *, by: str, status_code: int = DEFAULT_REJECT_STATUS, wanted: bool = True
    ) -> SwitchboardCall:
        """
        Note that a call is about to be declined. When nothing more is reported for five seconds, the switchboard
        declines it.

        :param call_id: The call.
        :param by: Who declines it, 1 to 2,000 characters.
        :param status_code: SIP status, 300 to 699.
        :param wanted: ``False`` withdraws that: the call certainly was not declined, and rings on.
        :raises MoveRefused: ``not_ringing``: it was accepted.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.decline_call(call_id, by, status_code, wanted)))

    def want_transfer(self, call_id: str, target_uri: str) -> SwitchboardCall:
        """
        Note that a transfer is about to be requested, so that the end that follows counts as the transfer's.

        :raises MoveRefused: ``not_accepted``: it was not accepted.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.move_call(call_id, "refer", target_uri=target_uri)))

    def referred(self, call_id: str, target_uri: str, *, requested: bool = True) -> SwitchboardCall:
        """
        Say that a transfer was requested. The call stays open until it is said to have ended.

        :param call_id: The call.
        :param target_uri: Where to.
        :param requested: Whether it was; ``False``: it certainly was not.
        :raises MoveRefused: ``not_accepted``: nobody has accepted it.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.referred(call_id, target_uri, requested)))

    def end_call(
        self,
        call_id: str,
        *,
        reason: str,
        by: str,
        after_seconds: float = 0.0,
        acting: bool = False,
    ) -> SwitchboardCall:
        """
        Ask the switchboard to end a call. The answer comes at once; the call is over a moment later.

        The switchboard commits who wants the end and why. From then on it hangs up, as often as it takes, declines the
        call when it only rings, and writes the end, the result and the ledger, whichever process dies.

        :param call_id: The call.
        :param reason: Why, for example ``hung_up``, 1 to 200 characters. The first request's reason counts.
        :param by: Who wants it, 1 to 2,000 characters.
        :param after_seconds: 0: now. Above, at most 3,600: the call has lost its holder, and ends then unless another
            takes it over.
        :param acting: Whether the caller of this method ends the call itself right after; the switchboard does so only
            when nothing more is reported for five seconds.
        :return: The call as it is now; one that is over already stays as it is.
        :raises UnknownCall: The line has never seen it.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.

        Retries: up to 5 within 5 s; a repeated request has no second effect.
        """
        request = ask.end_call(call_id, reason, by, after_seconds, acting)
        return ask.as_call(self._send(request))

    def ended(
        self,
        call_id: str,
        reason: str | Account,
        *,
        ended_at: datetime | None = None,
        too_late_for: str | None = None,
    ) -> SwitchboardCall:
        """
        Report that the call is over. The account of a stronger witness stays.

        :param call_id: The call.
        :param reason: Why, for example ``hung_up``, up to 200 characters; or the whole account of a witness.
        :param ended_at: When it was over, aware; ``None``: now.
        :param too_late_for: The ``by`` of an :meth:`end_call` that certainly came too late.
        :return: The call, with the account of its end that stands.
        :raises UnknownCall: The line has never seen it.
        """
        return ask.as_call(self._send(ask.ended(call_id, reason, ended_at, too_late_for=too_late_for)))

    def reserve_attempt(
        self, campaign: str, contact: str, attempt: int, to_number: str, claimant: str | None = None
    ) -> Attempt:
        """
        The ledger's row for this attempt; made and committed if it is not there, else returned as it is.

        :param campaign: Name of the campaign; with contact and attempt the key of the row.
        :param contact: Key of the contact within it.
        :param attempt: 1 or more.
        :param to_number: E.164; kept as it was when the row is there already, until a move gives another.
        :param claimant: Stable name of the task that dials; users who may read its DAG see the attempt on the Calls
            page. ``None``: only users who may read the connection do.
        """
        return ask.as_attempt(self._send(ask.reserve_attempt(campaign, contact, attempt, to_number, claimant)))

    def attempt(self, attempt_id: str) -> Attempt:
        """
        One row of the ledger as it is now.

        :raises UnknownCall: The line has no such attempt.
        """
        return ask.as_attempt(self._send(ask.one_attempt(attempt_id)))

    def move_attempt(
        self, attempt_id: str, from_state: str, to_state: str, *, owner: str | None = None, **fields: str | None
    ) -> Attempt:
        """
        Move an attempt on, if it still is in ``from_state``; only one mover wins.

        :param attempt_id: The row.
        :param from_state: The state it must be in.
        :param to_state: The state it gets.
        :param owner: Names this one move, so that its repetition after a lost answer is not taken for a second mover.
            Leave it out: it is made up anew for each call of this method. Never reuse one for *reserved → dialing*
            across retries of a task: the second would be allowed to dial, and the phone would ring twice.
        :param fields: Any of ``carrier_call_id, outcome, call_id, detail, to_number``, to store with the move.
        :raises MoveRefused: ``attempt_moved``: it is in another state, or no such move exists.
        :raises UnknownCall: There is no such attempt.
        """
        body = _move_body(from_state, to_state, owner, fields)
        return ask.as_attempt(self._send(ask.move_attempt(attempt_id, body)))

    def attempts(self, campaign: str, *, contact: str | None = None) -> list[Attempt]:
        """All attempts of a campaign, or of one contact in it, in the order they were reserved."""
        found: list[Attempt] = []
        after: str | None = None
        while True:
            page, after = ask.as_attempts(self._send(ask.list_attempts(campaign, contact, after)))
            found += page
            if after is None:
                return found

    def preflight(self, checks: Iterable[str], *, run: tuple[str, str, datetime] | None = None) -> Preflight:
        """
        What the switchboard knows before a phone is dialed; a switchboard that cannot tell knows nothing.

        :param checks: Names of the checks that the caller would make, at most 20.
        :param run: DAG id, run id and start of the DAG run that asks, aware. Its first start is remembered.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.
        :raises SwitchboardRefused: Token or line are wrong.

        Retries: up to 5 within 5 s.
        """
        request = ask.preflight(ask.run_start(*run) if run is not None else None, checks)
        try:
            return ask.as_preflight(self._send(request))
        except SwitchboardRefused as error:
            return ask.unknown_preflight(error)

    def checks_passed(self, checks: Iterable[str]) -> None:
        """
        Let the switchboard remember for some minutes that checks passed.

        :param checks: Their names, 1 to 20.
        """
        self._send(ask.checks_passed(checks))

    def task_state(self, task: TaskReference) -> TaskState | None:
        """
        How an Airflow task is, as a switchboard in Airflow's API server sees it.

        :param task: One try of a task instance.
        :return: ``None``: this switchboard runs elsewhere, or is of an older release.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.
        """
        try:
            return ask.as_task_state(self._send(ask.task_state(task)))
        except SwitchboardRefused as error:
            if error.status in (404, 405):
                return None
            raise

    def task_stopped(
        self,
        task: TaskReference,
        call_id: str,
        *,
        by: str,
        generation: int = 0,
        unknown_after_seconds: float = CLEARED_SECONDS,
    ) -> TaskState | None:
        """
        Let the switchboard decide about the call of a task that Airflow has stopped.

        The call of a task that is over ends at once. That of a cleared one waits a minute for the next try. That of a
        trigger that only moves to another triggerer goes on.

        :param task: The try that was stopped.
        :param call_id: Its call.
        :param by: Its claimant, 1 to 2,000 characters.
        :param generation: Its number as a holder of the conversation; 0: it was none.
        :param unknown_after_seconds: When the call ends, 0 to 3,600, unless a holder goes on with it, where the
            switchboard does not run in Airflow's API server and so does not know how the task is.
        :return: How the task is; ``None``: this switchboard does not know.
        :raises UnknownCall: The line has never seen the call.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.

        Retries: up to 5 within 5 s; a repeated request has no second effect.
        """
        return ask.as_task_state(self._send(ask.task_stopped(task, call_id, by, generation, unknown_after_seconds)))

    def leave_result(self, task: TaskReference, call_id: str | None) -> bool:
        """
        Leave the result of a killed task's call in Airflow, where the task would have returned it.

        :param task: The try that was killed.
        :param call_id: Its call; ``None``: it had none yet.
        :return: Whether it is there now; not while the result is not written, and not by a standalone switchboard.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.
        """
        try:
            return bool(self._send(ask.leave_result(task, call_id)).get("left"))
        except SwitchboardRefused as error:
            if error.status in (404, 405):
                return False
            raise

    def check(self) -> dict[str, Any]:
        """
        Whether the switchboard can be reached, takes the token, and reaches its store.

        :returns: ``line``, ``version``, ``calls`` by state and more; see the switchboard's ``/v1/status``.
        """
        return self._send(ask.status())


class AsyncSwitchboardClient(_Address, AsyncOrderMethods, AsyncConversationMethods):
    """
    Client for asynchronous code; :class:`SwitchboardClient` describes parameters and methods.

    An async context manager; :meth:`aclose` does the same.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        line: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_seconds: float = 10.0,
        retries: bool = True,
    ) -> None:
        super().__init__(url, token, line, timeout_seconds, retries, transport)
        self._http = AsyncTransport(**self._options)

    async def __aenter__(self) -> AsyncSwitchboardClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, request: SwitchboardRequest) -> dict[str, Any]:
        async def once() -> dict[str, Any]:
            try:
                response = await self._http.send(**self._arguments(request))
            except httpx.HTTPError as error:
                raise ask.unreachable(request, self.url, error) from error
            return ask.interpret(request, self.url, response.status_code, response.content)

        return await tenacity.AsyncRetrying(**self._retrying)(once)

    async def calls(
        self,
        *,
        after: str | None = None,
        wait_seconds: float = 0.0,
        state: str | None = None,
        claimed_by: str | None = None,
        limit: int = 500,
    ) -> CallPage:
        """Calls of the line and a cursor; see :meth:`SwitchboardClient.calls`."""
        request = ask.list_calls(
            after=after, wait_seconds=wait_seconds, state=state, claimed_by=claimed_by, limit=limit
        )
        return ask.as_page(await self._send(request))

    async def call(self, call_id: str) -> SwitchboardCall:
        """One call as it is now; see :meth:`SwitchboardClient.call`."""
        return ask.as_call(await self._send(ask.one_call(call_id)))

    async def claim(self, call_id: str, claimant: str) -> SwitchboardCall:
        """Take a ringing call; see :meth:`SwitchboardClient.claim`."""
        return ask.as_call(await self._send(ask.move_call(call_id, "claim", claimant=claimant)))

    async def accepting(self, call_id: str, claimant: str, max_duration_seconds: float) -> SwitchboardCall:
        """Say by when the call must be over; see :meth:`SwitchboardClient.accepting`."""
        return (await self.announce(call_id, claimant, max_duration_seconds)).call

    async def announce(
        self,
        call_id: str,
        claimant: str,
        max_duration_seconds: float,
        is_sole: bool = False,
        sole_match: CallMatch | None = None,
    ) -> Announcement:
        """Say by when the call must be over; see :meth:`SwitchboardClient.announce`."""
        request = ask.announce(call_id, claimant, max_duration_seconds, is_sole, sole_match)
        return ask.as_announcement(await self._send(request))

    async def accepted(self, call_id: str, claimant: str) -> SwitchboardCall:
        """Say that OpenAI has accepted the call; see :meth:`SwitchboardClient.accepted`."""
        return ask.as_call(await self._send(ask.move_call(call_id, "accepted", claimant=claimant)))

    async def release(self, call_id: str, claimant: str, claimed_at: datetime | None, reason: str) -> SwitchboardCall:
        """As :meth:`SwitchboardClient.release`."""
        return ask.as_call(await self._send(ask.release(call_id, claimant, claimed_at, reason)))

    async def accept_in_doubt(self, call_id: str, claimant: str) -> SwitchboardCall:
        """As :meth:`SwitchboardClient.accept_in_doubt`."""
        return ask.as_call(await self._send(ask.move_call(call_id, "accept_in_doubt", claimant=claimant)))

    async def rejected(self, call_id: str, status_code: int) -> SwitchboardCall:
        """Say that the call was rejected; see :meth:`SwitchboardClient.rejected`."""
        return ask.as_call(await self._send(ask.move_call(call_id, "rejected", status_code=status_code)))

    async def decline_call(
        self, call_id: str, *, by: str, status_code: int = DEFAULT_REJECT_STATUS, wanted: bool = True
    ) -> SwitchboardCall:
        """Say that a call is about to be declined; see :meth:`SwitchboardClient.decline_call`."""
        return ask.as_call(await self._send(ask.decline_call(call_id, by, status_code, wanted)))

    async def want_transfer(self, call_id: str, target_uri: str) -> SwitchboardCall:
        """Say that a transfer is about to be requested; see :meth:`SwitchboardClient.want_transfer`."""
        return ask.as_call(await self._send(ask.move_call(call_id, "refer", target_uri=target_uri)))

    async def referred(self, call_id: str, target_uri: str, *, requested: bool = True) -> SwitchboardCall:
        """Say that a transfer was requested; see :meth:`SwitchboardClient.referred`."""
        return ask.as_call(await self._send(ask.referred(call_id, target_uri, requested)))

    async def end_call(
        self,
        call_id: str,
        *,
        reason: str,
        by: str,
        after_seconds: float = 0.0,
        acting: bool = False,
    ) -> SwitchboardCall:
        """Ask the switchboard to end a call; see :meth:`SwitchboardClient.end_call`."""
        request = ask.end_call(call_id, reason, by, after_seconds, acting)
        return ask.as_call(await self._send(request))

    async def ended(
        self,
        call_id: str,
        reason: str | Account,
        *,
        ended_at: datetime | None = None,
        too_late_for: str | None = None,
    ) -> SwitchboardCall:
        """Say that the call is over; see :meth:`SwitchboardClient.ended`."""
        return ask.as_call(await self._send(ask.ended(call_id, reason, ended_at, too_late_for=too_late_for)))

    async def reserve_attempt(
        self, campaign: str, contact: str, attempt: int, to_number: str, claimant: str | None = None
    ) -> Attempt:
        """The ledger's row for this attempt; see :meth:`SwitchboardClient.reserve_attempt`."""
        return ask.as_attempt(await self._send(ask.reserve_attempt(campaign, contact, attempt, to_number, claimant)))

    async def move_attempt(
        self, attempt_id: str, from_state: str, to_state: str, *, owner: str | None = None, **fields: str | None
    ) -> Attempt:
        """Move an attempt on; see :meth:`SwitchboardClient.move_attempt`."""
        body = _move_body(from_state, to_state, owner, fields)
        return ask.as_attempt(await self._send(ask.move_attempt(attempt_id, body)))

    async def attempt(self, attempt_id: str) -> Attempt:
        """One row of the ledger as it is now; see :meth:`SwitchboardClient.attempt`."""
        return ask.as_attempt(await self._send(ask.one_attempt(attempt_id)))

    async def attempts(self, campaign: str, *, contact: str | None = None) -> list[Attempt]:
        """All attempts of a campaign; see :meth:`SwitchboardClient.attempts`."""
        found: list[Attempt] = []
        after: str | None = None
        while True:
            page, after = ask.as_attempts(await self._send(ask.list_attempts(campaign, contact, after)))
            found += page
            if after is None:
                return found

    async def preflight(self, checks: Iterable[str], *, run: tuple[str, str, datetime] | None = None) -> Preflight:
        """What the switchboard knows before a phone is dialed; see :meth:`SwitchboardClient.preflight`."""
        request = ask.preflight(ask.run_start(*run) if run is not None else None, checks)
        try:
            return ask.as_preflight(await self._send(request))
        except SwitchboardRefused as error:
            return ask.unknown_preflight(error)

    async def checks_passed(self, checks: Iterable[str]) -> None:
        """Let the switchboard remember that checks passed; see :meth:`SwitchboardClient.checks_passed`."""
        await self._send(ask.checks_passed(checks))

    async def task_state(self, task: TaskReference) -> TaskState | None:
        """How an Airflow task is; see :meth:`SwitchboardClient.task_state`."""
        try:
            return ask.as_task_state(await self._send(ask.task_state(task)))
        except SwitchboardRefused as error:
            if error.status in (404, 405):
                return None
            raise

    async def task_stopped(
        self,
        task: TaskReference,
        call_id: str,
        *,
        by: str,
        generation: int = 0,
        unknown_after_seconds: float = CLEARED_SECONDS,
    ) -> TaskState | None:
        """Let the switchboard decide about a stopped task's call; see :meth:`SwitchboardClient.task_stopped`."""
        request = ask.task_stopped(task, call_id, by, generation, unknown_after_seconds)
        return ask.as_task_state(await self._send(request))

    async def leave_result(self, task: TaskReference, call_id: str | None) -> bool:
        """Leave a killed task's result in Airflow; see :meth:`SwitchboardClient.leave_result`."""
        try:
            return bool((await self._send(ask.leave_result(task, call_id))).get("left"))
        except SwitchboardRefused as error:
            if error.status in (404, 405):
                return False
            raise

    async def check(self) -> dict[str, Any]:
        """How the switchboard is; see :meth:`SwitchboardClient.check`."""
        return await self._send(ask.status())


def _move_body(
    from_state: str, to_state: str, owner: str | None, fields: dict[str, str | None]
) -> dict[str, str | None]:
    return {"from_state": from_state, "to_state": to_state, "owner": owner or uuid.uuid4().hex, **fields}
