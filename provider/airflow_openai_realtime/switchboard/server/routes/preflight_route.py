"""The private API of what is checked before a phone is dialed: ``/v1/preflight``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from airflow_openai_realtime.api.webhooks import unusable_secrets
from airflow_openai_realtime.calls.lines import Line
from airflow_openai_realtime.switchboard.server.routes.admission import PrivateRequest, PrivateRoute
from airflow_openai_realtime.switchboard.server.routes.call_routes import PRINTABLE, Answer

router = APIRouter(prefix="/v1/preflight", route_class=PrivateRoute)

AirflowId = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=PRINTABLE)]
Check = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=PRINTABLE)]


# Far outside of it an instant cannot be read back from the store.
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2000, 2200))


class RunStart(BaseModel):
    """
    A DAG run, and when it started as its tasks know it now: a clear starts it anew.

    :param dag_id: Id of the DAG.
    :param run_id: Id of the DAG run.
    :param started_at: When it started, aware.
    """

    model_config = ConfigDict(extra="forbid")

    dag_id: AirflowId
    run_id: AirflowId
    started_at: Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)]


class Wanted(BaseModel):
    """
    Which run asks, and which checks it would make.

    :param run: The run; ``None``: its start is not asked for.
    :param checks: Names of the checks.
    """

    model_config = ConfigDict(extra="forbid")

    run: RunStart | None = None
    checks: list[Check] = Field(default_factory=list, max_length=20)


class Passed(BaseModel):
    """
    Checks that passed just now.

    :param checks: Names of the checks.
    """

    model_config = ConfigDict(extra="forbid")

    checks: list[Check] = Field(min_length=1, max_length=20)


@router.post("")
async def preflight(request: PrivateRequest, body: Wanted) -> Answer:
    """What is known before a phone is dialed. A read, but the first start of a run is kept."""
    service = request.service
    first = None
    if body.run is not None:
        run = body.run
        first = await service.threads.run(
            service.store.attempts.first_start, request.line.name, run.dag_id, run.run_id, run.started_at
        )
    return {
        "first_started_at": first and first.isoformat(),
        "passed": service.passed_checks.among(request.line.name, body.checks),
        "problems": _problems(request.line),
    }


@router.post("/passed")
async def passed(request: PrivateRequest, body: Passed) -> Answer:
    """Remember for some minutes that checks passed, so that the next task need not make them."""
    request.service.passed_checks.add(request.line.name, body.checks)
    return {}


def _problems(line: Line) -> list[str]:
    if unusable_secrets(line.webhook_secrets) < len(line.webhook_secrets):
        return []
    return [
        "the switchboard has no usable webhook secret for this line, so it could take no call: copy the endpoint's "
        "signing secret (whsec_…) again from OpenAI's dashboard"
    ]
