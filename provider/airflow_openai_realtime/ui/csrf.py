"""CSRF protection: changes require a request that only a script of this page can send."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request

HEADER = "X-OpenAI-Realtime-Calls"


async def check_same_site(request: Request) -> None:
    """
    Reject a request that another site may have caused.

    A form of another site can send neither JSON nor this header. A script of another site needs a CORS preflight, which
    we do not approve. Besides, browsers do not send Airflow's cookie from other sites (``SameSite``).

    :param request: The request.
    :raises HTTPException: 403.
    """
    sends_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    from_here = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
    if not (sends_json and from_here and request.headers.get(HEADER) == "1"):
        raise HTTPException(403, f"send application/json and the header {HEADER}: 1, from Airflow's own page")
