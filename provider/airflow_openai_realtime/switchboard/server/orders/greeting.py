"""
Request the greeting: without a request, the model waits until the caller says something.

Source: https://developers.openai.com/api/docs/guides/voice-sip
"""

from __future__ import annotations

import asyncio
import logging

from airflow_openai_realtime.api.settings import ApiSettings
from airflow_openai_realtime.api.sideband.connection import attach
from airflow_openai_realtime.exceptions import CallError
from airflow_openai_realtime.switchboard.server.process import logs

log = logging.getLogger(__name__)

GREETING_SECONDS = 8.0
"""For attaching, telling and hearing that it was understood; after that the caller is left to speak first."""


async def greet(settings: ApiSettings, call_id: str, instructions: str) -> bool:
    """
    Let the model speak first in a call that was accepted just now. Never raises: a call goes on without its greeting.

    Attaches the sideband, asks for one response, and closes the socket once the response has begun; that does not end
    the call.

    :param settings: How to reach OpenAI.
    :param call_id: The call.
    :param instructions: What to say.
    :returns: Whether the model began to speak.
    """
    try:
        return await asyncio.wait_for(_ask_for_response(settings, call_id, instructions), GREETING_SECONDS)
    except (CallError, asyncio.TimeoutError) as error:
        log.warning(logs.line("order.not_greeted", call_id=call_id, error=type(error).__name__))
    except Exception:
        log.exception(logs.line("order.greeting_failed", call_id=call_id))
    return False


async def _ask_for_response(settings: ApiSettings, call_id: str, instructions: str) -> bool:
    async with attach(settings, call_id) as sideband:
        await sideband.send({"type": "response.create", "response": {"instructions": instructions}})
        async for event in sideband:
            if event.get("type") == "response.created":
                return True
            if event.get("type") == "error":
                # Without its text, which may quote the instructions.
                code = (event.get("error") or {}).get("code")
                log.warning(logs.line("order.not_greeted", call_id=call_id, error="refused", code=code))
                return False
    log.warning(logs.line("order.not_greeted", call_id=call_id, error="closed"))
    return False
