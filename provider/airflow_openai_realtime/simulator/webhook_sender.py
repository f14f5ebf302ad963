"""
Sends webhooks about incoming calls to the configured addresses: real signatures, real HTTP, retries until a 2xx answer.

Time-outs and waits run on the simulator's clock. ``webhook-timestamp`` is real time, since receivers check it against
their own clock; ``created_at`` in the body is as old as the call is on the simulator's clock.

Source: https://developers.openai.com/api/docs/guides/webhooks
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from airflow_openai_realtime.api.webhooks import sign_webhook
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.calls import SimulatedCall
from airflow_openai_realtime.simulator.clock import Clock
from airflow_openai_realtime.simulator.faults import Fault, Faults
from airflow_openai_realtime.simulator.log import Log
from airflow_openai_realtime.simulator.simulator_settings import SimulatorSettings
from airflow_openai_realtime.simulator.webhook_delivery import Delivery, WebhookTarget, incoming_event

_CLOSE_SECONDS = 2.0
_USER_AGENT = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"


class WebhookSender:
    """
    Sends webhooks from the simulator's event loop.

    :param clock: The simulator's clock.
    :param log: The simulator's log.
    :param faults: What goes wrong on demand.
    :param settings: Tells the settings of the moment.
    """

    def __init__(self, clock: Clock, log: Log, faults: Faults, settings: Callable[[], SimulatorSettings]) -> None:
        self._clock = clock
        self._log = log
        self._faults = faults
        self._settings = settings
        self._targets: list[WebhookTarget] = []
        self._sent: dict[str, list[Delivery]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._posts: set[asyncio.Task[httpx.Response]] = set()
        self._generation = 0

    @property
    def targets(self) -> Sequence[WebhookTarget]:
        """Where webhooks go."""
        with self._clock.lock:
            return list(self._targets)

    def add(self, url: str, secret: str | None = None) -> None:
        """
        Send webhooks to an address, from the next call on.

        :param url: ``http://`` or ``https://``.
        :param secret: Signs them; None: the simulator's webhook secret.
        :raises InvalidInput: The address is no HTTP URL, or the secret cannot sign.
        """
        target = WebhookTarget(url, secret)
        # Refuses a secret that cannot sign, here and not in the middle of a delivery.
        sign_webhook(b"", webhook_id="wh_check", timestamp=0, secret=secret or self._settings().webhook_secret)
        with self._clock.lock:
            self._targets.append(target)

    def clear(self) -> None:
        """Send no more webhooks of new calls anywhere."""
        with self._clock.lock:
            self._targets.clear()

    def announce(self, call: SimulatedCall) -> None:
        """
        Tell all targets of a call that rings.

        :param call: The call, as its webhook describes it.
        """
        with self._clock.lock:
            if not self._targets:
                self._log.add("webhook.nobody", call.record, why="no webhook address is configured")
            for target in self._targets:
                self._announce_to(target, call)

    def redeliver(self, call_id: str, *, times: int = 1) -> None:
        """
        Deliver the webhook of a call again, with the same ``webhook-id``.

        :param call_id: OpenAI's id.
        :param times: How many times.
        :raises InvalidInput: No webhook of such a call was ever sent.
        """
        with self._clock.lock:
            if call_id not in self._sent:
                raise InvalidInput(f"no webhook was sent for call {call_id}", field="call_id", call_id=call_id)
            for delivery in self._sent[call_id]:
                for _ in range(times):
                    self._start(delivery)

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Get ready to send from an event loop, the one it is called on."""
        self._loop = loop
        self._client = httpx.AsyncClient(
            timeout=None,  # noqa: S113 - the time-out runs on the simulator's clock
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": _USER_AGENT},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        """Give up what is on its way and close the connections."""
        with self._clock.lock:
            self._generation += 1
            self._loop = None
        tasks = list(self._tasks)
        self._give_up()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
        if self._posts:
            _, stuck = await asyncio.wait(self._posts, timeout=_CLOSE_SECONDS)
            for post in stuck:
                post.cancel()

    def reset(self) -> None:
        """Forget targets and what was sent, and give up what is on its way."""
        with self._clock.lock:
            self._targets.clear()
            self._sent.clear()
            self._generation += 1
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._give_up)

    def _give_up(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _announce_to(self, target: WebhookTarget, call: SimulatedCall) -> None:
        fault = self._faults.take("webhook", call.record.number)
        delivery = Delivery(
            webhook_id=f"wh_{uuid.uuid4().hex}",
            target=target,
            secret=target.secret or self._settings().webhook_secret,
            record=call.record,
            event=incoming_event(call, self._settings().media_security),
            created_at=call.created_at,
            generation=self._generation,
        )
        self._sent.setdefault(call.call_id, []).append(delivery)
        self._begin(delivery, fault)

    def _begin(self, delivery: Delivery, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        if kind:
            self._log.add(f"webhook.{kind}", delivery.record, webhook_id=delivery.webhook_id)
        if kind == "lost":
            return
        if kind == "forged":
            delivery.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        if fault and kind == "late":
            self._clock.call_later(fault.seconds, lambda: self._start(delivery))
            return
        for _ in range(1 + (fault.copies if fault and kind == "duplicate" else 0)):
            self._start(delivery)

    def _start(self, delivery: Delivery) -> None:
        """Make an attempt soon, on the loop's thread; the clock waits for it."""
        if self._loop is None:
            return
        loop = self._loop
        self._clock.begin_work()

        def spawn() -> None:
            task = loop.create_task(self._attempt(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._done)

        try:
            loop.call_soon_threadsafe(spawn)
        except RuntimeError:  # the loop was closed: the simulator is stopping
            self._clock.end_work()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._clock.end_work()

    async def _attempt(self, delivery: Delivery) -> None:
        with self._clock.lock:
            if delivery.generation != self._generation:
                return
            delivery.attempts += 1
            if not delivery.body:
                age_seconds = max(0.0, self._clock.now() - delivery.created_at)
                delivery.event["created_at"] = int(time.time() - age_seconds)
                delivery.body = json.dumps(delivery.event, separators=(",", ":")).encode()
        outcome = await self._post(delivery)
        with self._clock.lock:
            if delivery.generation != self._generation:
                return
            detail: dict[str, Any] = {
                "webhook_id": delivery.webhook_id,
                "attempt": delivery.attempts,
                "answer": outcome,
                "to": delivery.target.shown,
            }
            if outcome.isdigit() and 200 <= int(outcome) < 300:
                self._log.add("webhook.delivered", delivery.record, **detail)
                return
            self._log.add("webhook.failed", delivery.record, **detail)
            self._retry_later(delivery)

    def _retry_later(self, delivery: Delivery) -> None:
        settings = self._settings()
        wait_seconds = min(
            settings.webhook_first_retry_seconds * 2 ** (delivery.attempts - 1),
            settings.webhook_longest_wait_seconds,
        )
        if self._clock.now() + wait_seconds > delivery.created_at + settings.webhook_give_up_seconds:
            self._log.add("webhook.given_up", delivery.record, webhook_id=delivery.webhook_id)
            return
        self._clock.call_later(wait_seconds, lambda: self._start(delivery))

    async def _post(self, delivery: Delivery) -> str:
        """Send once; the HTTP status as text, or what went wrong in a word or two."""
        if self._client is None:
            return "stopped"
        headers = sign_webhook(
            delivery.body,
            webhook_id=delivery.webhook_id,
            timestamp=int(time.time()),
            secret=delivery.secret,
        )
        headers = {**headers, "content-type": "application/json"}
        # Given up, a request goes on until the client is closed: cancelled, it may leave a connection open behind it.
        post = asyncio.ensure_future(self._client.post(delivery.target.url, content=delivery.body, headers=headers))
        self._posts.add(post)
        post.add_done_callback(self._posted)
        limit = asyncio.ensure_future(self._clock.sleep(self._settings().webhook_timeout_seconds))
        try:
            await asyncio.wait((post, limit), return_when=asyncio.FIRST_COMPLETED)
            if not post.done():
                post.cancel()
                return "time-out"
            return str(post.result().status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return type(error).__name__
        finally:
            limit.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await limit

    def _posted(self, post: asyncio.Task[httpx.Response]) -> None:
        self._posts.discard(post)
        if not post.cancelled():
            post.exception()  # retrieved, so that asyncio logs no warning
