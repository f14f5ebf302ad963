"""
What a webhook of an incoming call consists of, and where it goes.

Source: https://developers.openai.com/api/docs/guides/webhooks
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.log import CallRecord


@dataclass(frozen=True)
class WebhookTarget:
    """
    An address that webhooks go to.

    :param url: Where; ``http://`` or ``https://``.
    :param secret: Signs them; None: the simulator's webhook secret.
    :raises InvalidInput: The address is no HTTP URL.
    """

    url: str
    secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InvalidInput(
                "the webhook address is no URL; give one like http://127.0.0.1:8080/webhook", field="webhook_url"
            )

    @property
    def shown(self) -> str:
        """Host, port and path: what tells it apart in a log, without what may be secret in it."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname}{port}{parts.path}"


@dataclass
class Delivery:
    """
    One webhook on its way to one target, over all its attempts.

    :param webhook_id: Stays the same in every attempt and copy.
    :param target: Where it goes.
    :param secret: Signs it.
    :param record: Row of the call in the log's table.
    :param event: The body as JSON values; ``created_at`` is filled in by the first attempt.
    :param created_at: When the call began, in Unix seconds of simulated time.
    :param generation: Which life of the simulator it belongs to; a reset begins the next.
    :param body: The body as sent, from the first attempt on.
    :param attempts: How many were made.
    """

    webhook_id: str
    target: WebhookTarget
    secret: str = field(repr=False)
    record: CallRecord
    event: dict[str, Any]
    created_at: float
    generation: int
    body: bytes = b""
    attempts: int = 0


def incoming_event(call: SimulatedCall, media_security: str | None) -> dict[str, Any]:
    """
    The ``realtime.call.incoming`` event of a call.

    :param call: A call that rings.
    :param media_security: ``rtp`` or ``srtp``; None leaves it out.
    """
    data: dict[str, Any] = {
        "call_id": call.call_id,
        "sip_headers": [{"name": name, "value": value} for name, value in call.sip_headers],
    }
    if media_security is not None:
        data["sip_media_security"] = media_security
    return {
        "object": "event",
        "id": f"evt_{uuid.uuid4().hex}",
        "type": "realtime.call.incoming",
        "created_at": 0,
        "data": data,
    }
