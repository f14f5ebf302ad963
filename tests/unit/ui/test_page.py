"""What the page runs with: its parts, and an auth that every application must put in."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.ui.support import PREFIX, PageWorld

from airflow_openai_realtime.calls.recent import Place
from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.ui.page import CallsPage, page_of, signed_in_user

UNUSED: Any = None


def made() -> CallsPage:
    return CallsPage(UNUSED, UNUSED, UNUSED, UNUSED)


async def test_an_application_that_puts_no_auth_in_its_place_lets_nobody_in() -> None:
    with pytest.raises(RuntimeError, match="the calls page has no auth"):
        await signed_in_user()


def test_a_request_finds_the_page_that_it_came_to() -> None:
    pages = [made(), made()]
    for each in pages:
        request: Any = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(calls_page=each)))
        assert page_of(request) is each


def test_two_pages_share_neither_threads_nor_secret(page: PageWorld) -> None:
    first, second = made(), made()
    assert first.work is not second.work
    place = Place(page.clock(), "line_a", "rtc_1")
    with pytest.raises(InvalidInput):
        second.cursors.read(first.cursors.seal(place))
    for each in (first, second):
        each.work.close()


def test_the_parts_cannot_be_exchanged_while_it_serves() -> None:
    page = made()
    with pytest.raises(dataclasses.FrozenInstanceError):
        page.auth = UNUSED  # type: ignore[misc]
    page.work.close()


def test_the_mounted_page_asks_the_auth_that_it_was_given(page: PageWorld) -> None:
    assert page.http.get(f"{PREFIX}/api/calls").status_code == 401
