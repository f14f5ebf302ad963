from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_openai_realtime
from airflow_openai_realtime.api.settings import REGIONS
from airflow_openai_realtime.outbound.carriers.port import CARRIERS
from airflow_openai_realtime.provider_info import get_provider_info
from airflow_openai_realtime.switchboard.server.process.configuration import variable_of
from airflow_openai_realtime.switchboard.server.switchboard_settings import CONFIGURABLE, SwitchboardSettings

SCHEMAS = Path(airflow.__file__).parent


@pytest.fixture
def info() -> dict[str, Any]:
    """The metadata for Airflow."""
    return get_provider_info()


def connection_type(info: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in info["connection-types"] if each["connection-type"] == name)


def test_it_is_valid_against_airflow_s_schema(info: dict[str, Any]) -> None:
    schema = json.loads((SCHEMAS / "provider_info.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(info)
    assert set(info) - {"versions"} <= set(schema["properties"])


def test_connection_forms_are_valid_against_the_schema_of_providers(info: dict[str, Any]) -> None:
    schema = json.loads((SCHEMAS / "provider.yaml.schema.json").read_text())
    jsonschema.Draft7Validator(schema["properties"]["connection-types"]).validate(info["connection-types"])


def test_all_named_modules_and_classes_exist(info: dict[str, Any]) -> None:
    for part in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[part]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    for entry in info["connection-types"]:
        module, _, name = entry["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert (hook.conn_type, hook.hook_name) == (entry["connection-type"], entry["hook-name"])
    for path in info["extra-links"]:
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name).name


def test_every_operator_and_sensor_that_is_offered_is_in_a_named_module(info: dict[str, Any]) -> None:
    for part in ("operators", "sensors"):
        named = {module for entry in info[part] for module in entry["python-modules"]}
        package = importlib.import_module(f"airflow_openai_realtime.{part}")
        assert {getattr(package, name).__module__ for name in package.__all__} == named


@pytest.mark.parametrize(
    ("name", "secret"),
    [("openai_realtime", {"webhook_secret", "switchboard_token"}), ("telephony_carrier", set())],
)
def test_secrets_of_the_form_are_passwords(info: dict[str, Any], name: str, secret: set[str]) -> None:
    fields = connection_type(info, name)["conn-fields"]
    assert {key for key, field in fields.items() if field["schema"].get("format") == "password"} == secret


def test_every_field_has_a_label_and_says_what_it_is_for(info: dict[str, Any]) -> None:
    for entry in info["connection-types"]:
        for field in entry["conn-fields"].values():
            assert field["label"]
            assert len(field["description"]) > 15


def test_the_form_has_all_fields_that_the_hook_reads(info: dict[str, Any]) -> None:
    assert set(connection_type(info, "openai_realtime")["conn-fields"]) == {
        "region",
        "organization",
        "project",
        "auth_style",
        "webhook_secret",
        "switchboard_url",
        "switchboard_token",
        "line",
        "timeout_seconds",
    }
    assert set(connection_type(info, "telephony_carrier")["conn-fields"]) == {
        "carrier",
        "api_key",
        "caller_number",
        "openai_project_id",
        "openai_sip_host",
        "refer_url",
    }


def test_the_time_limit_says_that_it_holds_for_a_whole_request(info: dict[str, Any]) -> None:
    field = connection_type(info, "openai_realtime")["conn-fields"]["timeout_seconds"]
    assert "one whole request" in field["description"]


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("openai_realtime", ["switchboard_url", "webhook_secret"]),
        ("telephony_carrier", ["caller_number", "openai_project_id"]),
    ],
)
def test_fields_that_are_needed_are_first_and_in_a_section_that_says_so(
    info: dict[str, Any], kind: str, needed: list[str]
) -> None:
    fields = connection_type(info, kind)["conn-fields"]
    assert list(fields)[: len(needed)] == needed
    sections = {name: field["schema"].get("section", "") for name, field in fields.items()}
    assert {name for name, section in sections.items() if section.startswith("Needed: ")} == set(needed)


def test_choices_are_those_that_the_code_knows(info: dict[str, Any]) -> None:
    carrier = connection_type(info, "telephony_carrier")["conn-fields"]["carrier"]["schema"]["enum"]
    assert tuple(carrier) == CARRIERS
    placeholder = connection_type(info, "openai_realtime")["ui-field-behaviour"]["placeholders"]["region"]
    assert set(placeholder.replace(", …", "").split(", ")) <= set(REGIONS)


def test_airflow_must_not_migrate_our_tables_nor_load_the_plugin_twice(info: dict[str, Any]) -> None:
    assert "db-managers" not in info
    assert "plugins" not in info


def test_the_store_s_address_is_treated_as_a_secret(info: dict[str, Any]) -> None:
    assert info["config"]["openai_realtime"]["options"]["store_url"]["sensitive"] is True


def test_the_mounted_switchboard_s_settings_are_declared_and_documented_with_the_defaults_that_it_has(
    info: dict[str, Any],
) -> None:
    options = info["config"]["openai_realtime"]["options"]
    page = (Path(__file__).resolve().parents[2] / "docs" / "switchboard.md").read_text()
    assert set(options) == {"store_url", "calls_page_connections", *CONFIGURABLE}
    for name in CONFIGURABLE:
        default = getattr(SwitchboardSettings(), name)
        assert float(options[name]["default"]) == default
        for row in (f"| `{name}` |", f"| `--{name.replace('_', '-')}` | `{variable_of(name)}` |"):
            (said,) = [line for line in page.splitlines() if line.startswith(row)]
            assert said.endswith(f"| {default:g} |")


def test_airflow_finds_forms_and_settings() -> None:
    from airflow.providers_manager import ProvidersManager
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    manager, hooks = ProvidersManager(), ProvidersManagerTaskRuntime().hooks
    assert "airflow-provider-openai-realtime" in manager.providers
    assert hooks["openai_realtime"].hook_name == "OpenAI Realtime (calls)"
    assert hooks["telephony_carrier"].hook_name == "Telephony carrier"
    widgets = manager.connection_form_widgets
    assert widgets["extra__openai_realtime__webhook_secret"].is_sensitive
    assert not widgets["extra__openai_realtime__switchboard_url"].is_sensitive
    assert manager.field_behaviours["openai_realtime"]["relabeling"]["password"] == "API key"


def test_names_at_the_top_are_those_of_the_parts() -> None:
    for name in airflow_openai_realtime.__all__:
        assert getattr(airflow_openai_realtime, name) is not None
    from airflow_openai_realtime import operators, sensors

    for package in (operators, sensors):
        for name in package.__all__:
            assert getattr(package, name) is getattr(airflow_openai_realtime, name)


@pytest.mark.parametrize("package", ["", ".operators", ".sensors"])
def test_a_name_that_is_not_there_is_an_attribute_error(package: str) -> None:
    module = importlib.import_module(f"airflow_openai_realtime{package}")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name
