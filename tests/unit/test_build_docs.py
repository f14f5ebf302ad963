"""The site holds every page, every public name, and links that can be followed; Sphinx itself runs in ``make docs``."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from scripts.build_docs import (
    ROOT,
    linked,
    listed,
    loaded_from_elsewhere,
    navigation,
    reference,
    reference_pages,
    stage,
)

import airflow_openai_realtime
from airflow_openai_realtime import exceptions


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Sphinx would read."""
    folder = tmp_path_factory.mktemp("docs") / "source"
    stage(folder)
    return folder


def test_every_page_of_the_documentation_is_in_the_navigation() -> None:
    shown = set(re.findall(r"^([\w/-]+)$", navigation(), re.MULTILINE))
    assert {f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")} <= shown
    assert {"api/index", "example_dags/index", "CHANGELOG", "CONTRIBUTING", "SECURITY"} <= shown
    decisions = set(listed(ROOT / "docs" / "design" / "README.md"))
    assert decisions == {path.stem for path in (ROOT / "docs" / "design").glob("*.md")} - {"README"}


def test_every_public_name_is_in_the_reference_once() -> None:
    paths = [path for _, names in reference() for path in names]
    assert len(paths) == len(set(paths))
    names = [path.rpartition(".")[2] for path in paths]
    assert set(airflow_openai_realtime.__all__) - {"__version__"} <= set(names)
    errors = {name for name, each in vars(exceptions).items() if isinstance(each, type) and not name.startswith("_")}
    assert errors <= set(names)
    assert {"realtime_airflow", "call_events_schedule", "IncomingCallTrigger"} <= set(names)


def test_what_is_in_the_reference_can_be_imported_from_where_it_says() -> None:
    for _, paths in reference():
        assert paths
        for path in paths:
            module, _, name = path.rpartition(".")
            assert hasattr(importlib.import_module(module), name)


def test_every_page_of_the_reference_is_in_its_index() -> None:
    pages = dict(reference_pages())
    assert set(re.findall(r"^   (\w+)$", pages["index"], re.MULTILINE)) == set(pages) - {"index"}


def test_links_to_pages_and_files_lead_to_something_in_the_site(source: Path) -> None:
    followed = 0
    for page in source.rglob("*.md"):
        for target in re.findall(
            r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        ):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).is_file(), f"{page.relative_to(source)}: {target}"
                followed += 1
    assert followed > 100


def test_the_first_page_is_the_readme(source: Path) -> None:
    assert (source / "index.md").read_text().startswith((ROOT / "README.md").read_text().split("\n## ")[0])
    assert not (source / "README.md").exists()


@pytest.mark.parametrize(
    ("written", "in_the_site"),
    [
        ("[x](../folder)", "[x](../folder/index.md)"),
        ("[x](../folder/)", "[x](../folder/index.md)"),
        ("[x](../README.md)", "[x](../index.md)"),
        ("[x](../README.md#limits)", "[x](../index.md#limits)"),
        ("[x](other.md#y)", "[x](other.md#y)"),
        ("[x](https://example.com/README.md)", "[x](https://example.com/README.md)"),
        ("[x](#y)", "[x](#y)"),
        ("```mermaid\nx\n```", "```text\nx\n```"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(tmp_path: Path, written: str, in_the_site: str) -> None:
    for folder in ("docs", "folder"):
        (tmp_path / folder).mkdir()
    (tmp_path / "folder" / "index.md").touch()
    assert linked(written, tmp_path / "docs" / "page.md", tmp_path) == in_the_site


@pytest.mark.parametrize(
    "loaded",
    [
        '<script src="https://cdn.example.com/x.js">',
        '<link rel="stylesheet" href="//fonts.example.com/css">',
        "<img alt='' src='http://example.com/badge.svg'>",
    ],
)
def test_a_page_that_loads_something_from_another_host_is_found(tmp_path: Path, loaded: str) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "page.html").write_text(f"<html>{loaded}</html>")
    (fault,) = loaded_from_elsewhere(tmp_path)
    assert fault.startswith("inner/page.html: loads ")


def test_links_that_a_reader_follows_and_files_of_the_site_are_no_fault(tmp_path: Path) -> None:
    text = '<a href="https://example.com">x</a><script src="_static/x.js"></script><link href="../_static/x.css">'
    (tmp_path / "page.html").write_text(text)
    assert list(loaded_from_elsewhere(tmp_path)) == []
