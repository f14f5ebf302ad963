"""One client for each project, made in a thread, kept while it is used."""

from __future__ import annotations

import threading

from tests.unit.switchboard.support import a_line

from airflow_openai_realtime.api.client import AsyncCallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.switchboard.server.call_clients import IDLE_SECONDS, SharedClients, reusing_client

API, OTHER = a_line().api, a_line("other", organization="org").api


class Made:
    """Counts the clients, and where they were made."""

    def __init__(self) -> None:
        self.clients: list[AsyncCallsClient] = []
        self.threads: set[threading.Thread] = set()
        self.now = 0.0

    def make(self, settings: ApiSettings) -> AsyncCallsClient:
        self.threads.add(threading.current_thread())
        self.clients.append(reusing_client(settings))
        return self.clients[-1]

    def are_closed(self) -> list[bool]:
        return [client._http._http.is_closed for client in self.clients]


async def test_all_users_of_a_project_share_a_client() -> None:
    made = Made()
    clients = SharedClients(made.make)
    async with clients.use(API) as one, clients.use(API) as two, clients.use(OTHER) as other:
        assert one is two is not other
    assert len(made.clients) == 2
    assert threading.main_thread() not in made.threads
    await clients.close()
    assert made.are_closed() == [True, True]


async def test_a_client_is_closed_when_it_was_idle_for_long_and_not_before() -> None:
    made = Made()
    clients = SharedClients(made.make, monotonic=lambda: made.now)
    await clients.warm(API)
    async with clients.use(OTHER):
        made.now = IDLE_SECONDS - 1
        await clients.warm(API)
        made.now = IDLE_SECONDS + 1
        await clients.close_idle()
        assert made.are_closed() == [False, False]
        made.now = 2 * IDLE_SECONDS + 1
        await clients.close_idle()
        assert made.are_closed() == [True, False]
    async with clients.use(API):
        assert len(made.clients) == 3
    await clients.close()
