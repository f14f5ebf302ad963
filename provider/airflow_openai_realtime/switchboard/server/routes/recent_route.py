"""The private API of recent calls, for the page that shows them: ``/v1/recent``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from airflow_openai_realtime.calls.recent import MOST_RECENT, Place
from airflow_openai_realtime.exceptions import UnknownCall
from airflow_openai_realtime.switchboard.server.routes.admission import PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.routes.call_routes import Answer, CallId

router = APIRouter(prefix="/v1", route_class=PrivateRoute)


@router.get("/recent/{call_id}")
async def recent_call(request: PrivateRequest, call_id: CallId) -> Answer:
    """
    One call with a summary of its conversation and the attempt from which it came.

    :raises UnknownCall: The line has no such call.
    """
    service = request.service
    found = await service.threads.run(service.store.recent.one, request.line.name, call_id)
    if found is None:
        raise UnknownCall(f"line {request.line.name} has no call {call_id}", call_id=call_id)
    return {"recent": found.to_dict()}


@router.get("/recent")
async def recent(
    request: PrivateRequest,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_RECENT)] = 100,
) -> Answer:
    """Live calls and the newest that are over, each with a summary of its conversation."""
    service = request.service
    place = None if before is None else Place.parse(before)
    page = await service.threads.run(service.store.recent.page, [request.line.name], place, limit, request.now)
    return page.to_dict()
