"""Who may import whom, read from the source: also imports inside functions and under ``TYPE_CHECKING``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_openai_realtime

PACKAGE = "airflow_openai_realtime"
ROOT = Path(airflow_openai_realtime.__file__).parent

#: What each part builds on directly. A part may import itself, these, and what these may import. A part is a folder or
#: a file of the package; of the switchboard, its folders and files.
BUILDS_ON: dict[str, set[str]] = {
    "exceptions": set(),
    "states": set(),
    "lazy": set(),
    "provider_info": set(),
    "version_compat": {"exceptions"},
    "api": {"exceptions", "states", "lazy"},
    "calls": {"api"},
    "switchboard": set(),
    "switchboard.client": {"calls", "switchboard"},
    "switchboard.server": {"calls", "switchboard"},
    "switchboard.doctor": {"switchboard.client", "switchboard.server"},
    "switchboard.mounted": {"switchboard.doctor"},
    "switchboard.__main__": {"switchboard.mounted"},
    "outbound": {"switchboard.client"},
    "inbound": {"outbound"},
    "conversation": {"inbound"},
    "hooks": {"conversation", "version_compat", "switchboard.doctor"},
    "ui": {"switchboard.mounted"},
    "triggers": {"hooks"},
    "operators": {"triggers", "ui"},
    "sensors": {"operators"},
    "schedules": {"version_compat"},
    "plugin": {"ui"},
    "simulator": {"api"},
    "testing": {"operators", "simulator"},
}
#: Only here is Airflow known.
AIRFLOW_ALLOWED = {
    "hooks",
    "triggers",
    "operators",
    "sensors",
    "plugin",
    "provider_info",
    "testing",
    "schedules",
    "version_compat",
}
AIRFLOW_ALLOWED_FILES = {
    "switchboard/mounted.py",
    "ui/airflow_auth.py",
    "ui/airflow_backend.py",
}

#: Files that only pytest loads; what they need comes with it.
FOR_PYTEST = {"testing/airflow_fixtures.py", "simulator/pytest_plugin.py"}

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def part_of(module: str) -> str:
    """The part that a module, named without the package, belongs to; the package's own ``__init__`` is part ``""``."""
    names = module.split(".")
    return ".".join(names[:2]) if ".".join(names[:2]) in BUILDS_ON else names[0]


def module_of(file: str) -> str:
    """Name of a file's module, without the package."""
    return file.removesuffix(".py").removesuffix("__init__").replace("/", ".").strip(".")


def imported_modules(source: str, file: str) -> Iterator[str]:
    """Every module that a file imports, by its full name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; write the full name"
            module = node.module or ""
            # "from package import part" imports the part.
            yield from (f"{module}.{alias.name}" if _is_folder(module) else module for alias in node.names)


def _is_folder(module: str) -> bool:
    return module in (PACKAGE, f"{PACKAGE}.switchboard")


def allowed_for(part: str) -> set[str]:
    """All parts that one may import."""
    return {part}.union(*(allowed_for(each) for each in BUILDS_ON[part]))


def forbidden_imports(source: str, file: str) -> list[str]:
    """What a file imports and may not."""
    part = part_of(module_of(file))
    wrong = []
    for module in imported_modules(source, file):
        if module == "airflow" or module.startswith("airflow."):
            if part not in AIRFLOW_ALLOWED and file not in AIRFLOW_ALLOWED_FILES:
                wrong.append(module)
        elif module.startswith(f"{PACKAGE}.") and part:
            imported = part_of(module.removeprefix(f"{PACKAGE}."))
            if imported not in allowed_for(part) | {"__version__"}:
                wrong.append(module)
    return wrong


@pytest.mark.parametrize("file", FILES)
def test_a_part_imports_only_what_it_builds_on(file: str) -> None:
    assert forbidden_imports((ROOT / file).read_text(), file) == []


def declared_dependencies() -> set[str]:
    """What the package depends on, by the names to import."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    (listed,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    names = {name.replace("-", "_") for name in re.findall(r'^ *"([a-z0-9-]+)', listed, re.MULTILINE)}
    return names - {"apache_airflow"} | {"airflow"}


def undeclared_imports(source: str, file: str) -> set[str]:
    """What a file imports that is neither the package's, nor Python's, nor a declared dependency."""
    imported = {module.split(".")[0] for module in imported_modules(source, file)}
    return imported - declared_dependencies() - sys.stdlib_module_names - {PACKAGE}


