"""The page itself: one static document with its scripts and styles. It holds no call and no user's data."""

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
"""All that the document loads, by name."""


@cache
def read_asset(name: str) -> bytes:
    """
    One file of the page, as it was installed.

    :param name: Name of the file.
    """
    return files(__package__).joinpath("static", name).read_bytes()


@router.get("/")
async def document() -> Response:
    """The page."""
    return Response(read_asset("index.html"), media_type="text/html; charset=utf-8")


@router.get("/assets/{name}")
async def asset(name: str) -> Response:
    """One of its scripts, styles and pictures."""
    if name not in ASSETS:
        raise HTTPException(404, "there is no such file")
    return Response(read_asset(name), media_type=f"{ASSETS[name]}; charset=utf-8")
