"""The private API of standing orders: ``/v1/orders``. What calls are accepted with goes in, and never comes out."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from airflow_openai_realtime.calls.matching import CallMatch
from airflow_openai_realtime.calls.order import (
    HIGHEST_PRIORITY,
    LONGEST_GREETING,
    LONGEST_UNCLAIMED_SECONDS,
    MOST_USES,
    OrderAnswer,
    OrderDraft,
    check_order_name,
)
from airflow_openai_realtime.switchboard.server.routes.admission import PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.routes.call_routes import PRINTABLE, Answer
from airflow_openai_realtime.switchboard.server.service import Service

router = APIRouter(prefix="/v1/orders", route_class=PrivateRoute)

LONGEST_LIFE_SECONDS = 10 * 365 * 86400.0
_FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=timezone.utc)
_LAST_INSTANT = datetime(2999, 1, 1, tzinfo=timezone.utc)


class WantedOrder(BaseModel):
    """
    An order that accepts calls, or, with ``status_code``, declines them.

    :param match: Conditions; empty: every call.
    :param session: What calls are accepted with.
    :param greeting: What is said first.
    :param caller_fields: Fields of the call for the instructions, by label.
    :param max_duration_seconds: Limit of an accepted call, in seconds.
    :param status_code: SIP status to decline with, 300 to 699.
    :param priority: Of several orders that fit, the one with the highest answers.
    :param uses: How many calls it answers; ``None``: any number.
    :param expires_at: From when on it answers no calls, aware.
    :param expires_in_seconds: The same, in seconds from now.
    :param unclaimed_after_seconds: How long a call must ring unclaimed before it answers, in seconds.
    :param edition: Text that tells one making of the order from another.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    match: dict[str, Any] = Field(default_factory=dict)
    session: dict[str, Any] | None = None
    greeting: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_GREETING)] | None = None
    caller_fields: dict[str, str] | None = None
    max_duration_seconds: float | None = Field(default=None, allow_inf_nan=False)
    status_code: int | None = None
    priority: int = Field(default=0, ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)
    uses: int | None = Field(default=None, ge=1, le=MOST_USES)
    expires_at: AwareDatetime | None = Field(default=None, ge=_FIRST_INSTANT, le=_LAST_INSTANT)
    expires_in_seconds: float | None = Field(default=None, gt=0, le=LONGEST_LIFE_SECONDS, allow_inf_nan=False)
    unclaimed_after_seconds: float | None = Field(default=None, gt=0, le=LONGEST_UNCLAIMED_SECONDS, allow_inf_nan=False)
    edition: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PRINTABLE)]

    @model_validator(mode="after")
    def _one_expiry(self) -> WantedOrder:
        if self.expires_at is not None and self.expires_in_seconds is not None:
            raise ValueError("give expires_at or expires_in_seconds, not both")
        return self

    def draft(self, name: str, service: Service) -> OrderDraft:
        """
        The order, checked; to be called in a thread, since checking a session is slow.

        :param name: Name of the order.
        :param service: The switchboard.
        :raises InvalidInput: It cannot be carried out.
        """
        expires_at = self.expires_at
        if self.expires_in_seconds is not None:
            expires_at = service.now() + timedelta(seconds=self.expires_in_seconds)
        return OrderDraft(
            name=name,
            match=CallMatch.from_dict(self.match),
            action="accept" if self.status_code is None else "reject",
            answer=OrderAnswer(self.session or {}, self.greeting, self.caller_fields),
            max_duration_seconds=self._max_duration(service),
            status_code=self.status_code,
            priority=self.priority,
            uses=self.uses,
            expires_at=expires_at,
            unclaimed_after_seconds=self.unclaimed_after_seconds,
            edition=self.edition,
        ).check()

    def _max_duration(self, service: Service) -> float | None:
        if self.max_duration_seconds is None and self.status_code is None:
            return service.settings.default_max_duration_seconds
        return self.max_duration_seconds


@router.put("/{name}")
async def put(request: PrivateRequest, name: str, body: WantedOrder) -> Answer:
    """Make an order, or replace the one of this name."""
    service = request.service
    draft = await service.threads.run(body.draft, name, service)
    order = await service.threads.run(service.store.orders.put, request.line.name, draft, request.now)
    service.orders.sweep.soon()
    return {"order": order.to_dict()}


@router.get("")
async def all_orders(request: PrivateRequest) -> Answer:
    """All orders of the line, by name."""
    service = request.service
    orders = await service.threads.run(service.store.orders.all, request.line.name)
    return {"orders": [order.to_dict() for order in orders]}


@router.get("/{name}")
async def one_order(request: PrivateRequest, name: str) -> Answer:
    """One order."""
    service = request.service
    order = await service.threads.run(service.store.orders.find, request.line.name, check_order_name(name))
    return {"order": order.to_dict()}


@router.delete("/{name}")
async def remove(request: PrivateRequest, name: str) -> Answer:
    """Remove an order; calls that it has answered go on."""
    service = request.service
    removed = await service.threads.run(service.store.orders.remove, request.line.name, check_order_name(name))
    return {"removed": removed}