@pytest.mark.parametrize("file", FILES)
def test_what_is_imported_is_a_declared_dependency(file: str) -> None:
    assert undeclared_imports((ROOT / file).read_text(), file) <= ({"pytest"} if file in FOR_PYTEST else set())


def test_every_declared_dependency_is_imported() -> None:
    examples = (Path(__file__).parents[2] / "example_dags").glob("*.py")  # the wheel holds them
    imported: set[str] = set()
    for path in (*(ROOT / file for file in FILES), *examples):
        imported |= {module.split(".")[0] for module in imported_modules(path.read_text(), path.name)}
    assert declared_dependencies() <= imported


def test_an_import_for_type_checkers_alone_needs_a_declared_dependency_too() -> None:
    assert undeclared_imports("if TYPE_CHECKING:\n    from typing_extensions import Self", "api/client.py")


def test_every_part_has_its_place() -> None:
    assert {part_of(module_of(file)) for file in FILES} - {""} == set(BUILDS_ON)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("api/client.py", "import airflow"),
        ("api/client.py", "def f():\n    from airflow.sdk import BaseHook"),
        (
            "api/client.py",
            "from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient",
        ),
        ("inbound/feed.py", "from airflow_openai_realtime import hooks"),
        ("switchboard/server/app.py", "from airflow.configuration import conf"),
        ("operators/accept.py", "from airflow_openai_realtime.sensors.incoming_call import IncomingCallSensor"),
        ("triggers/live_call.py", "from airflow_openai_realtime.simulator.server import Simulator"),
        ("simulator/server.py", "from airflow_openai_realtime.calls.call import SwitchboardCall"),
        ("exceptions.py", "from airflow_openai_realtime.api import sip"),
        ("ui/page_routes.py", "from airflow.configuration import conf"),
        ("ui/access.py", "from airflow_openai_realtime.operators.hang_up import HangupCallOperator"),
    ],
)
def test_the_rule_finds_what_it_is_for(file: str, line: str) -> None:
    assert forbidden_imports(line, file)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("switchboard/mounted.py", "from airflow.configuration import conf"),
        ("hooks/realtime.py", "from airflow.sdk import BaseHook"),
        ("api/settings.py", "from airflow_openai_realtime import __version__"),
        ("triggers/live_call.py", "from airflow_openai_realtime.conversation.run.run_call import run_call"),
    ],
)
def test_the_rule_lets_pass_what_is_allowed(file: str, line: str) -> None:
    assert forbidden_imports(line, file) == []


def imports_between_files() -> dict[str, set[str]]:
    """For each module of the package, the modules of the package that it imports, wherever the import stands."""
    modules = {f"{PACKAGE}.{module_of(file)}" if module_of(file) else PACKAGE: file for file in FILES}
    found: dict[str, set[str]] = {}
    for module, file in modules.items():
        found[module] = set()
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                found[module] |= named & set(modules) or {str(node.module)}
    # The package itself loads its parts by name, when they are used; its version is all that parts need of it.
    return {module: (imported & set(modules)) - {PACKAGE, module} for module, imported in found.items()}


def circles(imports: dict[str, set[str]]) -> list[str]:
    """Modules from which imports lead back to themselves."""

    def reached_from(module: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(imports[module])
        while ahead:
            following = ahead.pop()
            if following not in seen:
                seen.add(following)
                ahead += imports[following]
        return seen

    return sorted(module for module in imports if module in reached_from(module))


def test_no_imports_go_round_in_a_circle() -> None:
    assert circles(imports_between_files()) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]


def imported_twice(tree: ast.Module) -> list[str]:
    """Names that a module imports twice: also once for types alone, or again inside a function."""
    at_top = [*tree.body, *(inner for node in tree.body if isinstance(node, ast.If) for inner in node.body)]
    names = [imported for node in at_top for imported in _names(node)]
    inside = {
        imported
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        for imported in _names(node)
    }
    known_here = {imported for node in tree.body for imported in _names(node)}
    return sorted({name for name in names if names.count(name) > 1} | (inside & known_here))


def _names(node: ast.AST) -> list[str]:
    return [f"{node.module}.{each.name}" for each in node.names] if isinstance(node, ast.ImportFrom) else []


def test_no_name_is_imported_twice() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): imported_twice(ast.parse(path.read_text()))
        for path in sorted(ROOT.rglob("*.py"))
    }
    assert {file: names for file, names in found.items() if names} == {}
