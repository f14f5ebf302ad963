"""Functions and classes as a DAG author writes them, for tests: imported by path."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

ran: list[Any] = []
released = threading.Event()


class Item(BaseModel):
    """What is ordered."""

    name: str
    amount: int = Field(ge=1)


class Agreement(BaseModel):
    """What was agreed."""

    agreed: bool
    day: date | None = None
    items: list[Item] = Field(default_factory=list)

    @field_validator("day")
    @classmethod
    def _not_in_the_past(cls, value: date | None) -> date | None:
        if value is not None and value.year < 2026:
            raise ValueError("must not be in the past")
        return value

    class Inner(BaseModel):
        """Something inside."""

        x: int


class Broken(BaseModel):
    """A class whose own check fails in an unforeseen way."""

    agreed: bool

    @field_validator("agreed")
    @classmethod
    def _breaks(cls, value: bool) -> bool:
        raise KeyError("Herr Meier")


class Stamped(BaseModel):
    """A class with values of its own, which do not come from the model."""

    agreed: bool
    number: int = 10**30
    source: dict[str, str] = Field(default_factory=lambda: {"__type": "airflow.sdk.definitions.connection.Connection"})


class Tree(BaseModel):
    """A class that holds itself."""

    children: list[Tree] = Field(default_factory=list)


class NoModel:
    """No pydantic class."""


def look_up(order: int, kind: Literal["new", "old"] = "new") -> dict[str, Any]:
    """Look up an order."""
    ran.append((order, kind, threading.current_thread().name))
    return {"order": order, "kind": kind}


def note(about: dict[str, Any]) -> dict[str, Any]:
    """Note something."""
    ran.append(about)
    return about


async def book(day: date, item: Item | None = None) -> str:
    """Book a day."""
    await asyncio.sleep(0)
    ran.append((day, item))
    return f"booked {day:%A}"


def who_calls(call: dict[str, Any]) -> str:
    """Say who calls."""
    return str(call["from_number"])


def fails(secret: str) -> None:
    """Fail with a text that quotes the caller."""
    raise KeyError(f"no {secret}")


def never_returns() -> None:
    """Never return, until it is released."""
    released.wait(30)


async def never_ends() -> None:
    """Never end, and refuse to be cancelled."""
    while True:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            if released.is_set():
                raise
        if released.is_set():
            return


def gives_no_json() -> object:
    """Return something that is not of JSON values."""
    return object()


def gives_much() -> str:
    """Return a long text."""
    return "x" * 50_000


def gives_awaitable() -> Any:
    """Return something to wait for."""
    return book(date(2026, 11, 23))


def stops() -> None:
    """Raise what iterators raise."""
    raise StopIteration


def exits() -> None:
    """End the program, it thinks."""
    raise SystemExit(3)


async def exits_later() -> None:
    """End the program, it thinks, from within the event loop."""
    raise SystemExit(3)


def takes_anything(*values: int) -> None:
    """Take arguments that cannot be passed by name."""


def takes_objects(value: NoModel) -> None:
    """Take what no model can give."""
