"""The private API of recent calls, for the page that shows them: ``/v1/recent``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from airflow_openai_realtime.switchboard.call_routes import Answer
from airflow_openai_realtime.switchboard.private_route import CallerLine, PrivateRoute
from airflow_openai_realtime.switchboard.recent import MOST_RECENT, Place
from airflow_openai_realtime.switchboard.service import service_of

router = APIRouter(prefix="/v1", route_class=PrivateRoute)


@router.get("/recent")
async def recent(
    request: Request,
    line: CallerLine,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_RECENT)] = 100,
) -> Answer:
    """Live calls and the newest that are over, each with a summary of its conversation."""
    service = service_of(request)
    place = None if before is None else Place.parse(before)
    page = await service.threads.run(service.store.recent.page, [line.name], place, limit)
    return page.to_dict()
