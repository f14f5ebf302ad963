"""Controls a simulator in another process, with the same names as the simulator in this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

import httpx

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.simulator.faults import Fault, FaultControls
from airflow_openai_realtime.simulator.inbound import Headers
from airflow_openai_realtime.simulator.log import CallRecord, LogEntry, LogView
from airflow_openai_realtime.simulator.moves import Move
from airflow_openai_realtime.simulator.phones import PhoneScript

_POLL_SECONDS = 0.05


class SimulatorControl:
    """
    A simulator at an address.

    Every method asks it at once; nothing is kept here. Use it as a context manager, or :meth:`close` it.

    :param url: Address that the simulator printed, for example ``http://127.0.0.1:8099``.
    :param timeout_seconds: Limit of one exchange, in real seconds.
    :raises InvalidInput: (from any method) The simulator refused a value.
    :raises httpx.HTTPError: (from any method) It cannot be reached.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=f"{self.url}/_simulator", timeout=timeout_seconds, trust_env=False)
        self.phones = PhonesControl(self._ask)
        self.faults = RemoteFaults(self._ask)
        self.clock = ClockControl(self._ask)
        self.webhooks = WebhooksControl(self._ask)
        self.log = RemoteLog(self._ask)

    def __enter__(self) -> SimulatorControl:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the simulator goes on."""
        self._client.close()

    def describe(self) -> dict[str, Any]:
        """What it is set to: project, SIP host, account, caller number, clock. No secrets."""
        answer: dict[str, Any] = self._ask("GET", "/")
        return answer

    def call_in(
        self,
        from_: str,
        to: str,
        headers: Headers = (),
        script: PhoneScript | None = None,
        call_id: str | None = None,
    ) -> str:
        """
        Make a person call in.

        :param from_: The caller's number, E.164.
        :param to: The number called, E.164.
        :param headers: More SIP headers.
        :param script: How the caller behaves.
        :param call_id: OpenAI's id of the call, for a test that goes on with a call of an earlier run; ``None``: a new
            one.
        :return: OpenAI's id of the call.
        """
        pairs = list(headers.items()) if isinstance(headers, Mapping) else [list(each) for each in headers]
        body = {"from": from_, "to": to, "headers": pairs, "script": script.to_dict() if script else None}
        body |= {"call_id": call_id} if call_id else {}
        return str(self._ask("POST", "/call-in", body)["call_id"])

    def act(self, call_id: str, *moves: Move) -> None:
        """
        Let more happen in a live call: after what its script still holds, or now when nothing is left.

        :param call_id: OpenAI's id.
        :param moves: What happens, in order.
        """
        self._ask("POST", "/act", {"call_id": call_id, "moves": [each.to_dict() for each in moves]})

    def wait_for(self, condition: Callable[[], object], *, timeout_seconds: float = 30.0) -> bool:
        """
        Wait until something holds, asking every 50 ms.

        :param condition: Asked without arguments; any true value will do.
        :param timeout_seconds: How long to wait at most, in real seconds.
        :return: Whether it came to hold.
        """
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def reset(self, **changes: Any) -> None:
        """
        Start anew: no calls, scripts, faults, webhook addresses or log; real time.

        :param changes: Settings that differ from those that the simulator was started with.
        """
        self._ask("POST", "/reset", changes)

    def _ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        response = self._client.request(method, path, json=body, params=query)
        if response.status_code == 400:
            error = response.json()["error"]
            raise InvalidInput(error["message"], field=error["field"])
        response.raise_for_status()
        return response.json()


Ask = Callable[..., Any]


class PhonesControl:
    """The phones of a simulator in another process."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def add(self, number: str, *scripts: PhoneScript) -> None:
        """Set what a phone does: one script for each time that it is dialed; the last one is repeated."""
        self._ask("POST", "/phones", {"number": number, "scripts": [each.to_dict() for each in scripts]})

    def scripts(self) -> dict[str, tuple[PhoneScript, ...]]:
        """What is left of the scripts, by number."""
        answer = self._ask("GET", "/phones")
        return {number: tuple(map(PhoneScript.from_dict, queue)) for number, queue in answer.items()}

    def hang_up(self, number: str) -> int:
        """Let a person hang up now; returns how many calls that ended."""
        return int(self._ask("POST", "/phones/hang-up", {"number": number})["calls"])


class RemoteFaults(FaultControls):
    """The faults of a simulator in another process."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def add(self, fault: Fault) -> None:
        """Set a fault; faults of one operation happen in the order in which they were set."""
        self._ask("POST", "/faults", fault.to_dict())

    def clear(self) -> None:
        """Take back all faults that have not happened yet."""
        self._ask("DELETE", "/faults")

    @property
    def pending(self) -> Sequence[Fault]:
        """Faults that have not happened yet, with the times that are left."""
        return [Fault.from_dict(each) for each in self._ask("GET", "/faults")]


class ClockControl:
    """The clock of a simulator in another process."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def now(self) -> float:
        """The simulated instant, in Unix seconds."""
        return float(self._ask("GET", "/clock")["now"])

    def now_at(self) -> datetime:
        """The simulated instant, aware, in UTC."""
        return datetime.fromtimestamp(self.now(), tz=timezone.utc)

    @property
    def speed(self) -> float:
        """Simulated seconds per real second; may be set."""
        return float(self._ask("GET", "/clock")["speed"])

    @speed.setter
    def speed(self, speed: float) -> None:
        self._ask("POST", "/clock", {"speed": speed})

    def advance(self, seconds: float) -> None:
        """Jump ahead by simulated seconds; timers that fall due fire in order."""
        self._ask("POST", "/clock/advance", {"seconds": seconds})


class WebhooksControl:
    """Where a simulator in another process sends its webhooks."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def add(self, url: str, secret: str | None = None) -> None:
        """Send webhooks to an address, from the next call on; None: signed with the simulator's webhook secret."""
        self._ask("POST", "/webhooks", {"url": url, "secret": secret})

    def clear(self) -> None:
        """Send no more webhooks of new calls anywhere."""
        self._ask("DELETE", "/webhooks")

    def redeliver(self, call_id: str, *, times: int = 1) -> None:
        """Deliver the webhook of a call again, with the same ``webhook-id``."""
        self._ask("POST", "/webhooks/redeliver", {"call_id": call_id, "times": times})


class RemoteLog(LogView):
    """The log of a simulator in another process, as it is at the moment of asking."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @property
    def entries(self) -> Sequence[LogEntry]:
        """All entries so far, oldest first."""
        return self.entries_after(0)

    def entries_after(self, sequence: int) -> Sequence[LogEntry]:
        """Entries younger than one, by its ``sequence``; 0: all."""
        return [LogEntry.from_dict(each) for each in self._ask("GET", "/log", after=sequence)]

    @property
    def calls(self) -> Sequence[CallRecord]:
        """One row for each call so far, oldest first."""
        return [CallRecord.from_dict(each) for each in self._ask("GET", "/calls")]
