"""How many files a folder holds, what they are called, and that each has its tests where they are looked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

import airflow_openai_realtime

ROOT = Path(airflow_openai_realtime.__file__).parent
TESTS = Path(__file__).parents[1] / "unit"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

#: How many files a folder of the switchboard may hold; more of them want rooms of their own.
MOST_FILES = 15
#: Names that say nothing by themselves, and may stand in any folder.
EVERYWHERE = {"__init__.py", "__main__.py"}
#: Two files of one name are a pair if one is the client's and the other the server's.
PAIRED = ("switchboard/client/", "switchboard/server/")

#: Folders in which each module has a test file of its own, at the same path below ``tests/unit``.
MIRRORED = ("switchboard/server/", "inbound/")
#: Alembic's own files; ``schema/test_migrate.py`` runs them.
NOT_MIRRORED = "switchboard/server/store/schema/migrations/"


def crowded(files: Iterable[str]) -> dict[str, int]:
    """Folders of the switchboard with more files than they may hold."""
    counts: dict[str, int] = defaultdict(int)
    for file in files:
        if file.startswith("switchboard/"):
            counts[PurePosixPath(file).parent.as_posix()] += 1
    return {folder: count for folder, count in counts.items() if count > MOST_FILES}


def twice(files: Iterable[str]) -> dict[str, list[str]]:
    """Names that several files have and that no folder tells apart."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_name[PurePosixPath(file).name].append(file)
    return {
        name: listed
        for name, listed in by_name.items()
        if len(listed) > 1 and name not in EVERYWHERE and not _is_pair(listed)
    }


def _is_pair(files: list[str]) -> bool:
    return len(files) == 2 and all(any(file.startswith(folder) for file in files) for folder in PAIRED)


def own_tests(file: str) -> str:
    """Where the tests of a module are, below ``tests/unit``."""
    path = PurePosixPath(file)
    return (path.parent / f"test_{path.name}").as_posix()


def untested(files: Iterable[str], tests: Path) -> list[str]:
    """Modules of the mirrored folders that have no test file of their own."""
    mirrored = [file for file in files if file.startswith(MIRRORED) and not file.startswith(NOT_MIRRORED)]
    return [
        file
        for file in mirrored
        if PurePosixPath(file).name not in EVERYWHERE and not (tests / own_tests(file)).is_file()
    ]


def test_no_folder_of_the_switchboard_is_crowded() -> None:
    assert crowded(FILES) == {}


def test_no_two_files_have_one_name() -> None:
    assert twice(FILES) == {}


def test_each_module_has_its_tests_where_they_are_looked_for() -> None:
    assert untested(FILES, TESTS) == []


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([f"switchboard/server/store/{number}.py" for number in range(15)], {}),
        ([f"switchboard/server/store/{number}.py" for number in range(16)], {"switchboard/server/store": 16}),
        ([f"simulator/{number}.py" for number in range(40)], {}),
    ],
)
def test_the_rule_finds_a_crowded_folder(files: list[str], found: dict[str, int]) -> None:
    assert crowded(files) == found


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["api/client.py", "api/sideband/client.py"], {"client.py"}),
        (["switchboard/client/orders.py", "switchboard/server/routes/orders.py"], set()),
        (["switchboard/server/feed.py", "switchboard/server/store/feed.py"], {"feed.py"}),
        (["switchboard/client/feed.py", "switchboard/server/feed.py", "inbound/feed.py"], {"feed.py"}),
        (["api/__init__.py", "calls/__init__.py"], set()),
    ],
)
def test_the_rule_finds_a_name_that_is_there_twice(files: list[str], names: set[str]) -> None:
    assert set(twice(files)) == names


def test_the_rule_finds_a_module_without_tests(tmp_path: Path) -> None:
    (tmp_path / "inbound").mkdir()
    (tmp_path / "inbound" / "test_feed.py").touch()
    assert untested(["inbound/feed.py", "inbound/waiting.py", "api/sip.py"], tmp_path) == ["inbound/waiting.py"]
