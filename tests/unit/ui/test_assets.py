"""The page's own files: all there, and nothing in them that the page's policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.ui.support import PREFIX, PageWorld, User

from airflow_openai_realtime import ui as calls_page
from airflow_openai_realtime.ui.assets import ASSETS, read_asset

STATIC = Path(calls_page.__file__).parent / "static"
SCRIPTS = sorted(name for name in ASSETS if name.endswith(".js"))


def test_what_is_served_is_what_is_there() -> None:
    assert {path.name for path in STATIC.iterdir()} == {*ASSETS, "index.html"}


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_each_file_comes_with_its_type(page: PageWorld, name: str) -> None:
    page.user = User()
    answer = page.http.get(f"{PREFIX}/assets/{name}")
    assert answer.content == read_asset(name)
    assert answer.headers["content-type"] == f"{ASSETS[name]}; charset=utf-8"


def test_the_document_has_no_inline_script_or_style_and_loads_nothing_from_elsewhere() -> None:
    document = read_asset("index.html").decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", document)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", document)
    assert not re.findall(r"(?:src|href)=\"(?!assets/)", document)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_put_text_in_as_text_and_nothing_as_markup(name: str) -> None:
    script = read_asset(name).decode()
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\b"
    assert not re.search(markup + r"|new Function|setHTML|srcdoc|\.style\b|https?://", script)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_import_only_each_other(name: str) -> None:
    imported = re.findall(r"from \"([^\"]+)\"", read_asset(name).decode())
    assert all(module.startswith("./") and module[2:] in ASSETS for module in imported)
