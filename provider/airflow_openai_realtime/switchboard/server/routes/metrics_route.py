"""``GET /v1/metrics``: for Prometheus, with the token of the line that is asked about."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import Response

from airflow_openai_realtime import __version__
from airflow_openai_realtime.switchboard.server.process.metrics import (
    CONTENT_TYPE,
    COUNTER,
    DELIVERIES,
    GAUGE,
    NO_LINE,
    REAPER_ACTIONS,
    REFUSALS,
    REJECTIONS,
    STANDBY_ACTIONS,
    Metric,
    metrics_of_line,
    rendered,
)
from airflow_openai_realtime.switchboard.server.routes.admission import PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.service import Service

router = APIRouter(prefix="/v1", route_class=PrivateRoute)


@router.get("/metrics", response_model=None)
async def metrics(request: PrivateRequest) -> Response:
    """Figures of a line, and of the worker that was asked."""
    service = request.service
    found = await service.threads.run(service.store.statistics.of_line, request.line.name, service.now())
    of_line = metrics_of_line(found, service.now().timestamp())
    text = rendered([*of_line, *_metrics_of_worker(service, request.line.name)], {"line": request.line.name})
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _metrics_of_worker(service: Service, line: str) -> list[Metric]:
    worker = {"worker": str(os.getpid())}
    swept_at = service.reaper.sweep.last_at
    counted = service.counters.of
    since_sweep = [] if swept_at is None else [(worker, (service.now() - swept_at).total_seconds())]
    looked_at = service.standby.sweep.last_at
    since_look = [] if looked_at is None else [(worker, (service.now() - looked_at).total_seconds())]
    strangers = {**counted(REJECTIONS, NO_LINE), **counted(REFUSALS, NO_LINE)}

    def by(label: str, counts: Mapping[str, int]) -> list[tuple[dict[str, str], float]]:
        return [({label: outcome, **worker}, count) for outcome, count in counts.items()]

    return [
        Metric("deliveries_total", COUNTER, "Signed deliveries, by result", by("result", counted(DELIVERIES, line))),
        Metric("rejections_total", COUNTER, "Deliveries refused, by reason", by("reason", counted(REJECTIONS, line))),
        Metric("refusals_total", COUNTER, "Private requests refused, by reason", by("reason", counted(REFUSALS, line))),
        Metric(
            "reaper_actions_total",
            COUNTER,
            "What the reaper did, by action",
            by("action", counted(REAPER_ACTIONS, line)),
        ),
        Metric("strangers_total", COUNTER, "Requests that named no line that is there", by("reason", strangers)),
        Metric("intake_waiting", GAUGE, "Deliveries that wait for their commit", [(worker, service.intake.waiting)]),
        Metric("waiting_polls", GAUGE, "Long polls that wait", [(worker, service.polls.waiting)]),
        Metric("reaper_last_sweep_age_seconds", GAUGE, "Since the reaper last looked", since_sweep),
        Metric(
            "standby_calls",
            GAUGE,
            "Calls that this worker listens to, as their process is silent",
            [(worker, service.standby.listening_to(line))],
        ),
        Metric(
            "standby_actions_total",
            COUNTER,
            "Calls that the standby began to listen to, and why it stopped, by action",
            by("action", counted(STANDBY_ACTIONS, line)),
        ),
        Metric("standby_last_look_age_seconds", GAUGE, "Since the standby last looked", since_look),
        Metric(
            "info",
            GAUGE,
            "Always 1",
            [({"version": __version__, "store": service.store.database.dialect, **worker}, 1)],
        ),
    ]
