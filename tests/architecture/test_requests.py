"""Requests are sent in few places, and nothing is called by a name in a text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_openai_realtime

ROOT = Path(airflow_openai_realtime.__file__).parent
#: The simulator is a world of its own, and what runs tests is no part of what is tested.
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] not in ("simulator", "testing")
)

#: Who may know the libraries that talk to the network, and why.
NETWORK = {
    "api/client.py": "the errors of httpx, and what they say about repeating",
    "api/network.py": "sends every HTTP request",
    "api/sideband/socket.py": "opens sidebands",
    "api/sideband/connection.py": "reads and writes an open sideband",
}
LIBRARIES = {"httpx", "httpcore", "websockets", "requests", "urllib3", "aiohttp"}

#: Who may read an attribute whose name is not written out, and why. None of them calls what it finds.
NAMED_ATTRIBUTES = {
    "api/session/session_part.py": "the fields of a pydantic model that were set",
    "calls/call.py": "the fields of a dataclass, for JSON",
    "calls/caller_fields.py": "the field of a call that a DAG names",
    "calls/order.py": "the fields of a dataclass, for JSON",
    "calls/recent.py": "the fields of a dataclass, for JSON",
    "calls/result.py": "the fields of a dataclass, for JSON",
    "calls/saved_conversation.py": "the fields of a dataclass, for JSON",
    "calls/timeline/usage.py": "the counts of kinds of token",
    "conversation/author_functions.py": "what a DAG names by its path",
    "conversation/run/function_running.py": "the fields of a pydantic model that were set",
    "lazy.py": "the names that a package offers",
    "outbound/carriers/port.py": "the fields that are checked alike",
    "switchboard/__main__.py": "the options of the command line",
    "switchboard/mounted.py": "the settings in Airflow's configuration",
    "switchboard/server/store/call_ends.py": "the fields of a result that a witness corrects",
    "switchboard/server/switchboard_settings.py": "the settings, to check them",
    "triggers/incoming_call_event.py": "the arguments that tell streams apart",
}


def tree_of(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def imported(tree: ast.Module) -> set[str]:
    """The top names of all modules that are imported, also in functions and by their name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            found.add(ast.unparse(node.args[0]).strip("f'\"").split(".")[0])
    return found


def attributes_by_name(tree: ast.Module) -> list[str]:
    """Each ``getattr`` whose name is not written out."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("getattr", "methodcaller", "operator.methodcaller", "attrgetter")
        and not (len(node.args) > 1 and isinstance(node.args[1], ast.Constant))
    ]


def calls_by_name(tree: ast.Module) -> list[str]:
    """Each call of what a ``getattr`` found, whatever its name."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and ast.unparse(node.func.func) == "getattr"
    ]


@pytest.mark.parametrize("file", FILES)
def test_only_the_listed_files_talk_to_the_network(file: str) -> None:
    known = imported(tree_of(file)) & LIBRARIES
    assert not known or file in NETWORK, f"{file} imports {known}: build a Request, and let a client send it"


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_looked_up_by_a_name_in_a_text(file: str) -> None:
    found = attributes_by_name(tree_of(file))
    assert not found or file in NAMED_ATTRIBUTES, found
    assert calls_by_name(tree_of(file)) == []


def test_the_checks_see_what_they_look_for() -> None:
    lookups = ast.parse("getattr(client, step.method)(*step.arguments)\ngetattr(error, 'strerror', None)")
    assert attributes_by_name(lookups) == ["getattr(client, step.method)"]
    assert calls_by_name(lookups) == ["getattr(client, step.method)(*step.arguments)"]
    modules = ast.parse("def f():\n    import httpx\nfrom websockets.sync import client\nimport_module('aiohttp.web')")
    assert imported(modules) & LIBRARIES == {"httpx", "websockets", "aiohttp"}


def test_the_lists_name_files_that_are_there() -> None:
    assert set(NETWORK) <= set(FILES)
    assert all(LIBRARIES & imported(tree_of(file)) for file in NETWORK)


#: Of a dialer, which builds requests by methods.
DIALER_METHODS = {"place", "look", "end", "cancel", "check"}
#: Where requests are built and sent; the simulator has functions of the same names, tests build some that are refused.
SENDERS = [ROOT / file for file in FILES] + sorted(
    path
    for folder in ("bench", "demo", "example_dags", "docs/samples")
    for path in (Path(__file__).parents[2] / folder).rglob("*.py")
)


def builders() -> set[str]:
    """Names of the functions that build a request or several; what they return does nothing until it is sent."""
    return {
        node.name
        for file in FILES
        for node in tree_of(file).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and ast.unparse(node.returns).startswith(("Request[", "Requests["))
    }


def thrown_away(tree: ast.Module, named: set[str]) -> list[str]:
    """Each request that is built in a statement of its own, so that nothing can send it."""
    return [
        ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and (
            ast.unparse(node.value.func).split(".")[-1] in named
            or (
                isinstance(node.value.func, ast.Attribute)
                and node.value.func.attr in DIALER_METHODS
                and ast.unparse(node.value.func.value).endswith("dialer")
            )
        )
    ]


def test_every_request_that_is_built_can_be_sent() -> None:
    named = builders()
    assert {"hang_up_call", "claim_call", "list_calls"} <= named
    found = {str(path): thrown_away(ast.parse(path.read_text()), named) for path in SENDERS}
    assert {path: requests for path, requests in found.items() if requests} == {}


def test_a_request_that_is_thrown_away_is_found() -> None:
    lines = "hang_up_call('rtc_1')\nclient.send(hang_up_call('rtc_1'))\nself.dialer.end('CA1')\nready = dialer.check()"
    assert thrown_away(ast.parse(lines), builders()) == ["hang_up_call('rtc_1')", "self.dialer.end('CA1')"]
