"""
``python -m airflow_openai_realtime.switchboard doctor``: finds out what is wrong before a phone rings.

Touches no call: OpenAI is asked for its models, and the switchboard gets events of a type that it does not store.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from airflow_openai_realtime.api.call_requests import check_key
from airflow_openai_realtime.api.client import CallsClient, Client
from airflow_openai_realtime.api.request import Answer, Policy, Request, Service, json_object
from airflow_openai_realtime.api.settings import check_base_url
from airflow_openai_realtime.api.webhooks import sign_webhook, webhook_secret_problem
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.exceptions import OpenAIRealtimeError, SwitchboardRefused
from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient
from airflow_openai_realtime.switchboard.client.switchboard_requests import get_status
from airflow_openai_realtime.switchboard.server.process.configuration import (
    configured_lines,
    configured_settings,
    configured_store_url,
)
from airflow_openai_realtime.switchboard.server.store import Store

TIMEOUT_SECONDS = 10.0
MOST_SKEW_SECONDS = 10.0
SHORTEST_TOKEN = 16

_TEST_EVENT = b'{"object":"event","id":"evt_doctor","type":"switchboard.doctor","created_at":0,"data":{}}'


class Wrong(OpenAIRealtimeError):
    """Something is not as it must be; the message says what, and what to do."""


@dataclass(frozen=True)
class Finding:
    """
    What came of one check.

    :param check: What was looked at.
    :param detail: What is so; or what is wrong and what to do.
    :param is_ok: Whether it is as it should be.
    """

    check: str
    detail: str
    is_ok: bool

    def to_dict(self) -> dict[str, object]:
        """As JSON primitives."""
        return {"check": self.check, "ok": self.is_ok, "detail": self.detail}

    def __str__(self) -> str:
        return f"{'ok   ' if self.is_ok else 'WRONG'}  {self.check}: {self.detail}"


@dataclass(frozen=True)
class ExaminedLine:
    """
    A line to look at.

    :param name: Its name.
    :param line: ``None``: it cannot be used, and ``problem`` says why.
    :param url: Where tasks reach its switchboard; ``None``: at the doctor's ``--url``.
    :param problem: Why the line cannot be used; empty when it can.
    """

    name: str
    line: Line | None
    url: str | None = None
    problem: str = ""


@dataclass(frozen=True)
class ExaminedAirflow:
    """
    The switchboard that is mounted in an Airflow.

    :param lines: Its connections.
    :param store_url: Its store, not opened yet.
    """

    lines: tuple[ExaminedLine, ...]
    store_url: Callable[[], str]


def examine(environment: Mapping[str, str], url: str, webhook_url: str | None) -> Iterator[Finding]:
    """
    Look at everything of a standalone switchboard, one after the other.

    :param environment: As a standalone switchboard reads it.
    :param url: Where the switchboard is reached from here.
    :param webhook_url: Where OpenAI reaches its webhook; None for ``/webhook`` at ``url``.
    """
    try:
        lines = configured_lines(environment).all()
        configured_settings(environment)
        url = check_base_url(url, "--url")
        webhook_url = check_base_url(webhook_url or f"{url}/webhook", "--webhook-url")
    except OpenAIRealtimeError as error:
        yield Finding("settings", str(error), is_ok=False)
        return
    yield Finding("settings", f"{len(lines)} line(s): {', '.join(line.name for line in lines)}", is_ok=True)
    yield _look("store", partial(_store, partial(configured_store_url, environment)))
    yield _look("switchboard", partial(_switchboard, url))
    for line in lines:
        yield from _of_line(line, url, webhook_url if len(lines) == 1 else f"{webhook_url}/{line.name}")


def examine_airflow(airflow: ExaminedAirflow, url: str | None, webhook_url: str | None) -> Iterator[Finding]:
    """
    Look at everything of a switchboard that is mounted in Airflow's API server.

    :param airflow: Its connections and its store.
    :param url: Where it is reached from here, with ``/openai-realtime`` at the end; None: where each connection says.
    :param webhook_url: Where OpenAI reaches its webhook, without the line; None for ``/webhook`` at ``url``.
    """
    names = ", ".join(each.name for each in airflow.lines)
    if not airflow.lines:
        yield Finding("settings", "no connection of type openai_realtime is mounted here: make one", is_ok=False)
        return
    yield Finding("settings", f"{len(airflow.lines)} connection(s): {names}", is_ok=True)
    yield _look("store", partial(_store, airflow.store_url))
    looked_at: set[str] = set()
    for each in airflow.lines:
        try:
            at = check_base_url(url or each.url or "", "--url" if url else "switchboard_url")
            webhook = check_base_url(webhook_url or f"{at}/webhook", "--webhook-url")
        except OpenAIRealtimeError as error:
            yield Finding(f"connection ({each.name})", each.problem or str(error), is_ok=False)
            continue
        if each.line is None:
            yield Finding(f"connection ({each.name})", each.problem, is_ok=False)
            continue
        if at not in looked_at:
            looked_at.add(at)
            yield _look("switchboard", partial(_switchboard, at))
        yield from _of_line(each.line, at, f"{webhook}/{each.name}")


def _of_line(line: Line, url: str, webhook_url: str) -> Iterator[Finding]:
    yield _look(f"clock ({line.name})", partial(_clock, line))
    yield _look(f"webhook secret ({line.name})", partial(_secret, line))
    yield _look(f"API key ({line.name})", partial(_key, line))
    yield _look(f"token ({line.name})", partial(_token, line, url))
    yield _look(f"signed delivery ({line.name})", partial(_delivery, line, webhook_url))
    yield _look(f"forged delivery ({line.name})", partial(_forgery, webhook_url))


def _look(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, look(), is_ok=True)
    except OpenAIRealtimeError as error:
        return Finding(check, str(error), is_ok=False)


def _store(store_url: Callable[[], str]) -> str:
    store = Store(store_url())
    try:
        store.prepare()
        version = store.probe(datetime.now(timezone.utc))
        return f"{store.database.dialect} takes and gives back; tables of version {version}"
    finally:
        store.close()


def _switchboard(url: str) -> str:
    answer = _request("GET", f"{url}/health", "start the switchboard, or say where it is by --url")
    if answer.status_code != 200 or answer.json_or_none() != {"status": "up"}:
        raise Wrong(f"{url}/health was answered {answer.status_code} by something else: correct --url")
    return f"up at {url}; {answer.compared_clock('the switchboard')}"


def _clock(line: Line) -> str:
    host = line.api.endpoints.rest_url
    answer = _request("GET", f"{host}/models", "check network, proxy and base URL")
    return answer.compared_clock(urlsplit(host).hostname or host)


def _secret(line: Line) -> str:
    for problem in filter(None, map(webhook_secret_problem, line.webhook_secrets)):
        raise Wrong(problem)
    return f"{len(line.webhook_secrets)} that can be one of OpenAI's"


def _key(line: Line) -> str:
    with CallsClient(line.api) as client:
        client.send(check_key())
    return f"{urlsplit(line.api.endpoints.rest_url).hostname} takes it"


def _token(line: Line, url: str) -> str:
    if len(line.token) < SHORTEST_TOKEN:
        raise Wrong(f"it has fewer than {SHORTEST_TOKEN} characters: take a long random text")
    try:
        with SwitchboardClient(url, line.token, line=line.name, timeout_seconds=TIMEOUT_SECONDS) as client:
            status = client.send(get_status())
    except SwitchboardRefused as error:
        if error.status != 404:
            raise
        raise Wrong(f"{url} has no private routes, or a proxy keeps them from here: correct --url") from None
    headers = {"Authorization": f"Bearer {uuid.uuid4().hex}"}
    answer = _request("GET", f"{url}/v1/status", "look at the switchboard's log", headers=headers)
    if answer.status_code != 401:
        raise Wrong(f"a wrong token was answered {answer.status_code} instead of 401: block all access to {url}")
    return f"opens line {status.get('line')} of version {status.get('version')}; a wrong one does not"


def _delivery(line: Line, url: str) -> str:
    for secret in line.webhook_secrets:
        deliver_test_event(url, secret)
    return f"taken at {url}{_as_openai_reaches(url)}"


def deliver_test_event(url: str, secret: str) -> None:
    """
    Deliver an event that the switchboard does not store.

    :param url: The line's webhook.
    :param secret: One of the line's webhook secrets.
    :raises Wrong: It was not taken; the message says why and what to do.
    """
    webhook_id = f"wh_doctor_{uuid.uuid4().hex}"
    status = _deliver(url, sign_webhook(_TEST_EVENT, webhook_id=webhook_id, timestamp=int(time.time()), secret=secret))
    if status == 401:
        raise Wrong(f"{url} refused it: another secret or clock there, or no such line; see the switchboard's log")
    if status != 200:
        raise Wrong(f"{url} answered {status}: {_what_to_do(status)}")


def _forgery(url: str) -> str:
    now = int(time.time())
    forged = sign_webhook(_TEST_EVENT, webhook_id="wh_doctor", timestamp=now, secret=uuid.uuid4().hex)
    status = _deliver(url, forged)
    if status != 401:
        raise Wrong(f"{url} answered {status} instead of 401: {_what_to_do(status)}")
    return "refused"


def _deliver(url: str, headers: Mapping[str, str]) -> int:
    remedy = "check the address, the proxy in front, and that the switchboard serves"
    answer = _request("POST", url, remedy, headers={"Content-Type": "application/json", **headers}, body=_TEST_EVENT)
    return answer.status_code


def _what_to_do(status: int) -> str:
    if status < 300:
        return "something else answers there; correct the address"
    if status < 400:
        return "OpenAI follows no redirects; give it the address behind them"
    if status < 500:
        return "the proxy in front must let POST through to the switchboard, and change nothing"
    return "the switchboard or its store is down; see its log"


def _as_openai_reaches(url: str) -> str:
    """
    A remark on an address that OpenAI cannot use.

    :raises Wrong: It is a public one, and not encrypted.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_private = ip_address(host).is_private
    except ValueError:
        is_private = "." not in host or host.endswith((".local", ".internal", ".localhost"))
    if is_private:
        return "; OpenAI needs a public one: check that too, by --webhook-url"
    if parts.scheme != "https":
        raise Wrong(f"{url} is not encrypted: put a proxy with TLS in front, and give OpenAI an https address")
    return ""


