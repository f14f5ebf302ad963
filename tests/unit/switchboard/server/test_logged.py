"""What a standalone switchboard logs: nothing personal and no secret, whatever is sent to whichever route."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.unit.switchboard.routes import every_route
from tests.unit.switchboard.standalone import Standalone
from tests.unit.switchboard.support import a_line, event_body

from airflow_openai_realtime.api.webhooks import sign_webhook
from airflow_openai_realtime.calls.lines import StaticLines
from airflow_openai_realtime.calls.tokens import derived_token
from airflow_openai_realtime.simulator.server import Simulator
from airflow_openai_realtime.switchboard.server.app import create_app
from airflow_openai_realtime.switchboard.server.store import Store

SECRET = "whsec_" + base64.b64encode(b"a secret that is easily found").decode()
NUMBER = "+14155557391"
WORD = "Quetzalcoatl"  # whatever else a caller or a client may say
SECRETS = (SECRET, SECRET.removeprefix("whsec_"), derived_token(SECRET), "sk-sim-key-findable")
PERSONAL = (NUMBER, NUMBER[1:], "557391", WORD, WORD.lower())

# Bodies that each route takes; a route that is not here gets all of them.
BODY = {
    "claimant": f"{WORD} {NUMBER}",
    "max_duration_seconds": 0.2,
    "status_code": 603,
    "target_uri": f"tel:{NUMBER}",
    "reason": f"{WORD} {NUMBER}",
    "campaign": WORD,
    "contact": NUMBER,
    "attempt": 1,
    "to_number": NUMBER,
}
ORDER = {
    "session": {"model": "gpt-realtime", "instructions": f"You are {WORD}, call {NUMBER}"},
    "greeting": f"Hello, {WORD} of {NUMBER}",
    "edition": WORD,
    "max_duration_seconds": 60,
}
MOVE = {"from_state": "reserved", "to_state": "dialing", "owner": WORD, "detail": f"{WORD} {NUMBER}"}
BODIES: list[Any] = [BODY, ORDER, MOVE, {"campaign": WORD, "contact": NUMBER}, [NUMBER], NUMBER, {WORD: NUMBER}]


def private_requests(url: str, store_url: str) -> Iterator[httpx.Request]:
    """Every route with every body: with the token, with a wrong one, and with none."""
    app = create_app(Store(store_url), StaticLines([a_line()]))
    paths = sorted(set(every_route(app.routes)))
    assert len(paths) > 20
    for method, template in paths:
        path = template.replace("{call_id:path}", "rtc_1").replace("{name}", "night")
        path = path.replace("{line}", NUMBER).replace("{attempt_id}", NUMBER)
        for token in (derived_token(SECRET), f"{WORD}-{NUMBER}", None):
            headers = {"From": NUMBER, "X-Caller": WORD}
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
            for body in BODIES:
                query = {"contact": NUMBER, "claimed_by": WORD, "state": "all"}
                query["after"] = "0" if body is BODY else NUMBER
                yield httpx.Request(method, url + path, params=query, headers=headers, json=body)


def deliveries(url: str, first: int) -> Iterator[httpx.Request]:
    """Signed and forged ones, good and bad, all about the same person."""
    headers = [
        {"name": "From", "value": f'"{WORD}" <sip:{NUMBER}@carrier.example>'},
        {"name": "To", "value": f"<sip:{NUMBER}@sip.example>"},
        {"name": "X-Correlation-Id", "value": WORD},
    ]
    now = time.time()
    ids = (*(f"rtc_{number}" for number in range(first, first + 3)), f"{WORD} {NUMBER}")
    bodies = [event_body(created_at=now, data={"call_id": call_id, "sip_headers": headers}) for call_id in ids]
    bodies += [event_body(type=f"{WORD}.{NUMBER}"), event_body(data=NUMBER), NUMBER.encode()]
    for number, body in enumerate(bodies, first):
        for secret in (SECRET, f"{WORD}{NUMBER}"):
            for path in ("/webhook", f"/webhook/{NUMBER}"):
                signed = sign_webhook(body, webhook_id=f"wh_{number}", timestamp=int(now), secret=secret)
                yield httpx.Request("POST", url + path, headers=signed, content=body)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_no_log_line_holds_a_number_a_name_or_a_secret(level: str, sqlite_url: str, tmp_path: Any) -> None:
    with Simulator(api_key="sk-sim-key-findable") as simulator:
        changes = {
            "OPENAI_API_KEY": simulator.api_key,
            "OPENAI_WEBHOOK_SECRET": SECRET,
            "OPENAI_REALTIME_BASE_URL": simulator.openai_base_url,
            "OPENAI_REALTIME_LOG_LEVEL": level,
        }
        with Standalone(sqlite_url, changes=changes) as standalone, httpx.Client(timeout=30) as http:
            answers = [http.send(request).status_code for request in deliveries(standalone.url, 1)]
            assert set(answers) == {200, 401}
            # Among them one that makes an order, which takes calls from then on, and greets them.
            sent = private_requests(standalone.url, f"sqlite:///{tmp_path}/routes.db")
            answers += [http.send(request).status_code for request in sent]
            answers += [http.send(request).status_code for request in deliveries(standalone.url, 1000)]
            answers += [http.send(request).status_code for request in deliveries(standalone.url, 1)]
            headers, call = {"Authorization": f"Bearer {derived_token(SECRET)}"}, f"{standalone.url}/v1/calls/rtc_2"
            for move in ("accepting", "accepted"):
                answers.append(http.post(f"{call}/{move}", headers=headers, json=BODY).status_code)
            assert max(answers) < 500, standalone.log()
            _wait_for(standalone, "reaper.")
            log = standalone.log()
    for event in ("call.ringing", "webhook.refused", "webhook.unusable", "webhook.ignored", "webhook.duplicate"):
        assert event in log
    assert "private.refused" in log
    found = {text for text in (*SECRETS, *PERSONAL) if text in log}
    assert not found, [line for line in log.splitlines() if any(text in line for text in found)][:5]
    assert "Traceback" not in log


def _wait_for(standalone: Standalone, event: str) -> None:
    for _ in range(3000):
        if event in standalone.log():
            return
        time.sleep(0.02)
    pytest.fail(f"no {event} in the log:\n{standalone.log()[-2000:]}")


def test_an_exception_in_the_log_has_its_numbers_masked() -> None:
    import logging

    from airflow_openai_realtime.switchboard.server.process.logs import MaskingFormatter

    try:
        raise ValueError(f"DETAIL: Failing row contains ({NUMBER})")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "failed", None, (type(error), error, error.__traceback__))
    shown = MaskingFormatter("%(message)s").format(record)
    assert NUMBER not in shown
    assert "+1***7391" in shown
