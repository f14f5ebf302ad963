"""Replacement for a mounted switchboard that cannot be made; it imports nothing from this package that could fail."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_MESSAGE = "the switchboard is not configured or cannot start; see the log of Airflow's API server"


def out_of_order() -> FastAPI:
    """Make an application that answers 503 to everything, so that OpenAI delivers again and tasks try again."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_route("/{path:path}", _refuse, methods=["GET", "POST"])
    return app


async def _refuse(_: Request) -> Response:
    return JSONResponse({"error": {"code": "unavailable", "message": _MESSAGE}}, status_code=503)
