"""
The client of the switchboard's private API, for tasks and triggers.

What can be asked stands in the modules beside: ``switchboard_requests``,
``conversation_requests``, ``progress_requests`` and ``order_requests``.
"""

from __future__ import annotations

from airflow_openai_realtime.api.client import Client, Pace
from airflow_openai_realtime.api.network import Transport
from airflow_openai_realtime.api.request import SWITCHBOARD, Service
from airflow_openai_realtime.calls.call import Attempt
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress, check_address
from airflow_openai_realtime.states import LINE_HEADER
from airflow_openai_realtime.switchboard.client.switchboard_requests import list_attempts

MOST_ANSWER_BYTES = 48 * 1024 * 1024
"""Of one answer; a conversation is kept up to 16 MiB, and its characters may be escaped in an answer."""


class SwitchboardClient(Client):
    """
    Client of one line at its switchboard, for blocking code and coroutines. A context manager for both.

    :param url: The switchboard, for example ``http://airflow-api-server:8080/openai-realtime``.
    :param token: Bearer token of the line.
    :param line: Name of the line; ``None`` for the switchboard's default.
    :param transport: Replaces the network, for tests.
    :param pace: Replaces clock, sleep and chance, for tests.
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
        transport: Transport | None = None,
        pace: Pace | None = None,
        timeout_seconds: float = 10.0,
        retries: bool = True,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        if line:
            headers[LINE_HEADER] = line
        service = Service(SWITCHBOARD, check_address(url, token), headers, (token,), timeout_seconds, MOST_ANSWER_BYTES)
        super().__init__(service, transport=transport, pace=pace, retries=retries)

    @classmethod
    def at(cls, address: SwitchboardAddress) -> SwitchboardClient:
        """
        Make the client of a line.

        :param address: Where its switchboard is, the token for it, and the line's name there.
        """
        return cls(address.url, address.token, line=address.line)

    def attempts(self, campaign: str, *, contact: str | None = None) -> list[Attempt]:
        """
        All attempts of a campaign, or of one contact in it, in the order they were reserved.

        :param campaign: Name of the campaign.
        :param contact: Key of the contact; ``None``: all.
        :raises SwitchboardUnreachable: No answer, 429 or 5xx after the last attempt.
        :raises SwitchboardRefused: Token or line are wrong.

        Retries: up to 5 within 5 s for each page.
        """
        return self.send(list_attempts(campaign, contact=contact))
