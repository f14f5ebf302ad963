"""Clients that all triggers of a process share: each costs a TLS context, which is slow to make and large to keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow_openai_realtime.api.client import AsyncCallsClient
from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.calls.line_settings import SwitchboardAddress
from airflow_openai_realtime.inbound.feed import CallFeed
from airflow_openai_realtime.inbound.sharing import SharedResources
from airflow_openai_realtime.outbound.carriers.carrier_settings import CarrierSettings, async_dialer_for
from airflow_openai_realtime.outbound.carriers.port import AsyncDialer
from airflow_openai_realtime.switchboard.client.switchboard_client import AsyncSwitchboardClient


async def _leave(client: AsyncCallsClient | AsyncSwitchboardClient | AsyncDialer) -> None:
    await client.__aexit__(None, None, None)


_FEEDS: SharedResources[CallFeed] = SharedResources(CallFeed.close)
_CALLS: SharedResources[AsyncCallsClient] = SharedResources(_leave)
_SWITCHBOARDS: SharedResources[AsyncSwitchboardClient] = SharedResources(_leave)
_DIALERS: SharedResources[AsyncDialer] = SharedResources(_leave)


def _switchboard(address: SwitchboardAddress) -> AsyncSwitchboardClient:
    return AsyncSwitchboardClient(address.url, address.token, line=address.line)


@asynccontextmanager
async def shared_feed(address: SwitchboardAddress) -> AsyncIterator[CallFeed]:
    """Use the feed of a line; one long poll serves all that use it in this event loop."""
    async with _FEEDS.use(address, lambda: CallFeed(_switchboard(address))) as feed:
        yield feed


@asynccontextmanager
async def shared_switchboard(address: SwitchboardAddress) -> AsyncIterator[AsyncSwitchboardClient]:
    """Use the client of a line at its switchboard."""
    async with _SWITCHBOARDS.use(address, lambda: _switchboard(address)) as client:
        yield client


@asynccontextmanager
async def shared_calls(settings: ApiSettings) -> AsyncIterator[AsyncCallsClient]:
    """Use the client of a project's call endpoints."""
    async with _CALLS.use(settings, lambda: AsyncCallsClient(settings)) as client:
        yield client


@asynccontextmanager
async def shared_dialer(settings: CarrierSettings) -> AsyncIterator[AsyncDialer]:
    """Use the dialer of a carrier account."""
    async with _DIALERS.use(settings, lambda: async_dialer_for(settings)) as dialer:
        yield dialer
