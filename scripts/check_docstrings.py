"""
Check that every public docstring of the package says what a caller needs to know.

* Every public class, function and method has a docstring, and documents no parameter that it does not take.
* A function documents each of its parameters with ``:param name:``, a class each parameter of its constructor.
  A dataclass, a named tuple, a typed dict or a pydantic model documents each field: with ``:param name:``, with a
  string below the field, or with ``Field(description=…)``.
  Not needed for what no caller gives: a field with one fixed value, what FastAPI hands to a route, what pytest hands
  to a fixture.
* What raises an error of the package itself names it, or one of its parents, with ``:raises Name:``.

For the simulator only the first of these holds.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "provider" / "airflow_openai_realtime"
# Folders for which only the first rule holds.
FIRST_RULE_ONLY = ("simulator",)

# Methods whose meaning is Airflow's or Alembic's.
FRAMEWORK_METHODS = frozenset(["execute", "poke", "serialize", "run", "on_kill", "cleanup", "upgrade", "downgrade"])
# Methods whose parameters are those of Airflow, Starlette, asyncio, logging or SQLAlchemy.
FRAMEWORK_PARAMETERS = frozenset(
    [
        *("get_link", "dispatch", "connection_made", "connection_lost", "data_received", "formatException"),
        *("process_bind_param", "process_result_value"),
    ]
)
# Decorators of functions that only a framework calls, with arguments of its own choice.
CALLED_BY_FRAMEWORK = re.compile(r"^(?:\w*router\w*|app)\.(?:get|post|put|delete)\(|^pytest\.fixture\b")
# ``**kwargs`` is what Airflow's own constructor takes.
UNDOCUMENTED_PARAMETERS = frozenset({"self", "cls", "kwargs"})
# Bases and decorators of classes whose annotated names are constructor parameters.
RECORD_BASES = frozenset({"BaseModel", "NamedTuple", "TypedDict"})
PARAM = re.compile(r":param (?:[\w\[\], |.]+ )?\*{0,2}(\w+):")
RAISES = re.compile(r":raises? ([\w., ]+):")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class ClassTree:
    """
    Classes of the package by name, as far as bases and fields tell what they are.

    :param bases: Names of the direct bases of each class.
    """

    bases: dict[str, tuple[str, ...]]

    def ancestors(self, name: str) -> set[str]:
        """
        All classes above one.

        :param name: Name of a class.
        :return: The class itself and every base that is known by name.
        """
        found: set[str] = set()
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += self.bases.get(each, ())
        return found


def class_tree(trees: list[ast.Module]) -> ClassTree:
    """
    Find the classes of some modules.

    :param trees: Parsed modules.
    :return: Their classes, nested ones included.
    """
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return ClassTree({node.name: tuple(_last_name(base) for base in node.bases) for node in classes})


def errors_of(tree: ClassTree, root: str) -> frozenset[str]:
    """
    The package's own errors.

    :param tree: All classes of the package.
    :param root: Name of the error that all others derive from.
    :return: Names of the errors.
    """
    return frozenset(name for name in tree.bases if root in tree.ancestors(name))


def first_faults_in(module: ast.Module) -> Iterator[tuple[int, str]]:
    """
    Public names without a docstring, and docstrings that do not fit the parameters.

    :param module: The parsed module.
    :return: Line and text of each fault.
    """
    for name, node in _public_nodes(module.body, ""):
        doc = ast.get_docstring(node)
        if doc is None:
            if isinstance(node, ast.ClassDef) or not _is_described_elsewhere(node):
                yield node.lineno, f"{name} has no docstring"
        elif not isinstance(node, ast.ClassDef):
            taken = {*_all_parameters(node)}
            if unknown := [each for each in PARAM.findall(doc) if each not in taken]:
                yield node.lineno, f"{name} documents {', '.join(unknown)}, which it does not take"


def faults_in(module: ast.Module, tree: ClassTree, errors: frozenset[str]) -> Iterator[tuple[int, str]]:
    """
    What the docstrings of one module leave out.

    :param module: The parsed module.
    :param tree: All classes of the package.
    :param errors: Names of the package's errors.
    :return: Line and text of each fault.
    """
    yield from first_faults_in(module)
    for name, node in _public_nodes(module.body, ""):
        doc = ast.get_docstring(node)
        if doc is None:
            continue
        if isinstance(node, ast.ClassDef):
            yield from _class_faults(name, node, doc, tree, errors)
        elif not _is_described_elsewhere(node):
            yield from _function_faults(name, node, doc, tree, errors)


def _public_nodes(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _public_nodes(node.body + node.orelse, prefix)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public_nodes(node.body, f"{prefix}{node.name}.")


def _class_faults(
    name: str, node: ast.ClassDef, doc: str, tree: ClassTree, errors: frozenset[str]
) -> Iterator[tuple[int, str]]:
    constructor = next(
        (item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None
    )
    own = ast.get_docstring(constructor) or "" if constructor else ""
    said = f"{doc}\n{own}"
    wanted = _parameters(constructor) if constructor else _undescribed_fields(node, tree)
    yield from _missing_parameters(name, node.lineno, wanted, said)
    building = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name in _CONSTRUCTING]
    for function in building:
        yield from _missing_errors(name, function, said, tree, errors)


_CONSTRUCTING = ("__init__", "__post_init__", "__new__")


def _function_faults(
    name: str, node: Function, doc: str, tree: ClassTree, errors: frozenset[str]
) -> Iterator[tuple[int, str]]:
    is_foreign = node.name in FRAMEWORK_PARAMETERS
    if not is_foreign and not any(CALLED_BY_FRAMEWORK.match(ast.unparse(each)) for each in node.decorator_list):
        yield from _missing_parameters(name, node.lineno, _parameters(node), doc)
    yield from _missing_errors(name, node, doc, tree, errors)


def _missing_parameters(name: str, line: int, wanted: list[str], doc: str) -> Iterator[tuple[int, str]]:
    said = set(PARAM.findall(doc))
    if missing := [each for each in wanted if each not in said]:
        yield line, f"{name} does not document {', '.join(missing)}"


def _missing_errors(
    name: str, node: Function, doc: str, tree: ClassTree, errors: frozenset[str]
) -> Iterator[tuple[int, str]]:
    said = {each.strip().rpartition(".")[2] for names in RAISES.findall(doc) for each in names.split(",")}
    for raised in sorted(_raised_names(node) & errors):
        if not said & tree.ancestors(raised):
            yield node.lineno, f"{name} raises {raised} and does not say so (:raises {raised}:)"


def _raised_names(node: Function) -> set[str]:
    """Names of the classes that a function raises itself, nested functions apart."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Raise) and each.exc is not None:
            found.add(_last_name(each.exc.func if isinstance(each.exc, ast.Call) else each.exc))
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(each)
    return found


