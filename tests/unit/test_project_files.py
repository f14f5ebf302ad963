"""What the workflow, the hooks and the forms say agrees with the Makefile, CI and the project's own settings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_openai_realtime import __version__

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def loaded(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def steps() -> list[dict[str, Any]]:
    """All steps of all workflows."""
    jobs = [job for path in WORKFLOWS for job in loaded(path)["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


def commands_of(text: str) -> set[str]:
    """Targets that a text calls with make."""
    return {word for line in re.findall(r"\bmake ([^\n|;&`]*)", text) for word in line.split() if word in TARGETS}


def test_every_target_that_is_declared_phony_exists_and_the_other_way_round() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == TARGETS


def test_every_step_of_the_workflows_is_an_action_or_a_target_of_the_makefile() -> None:
    assert WORKFLOWS
    for step in steps():
        if "run" in step:
            words = step["run"].split()
            assert (words[0], words[1] in TARGETS) == ("make", True), step


def test_actions_are_pinned_to_a_major_version_and_checkouts_keep_no_token() -> None:
    used = [step for step in steps() if "uses" in step]
    assert used
    for step in used:
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), step
        if "checkout" in step["uses"]:
            assert step["with"]["persist-credentials"] is False


def test_workflows_may_only_read_and_every_job_ends() -> None:
    for path in WORKFLOWS:
        workflow = loaded(path)
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            assert "permissions" not in job
            assert job["timeout-minutes"] <= 60, name
        assert "secrets." not in path.read_text()
        # What a pull request brings runs without the repository's rights, and no text of its runs as a command.
        assert "pull_request_target" not in path.read_text()
        assert not re.findall(r"run:.*\$\{\{(?! *matrix\.)", path.read_text())


def test_the_workflow_calls_the_targets_that_ci_calls() -> None:
    ci = commands_of((ROOT / ".ci" / "run").read_text())
    assert {"lint", "docs", "test", "test-airflow", "test-postgres"} <= ci
    assert ci | {"coverage"} == {word for step in steps() for word in commands_of(step.get("run", ""))}


def test_the_workflow_s_versions_are_those_that_the_project_supports() -> None:
    rows = [row for path in WORKFLOWS for job in loaded(path)["jobs"].values() for row in matrix_of(job)]
    classifiers = re.findall(r"Programming Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert {row["python"] for row in rows} == set(classifiers)
    pinned = {path.stem.removeprefix("airflow-") for path in (ROOT / "constraints").glob("*.txt")}
    assert {row["airflow"] for row in rows} == pinned
    (default,) = re.findall(r"^AIRFLOW \?= (.*)$", MAKEFILE, re.MULTILINE)
    assert {row["python"] for row in rows if row["airflow"] == default} == set(classifiers)


def matrix_of(job: dict[str, Any]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = job.get("strategy", {}).get("matrix", {}).get("include", [])
    return rows


def test_the_tests_that_meet_airflow_exist() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "--assume-old=setup", "test-airflow", "AIRFLOW=3.4"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = re.findall(r"tests/\S+", shown)
    assert "tests/system/test_event_driven_dags.py" in paths
    assert len(paths) > 10
    for path in paths:
        assert list(ROOT.glob(path)), path


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_are_such_as_github_shows(form: Path) -> None:
    content = loaded(form)
    assert set(content) <= {"name", "description", "labels", "body"}
    assert content["name"]
    assert content["description"]
    fields = [each for each in content["body"] if each["type"] != "markdown"]
    ids = [each["id"] for each in fields]
    assert len(ids) == len(set(ids))
    assert any(each.get("validations", {}).get("required") for each in fields)
    for each in content["body"]:
        assert each["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert each["attributes"].get("label" if each["type"] != "markdown" else "value")
        if each["type"] in {"dropdown", "checkboxes"}:
            assert len(each["attributes"]["options"]) > 1


def test_there_is_a_form_for_a_bug_a_feature_and_a_question_and_no_blank_issue() -> None:
    assert [form.stem for form in FORMS] == ["bug", "feature", "question"]
    assert loaded(FORMS[0].with_name("config.yml"))["blank_issues_enabled"] is False
    assert "SECURITY.md" in FORMS[0].read_text()


def test_hooks_run_the_tools_of_the_project_s_own_environment() -> None:
    repos = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    hooks = repos[0]["hooks"]
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/python -m ")
    (lint,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    checks = set(re.findall(r"-m (scripts\.\w+)", lint))
    assert {match for hook in hooks for match in re.findall(r"-m (scripts\.\w+)", hook["entry"])} == checks
    assert {"ruff check", "ruff format"} <= {hook["name"] for hook in hooks}


def test_hooks_run_when_the_files_change_that_they_read() -> None:
    (repo,) = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    patterns = {hook["id"]: hook.get("files", "") for hook in repo["hooks"]}
    for hook, path in (
        ("docs", "docs/design/layout.md"),
        ("docs", "example_dags/example_call_now.py"),
        ("docstrings", "provider/airflow_openai_realtime/exceptions.py"),
        ("picture", "docs/architecture.txt"),
        ("provider-yaml", "provider/airflow_openai_realtime/provider_info.py"),
    ):
        assert (ROOT / path).exists()
        assert re.search(patterns[hook], path), (hook, path)


def test_every_command_that_contributing_names_exists() -> None:
    rows = re.findall(r"^\| `make ([a-z-]+)` \|", CONTRIBUTING, re.MULTILINE)
    assert set(rows) <= TARGETS
    assert {
        "lint",
        "test",
        "test-postgres",
        "test-airflow",
        "coverage",
        "docs",
        "demo",
        "bench",
        "chaos",
        "fuzz",
    } <= set(rows)
    assert set(re.findall(r"`make ([a-z-]+)", CONTRIBUTING)) <= TARGETS
    for module in re.findall(r"python -m (scripts\.\w+)", CONTRIBUTING):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()


def test_every_folder_that_contributing_names_exists_and_every_one_is_named() -> None:
    named = set(re.findall(r"^\| `([\w/]+)/` \|", CONTRIBUTING, re.MULTILINE))
    for folder in named:
        assert (ROOT / folder).is_dir(), folder
    levels = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.rglob("test_*.py"))}
    assert {f"tests/{level}" for level in levels} <= named


def test_the_changelog_is_dated_and_tells_behaviour_changes_apart() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *rest = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", each) for each in rest)
    assert rest[0].split(" - ")[0] == __version__
    dates = [each.split(" - ")[1] for each in rest]
    assert dates == sorted(dates, reverse=True)
    for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.*)$", part, re.MULTILINE)
        assert "Behaviour changes" in kinds
        assert set(kinds) <= {"Added", "Fixed", "Changed", "Deprecated", "Security", "Behaviour changes"}