@dataclass(frozen=True)
class _Answer:
    answer: Answer
    asked_at: float
    answered_at: float

    @property
    def status_code(self) -> int:
        return self.answer.status_code

    def json_or_none(self) -> object:
        return json_object(self.answer.content)

    def compared_clock(self, whose: str) -> str:
        """
        How far this machine's clock is from the answer's.

        :raises Wrong: Too far.
        """
        try:
            date = parsedate_to_datetime(self.answer.headers.get("date", "")).timestamp()
        except ValueError:
            return f"{whose} does not tell the time"
        # The Date header has whole seconds.
        skew = max(self.asked_at - (date + 1), date - self.answered_at, 0.0)
        if skew > MOST_SKEW_SECONDS:
            raise Wrong(
                f"this machine's clock is {skew:.0f} s away from that of {whose}: set both by NTP. "
                "At 300 s no delivery is taken any more"
            )
        return f"clock as that of {whose}"


def _request(
    method: str, url: str, remedy: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> _Answer:
    """:raises Wrong: No answer came."""
    asked_at = time.time()
    request: Request[Answer] = Request(
        "peer",
        "look",
        method,
        "",
        read=lambda _, answer: answer,
        no_answer=lambda _, lost: Wrong(f"no answer from {url} ({lost.why}): {remedy}"),
        policy=Policy(1, 0.0, frozenset()),
        headers=headers or {},
        content=body,
    )
    answer = Client(Service("peer", url, {}, (), TIMEOUT_SECONDS)).send(request)
    return _Answer(answer, asked_at, time.time())
