"""Names that a package offers are loaded when they are used, and no sooner."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_openai_realtime.lazy import lazy_attributes


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_slow_module.py").write_text("VALUE = object()\n")
    (tmp_path / "a_broken_module.py").write_text("import there_is_no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_slow_module", raising=False)
    return "a_slow_module"


def test_a_module_is_loaded_with_the_first_of_its_names(slow_module: str) -> None:
    load = lazy_attributes("package", {"VALUE": slow_module, "OTHER": "a_broken_module"})
    assert slow_module not in sys.modules
    value = load("VALUE")
    assert value is sys.modules[slow_module].VALUE
    assert load("VALUE") is value


def test_a_name_that_is_not_offered_is_told_as_python_tells_it(slow_module: str) -> None:
    load = lazy_attributes("package", {"VALUE": slow_module})
    with pytest.raises(AttributeError, match="module 'package' has no attribute 'MISSING'"):
        load("MISSING")
    assert slow_module not in sys.modules


def test_a_module_that_cannot_be_loaded_is_no_missing_name(slow_module: str) -> None:
    load = lazy_attributes("package", {"OTHER": "a_broken_module", "GONE": slow_module})
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        load("OTHER")
    with pytest.raises(AttributeError, match="GONE"):
        load("GONE")


def test_every_name_that_the_package_offers_is_there() -> None:
    import airflow_openai_realtime
    from airflow_openai_realtime import operators

    for package in (airflow_openai_realtime, operators):
        assert all(getattr(package, name) is not None for name in package.__all__)
