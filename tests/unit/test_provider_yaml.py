"""``provider.yaml`` and the logo, as Airflow's registry reads them from a source tree."""

from __future__ import annotations

import datetime
import importlib
import inspect
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
import yaml
from scripts.write_provider_yaml import ROOT, TARGET, provider_yaml, released_on, text

from airflow_openai_realtime import __version__
from airflow_openai_realtime.provider_info import get_provider_info

SCHEMA = Path(airflow.__file__).parent / "provider.yaml.schema.json"
# Sections that name modules, with the ending of the classes that the registry looks for in them.
MODULE_SECTIONS = {"operators": "Operator", "sensors": "Sensor", "hooks": "Hook", "triggers": "Trigger"}


@pytest.fixture
def kept() -> dict[str, Any]:
    """The file in the repository."""
    loaded: dict[str, Any] = yaml.safe_load(TARGET.read_text())
    return loaded


def test_the_file_is_what_airflow_is_told_and_the_registry_s_own_fields(kept: dict[str, Any]) -> None:
    assert TARGET.read_text() == text()
    info = get_provider_info()
    assert set(kept) - set(info) == {"state", "lifecycle", "build-system", "source-date-epoch"}
    for key in set(info) - {"integrations"}:
        assert kept[key] == json.loads(json.dumps(info[key])), key


def test_it_is_valid_against_airflow_s_schema(kept: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(kept)


def test_it_is_where_the_registry_looks_for_it_and_agrees_with_the_project(kept: dict[str, Any]) -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has none")
    project = tomllib.loads((TARGET.parent / "pyproject.toml").read_text())["project"]
    assert kept["package-name"] == project["name"]
    assert kept["versions"][0] == project["version"] == __version__


def test_the_logo_has_the_name_that_the_registry_tries_first_and_loads_nothing(kept: dict[str, Any]) -> None:
    (integration,) = kept["integrations"]
    assert integration["logo"] == f"/docs/integration-logos/{kept['name'].replace(' ', '-')}.svg"
    logo = ROOT / integration["logo"].lstrip("/")
    assert ElementTree.fromstring(logo.read_text()).attrib["viewBox"] == "0 0 96 96"
    assert not any("href" in name for each in ElementTree.parse(logo).iter() for name in each.attrib)


def test_the_guides_that_it_names_exist(kept: dict[str, Any]) -> None:
    guides = [guide for each in kept["integrations"] for guide in each["how-to-guide"]]
    assert guides
    for guide in guides:
        assert (ROOT / guide.lstrip("/")).is_file()


def test_the_registry_finds_a_class_with_a_first_line_in_every_module(kept: dict[str, Any]) -> None:
    for section, ending in MODULE_SECTIONS.items():
        for module in (name for entry in kept[section] for name in entry["python-modules"]):
            members = inspect.getmembers(importlib.import_module(module), inspect.isclass)
            found = [each for name, each in members if name.endswith(ending) and each.__module__ == module]
            # The registry skips these names.
            shown = [
                each for each in found if not each.__name__.startswith(("_", "Base")) and "Mixin" not in each.__name__
            ]
            assert shown, module
            assert all((each.__doc__ or "").strip() for each in shown), module


def test_the_day_of_the_release_is_that_of_the_changelog(kept: dict[str, Any]) -> None:
    released = released_on((ROOT / "CHANGELOG.md").read_text(), __version__)
    assert datetime.datetime.fromtimestamp(kept["source-date-epoch"], datetime.timezone.utc).date() == released


def test_a_changelog_without_the_release_is_an_error() -> None:
    with pytest.raises(SystemExit, match=r"## 2\.0\.0 - YYYY-MM-DD"):
        released_on("## 1.0.0 - 2026-01-01\n## 2.0.0\n", "2.0.0")


def test_a_provider_without_integrations_is_described_all_the_same() -> None:
    info = {"package-name": "p", "name": "P", "description": "d", "versions": ["1"], "integrations": []}
    assert provider_yaml(info, datetime.date(1970, 1, 2))["source-date-epoch"] == 86400
