"""Walking the routes of the application, so that a test meets also those that are added later."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.routing import BaseRoute, Mount

PUBLIC = {("GET", "/health"), ("HEAD", "/health"), ("POST", "/webhook"), ("POST", "/webhook/{line}")}


def routes_of(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """Each route, also of those in a router that is kept as one."""
    for route in routes:
        inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        assert not isinstance(route, Mount), "nothing is mounted; a path would need its prefix"
        if inner:
            yield from routes_of(inner)
        else:
            yield route


def every_route(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """(method, path) of each route."""
    for route in routes_of(routes):
        for method in getattr(route, "methods", None) or ["GET", "POST"]:
            yield method, str(getattr(route, "path", "/unknown"))


def as_url(path: str) -> str:
    """A path that a route takes."""
    for name in ("{call_id:path}", "{attempt_id}", "{line}"):
        path = path.replace(name, "x")
    return path