def _parameters(node: Function) -> list[str]:
    """Names of the parameters that are to be documented."""
    return [name for name in _all_parameters(node) if name not in UNDOCUMENTED_PARAMETERS and not name.startswith("_")]


def _all_parameters(node: Function) -> list[str]:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [argument.arg for argument in named]


def _undescribed_fields(node: ast.ClassDef, tree: ClassTree) -> list[str]:
    """Public fields of a record that neither a string below nor ``Field(description=…)`` describes."""
    decorated = {_last_name(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list}
    if "dataclass" not in decorated and not RECORD_BASES & tree.ancestors(node.name):
        return []
    fields = []
    for item, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        described = _is_string(below) or (item.value is not None and _has_description(item.value))
        described = described or _has_description(item.annotation)
        if not described and not item.target.id.startswith("_") and not _is_no_parameter(item):
            fields.append(item.target.id)
    return fields


def _is_no_parameter(item: ast.AnnAssign) -> bool:
    class_variable = _last_name(item.annotation) in ("ClassVar", "PrivateAttr")
    choices = item.annotation.slice if isinstance(item.annotation, ast.Subscript) else None
    fixed = _last_name(item.annotation) == "Literal" and isinstance(choices, ast.Constant)
    not_taken = isinstance(item.value, ast.Call) and any(
        keyword.arg == "init" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in item.value.keywords
    )
    return class_variable or fixed or not_taken


def _has_description(node: ast.expr) -> bool:
    return any(
        isinstance(each, ast.Call)
        and _last_name(each.func) == "Field"
        and any(keyword.arg == "description" for keyword in each.keywords)
        for each in ast.walk(node)
    )


def _is_string(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_described_elsewhere(node: Function) -> bool:
    """Overloads, setters, and methods whose contract a framework writes."""
    marks = tuple(ast.unparse(decorator) for decorator in node.decorator_list)
    return node.name in FRAMEWORK_METHODS or any(mark.endswith(("overload", ".setter", "override")) for mark in marks)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def modules() -> list[Path]:
    """The files that are looked at."""
    return sorted(PACKAGE.rglob("*.py"))


def all_faults() -> dict[str, list[tuple[int, str]]]:
    """What is left out, by the file's path from the repository's root; files without a fault are not in it."""
    parsed = {path: ast.parse(path.read_text()) for path in modules()}
    tree = class_tree(list(parsed.values()))
    errors = errors_of(tree, "OpenAIRealtimeError")
    found = {
        path.relative_to(ROOT).as_posix(): list(
            first_faults_in(module) if _has_first_rule_only(path) else faults_in(module, tree, errors)
        )
        for path, module in parsed.items()
    }
    return {path: faults for path, faults in found.items() if faults}


def _has_first_rule_only(path: Path) -> bool:
    return path.relative_to(PACKAGE).parts[0] in FIRST_RULE_ONLY


def main() -> int:
    """Print what is left out; the exit status is 1 when anything is."""
    argparse.ArgumentParser(description=__doc__.strip().splitlines()[0]).parse_args()
    lines = [f"{path}:{line}: {text}" for path, faults in all_faults().items() for line, text in faults]
    print(*lines, sep="\n", end="\n" if lines else "")
    if not lines:
        print(f"docstrings: {len(modules())} modules looked at, 0 faults")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
