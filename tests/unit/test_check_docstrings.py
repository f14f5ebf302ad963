"""The check of docstrings finds what a caller would miss, and only that."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest
from scripts import check_docstrings
from scripts.check_docstrings import class_tree, errors_of, faults_in

ERRORS = """
class OpenAIRealtimeError(Exception):
    '''Root.'''

class CallError(OpenAIRealtimeError):
    '''Of a call.'''

class CallGone(CallError):
    '''Over.'''
"""


def faults(source: str) -> list[str]:
    """What is wrong with a module, without line numbers."""
    module, errors = ast.parse(textwrap.dedent(source)), ast.parse(ERRORS)
    tree = class_tree([module, errors])
    return [text for _, text in faults_in(module, tree, errors_of(tree, "OpenAIRealtimeError"))]


def function(
    doc: str, body: str = "return number", head: str = "def ring(number: str, *, after: float = 1.0) -> str:"
) -> str:
    return f"{head}\n    '''{doc}'''\n    {body}\n"


@pytest.mark.parametrize(
    "source",
    [
        "def ring(): pass",
        "async def ring(): pass",
        "class Phone: pass",
        "class Phone:\n    '''A phone.'''\n    def ring(self): pass",
        "class Phone:\n    '''A phone.'''\n    class Bell: pass",
        "class Phone:\n    '''A phone.'''\n    @property\n    def bell(self): pass",
        "if True:\n    def ring(): pass",
        "try:\n    pass\nexcept ImportError:\n    pass\nelse:\n    def ring(): pass",
    ],
)
def test_a_public_name_without_a_docstring_is_found(source: str) -> None:
    (fault,) = faults(source)
    assert fault.endswith("has no docstring")


@pytest.mark.parametrize(
    "source",
    [
        "def _ring(number): pass",
        "class _Phone:\n    def ring(self, number): pass",
        "class Phone:\n    '''A phone.'''\n    def _ring(self, number): pass\n    def __len__(self): pass",
        "def ring():\n    '''Ring.'''\n    def inner(number): pass",
        "class Phone:\n    '''A phone.'''\n    @bell.setter\n    def bell(self, value): pass",
        "@overload\ndef ring(number: int) -> int: ...",
        "class Task(BaseOperator):\n    '''A task.'''\n    def execute(self, context): pass",
    ],
)
def test_what_is_private_or_described_elsewhere_needs_none(source: str) -> None:
    assert faults(source) == []


def test_every_parameter_is_documented() -> None:
    assert faults(function("Ring.")) == ["ring does not document number, after"]
    assert faults(function("Ring.\n\n    :param number: E.164.")) == ["ring does not document after"]
    assert faults(function("Ring.\n\n    :param number: E.164.\n    :param after: Seconds, above 0.")) == []


def test_parameters_with_stars_are_documented_too_but_not_those_of_airflow() -> None:
    head = "def ring(first: str, /, *numbers: str, **kwargs: str) -> str:"
    assert faults(function("Ring.", head=head)) == ["ring does not document first, numbers"]
    assert faults(function("R.\n\n    :param first: F.\n    :param *numbers: E.164.", head=head)) == []
    head = "def ring(**numbers: str) -> str:"
    assert faults(function("Ring.", head=head)) == ["ring does not document numbers"]


def test_a_class_documents_the_parameters_of_its_constructor_in_either_docstring() -> None:
    source = "class Phone:\n    '''A phone.{0}'''\n    def __init__(self, bell, number):\n        '''{1}'''"
    assert faults(source.format("", "")) == ["Phone does not document bell, number"]
    assert faults(source.format("\n\n    :param bell: B.", "\n        :param number: N.")) == []


@pytest.mark.parametrize(
    "head",
    [
        "@dataclass\nclass Call:",
        "@dataclass(frozen=True)\nclass Call:",
        "@dataclasses.dataclass\nclass Call:",
        "class Call(BaseModel):",
        "class Call(pydantic.BaseModel, Generic[T]):",
        "class Call(NamedTuple):",
        "class Call(TypedDict, total=False):",
        "class Base(BaseModel):\n    '''A base.'''\n\nclass Call(Base):",
    ],
)
def test_every_field_of_a_record_is_documented(head: str) -> None:
    fields = "    call_id: str\n    line: str = 'x'\n    _hidden: int = 0\n    kind: ClassVar[str] = 'call'\n"
    assert faults(f"{head}\n    '''A call.'''\n{fields}") == ["Call does not document call_id, line"]
    said = "\n\n    :param call_id: Of OpenAI.\n    :param line: Name.\n    "
    assert faults(f"{head}\n    '''A call.{said}'''\n{fields}") == []


@pytest.mark.parametrize(
    "field",
    [
        "line: str\n    '''Name of the line.'''",
        "line: str = Field(description='Name of the line.')",
        "line: Annotated[str, Field(description='Name of the line.')] = 'x'",
        "line: str = field(init=False)",
        "kind: Literal['call'] = 'call'",
    ],
)
def test_a_field_may_be_described_where_it_stands(field: str) -> None:
    assert faults(f"class Call(BaseModel):\n    '''A call.'''\n    {field}\n") == []


@pytest.mark.parametrize(
    "decorator", ["@router.get('/calls')", "@private_router.post('/calls', status_code=201)", "@pytest.fixture"]
)
def test_what_only_a_framework_calls_documents_errors_but_no_parameters(decorator: str) -> None:
    assert faults(f"{decorator}\n{function('Ring.')}") == []
    assert faults(f"{decorator}\n{function('Ring.', 'raise CallGone')}") == [
        "ring raises CallGone and does not say so (:raises CallGone:)"
    ]
    assert faults(f"@cached.get\n{function('Ring.')}") == ["ring does not document number, after"]


def test_a_field_with_several_fixed_values_is_a_parameter() -> None:
    source = "class Call(BaseModel):\n    '''A call.'''\n    kind: Literal['call', 'attempt'] = 'call'\n"
    assert faults(source) == ["Call does not document kind"]


def test_a_field_with_a_bound_but_no_description_is_found() -> None:
    source = "class Call(BaseModel):\n    '''A call.'''\n    line: str = Field(max_length=3)\n"
    assert faults(source) == ["Call does not document line"]


def test_names_of_a_plain_class_are_no_parameters() -> None:
    assert faults("class State(Enum):\n    '''A state.'''\n    ringing: str = 'ringing'") == []


DOCUMENTED = "Ring.\n\n    :param number: N.\n    :param after: S."


@pytest.mark.parametrize("body", ["raise CallGone", "raise CallGone('over') from None", "raise exceptions.CallGone(1)"])
def test_an_error_of_the_package_that_is_raised_is_named(body: str) -> None:
    assert faults(function(DOCUMENTED, body)) == ["ring raises CallGone and does not say so (:raises CallGone:)"]


@pytest.mark.parametrize("named", ["CallGone", "CallError", "OpenAIRealtimeError", "ValueError, CallGone"])
def test_its_name_or_that_of_a_parent_will_do(named: str) -> None:
    assert faults(function(f"{DOCUMENTED}\n    :raises {named}: It is over.", "raise CallGone")) == []


def test_another_error_s_name_will_not_do() -> None:
    assert faults(function(f"{DOCUMENTED}\n    :raises ValueError: It is over.", "raise CallGone")) != []


@pytest.mark.parametrize("body", ["raise ValueError", "raise", "raise self._error(number)", "raise failure(CallGone)"])
def test_errors_that_are_not_ours_or_not_known_by_name_need_not_be_named(body: str) -> None:
    assert faults(function(DOCUMENTED, body)) == []


def test_an_error_of_a_nested_function_is_not_raised_here() -> None:
    assert faults(function(DOCUMENTED, "def inner():\n        raise CallGone\n    return inner")) == []


def test_a_class_says_what_its_constructor_raises() -> None:
    source = "@dataclass\nclass Call:\n    '''A call.{}'''\n    def __post_init__(self):\n        raise CallGone\n"
    assert faults(source.format("")) == ["Call raises CallGone and does not say so (:raises CallGone:)"]
    assert faults(source.format("\n\n    :raises CallGone: It is over.\n    ")) == []


def test_a_parameter_that_is_not_taken_is_found() -> None:
    said = DOCUMENTED + "\n    :param before: S.\n    :param *rest: R."
    assert faults(function(said)) == ["ring documents before, rest, which it does not take"]
    head = "def ring(number: str, after: float, *rest: str, **kwargs: str) -> str:"
    assert faults(function(DOCUMENTED + "\n    :param rest: R.\n    :param kwargs: K.", head=head)) == []


def test_the_simulator_is_looked_at_too() -> None:
    looked_at = {path.relative_to(check_docstrings.PACKAGE).parts[0] for path in check_docstrings.modules()}
    assert {"simulator", "operators", "switchboard"} <= looked_at


def test_the_package_passes() -> None:
    assert check_docstrings.all_faults() == {}


def test_the_simulator_needs_docstrings_but_no_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def ring(number): \n    'Ring.'\n\ndef end(): pass\n"
    for folder in ("simulator", "calls"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "phones.py").write_text(text)
    monkeypatch.setattr(check_docstrings, "PACKAGE", tmp_path)
    monkeypatch.setattr(check_docstrings, "ROOT", tmp_path)
    assert check_docstrings.all_faults() == {
        "calls/phones.py": [(4, "end has no docstring"), (1, "ring does not document number")],
        "simulator/phones.py": [(4, "end has no docstring")],
    }
    monkeypatch.setattr("sys.argv", ["check_docstrings"])
    assert check_docstrings.main() == 1
