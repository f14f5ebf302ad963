"""The page itself: one static document with its scripts and styles. It contains no data of calls or users."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter()

ASSETS = {
    "page.js": "text/javascript",
    "call_list.js": "text/javascript",
    "call_view.js": "text/javascript",
    "timeline.js": "text/javascript",
    "words.js": "text/javascript",
    "dom.js": "text/javascript",
    "frame.js": "text/javascript",
    "page.css": "text/css",
    "calls.svg": "image/svg+xml",
    "calls_dark.svg": "image/svg+xml",
}
"""Media types of all files that the document loads, by name."""


@cache
def read_asset(name: str) -> bytes:
    """
    Return the content of an installed file of the page.

    :param name: Name of the file.
    """
    return files(__package__).joinpath("static", name).read_bytes()


@router.get("/")
async def document() -> Response:
    """Return the document."""
    return Response(read_asset("index.html"), media_type="text/html; charset=utf-8")


@router.get("/assets/{name}")
async def asset(name: str) -> Response:
    """Return a script, style or picture."""
    if name not in ASSETS:
        raise HTTPException(404, "there is no such file")
    return Response(read_asset(name), media_type=f"{ASSETS[name]}; charset=utf-8")
