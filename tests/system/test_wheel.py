"""The wheel, installed into an environment of its own beside this Airflow, is what users get."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "airflow-provider-openai-realtime"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this source tree."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel installed, and this environment's Airflow beneath it."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)], check=True
    )
    (site / "airflow_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin" / "python"


def output(python: Path, *arguments: str) -> str:
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    answer = subprocess.run(
        [str(python), "-W", "ignore", *arguments], check=False, capture_output=True, text=True, env=env, cwd="/"
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


def test_who_has_only_the_wheel_finds_the_examples_that_the_guide_copies(python: Path, tmp_path: Path) -> None:
    where = output(python, "-c", "import airflow_openai_realtime as it; print(it.__path__[0])").strip()
    examples = {path.name: path.read_bytes() for path in (Path(where) / "example_dags").iterdir() if path.is_file()}
    kept = {path.name: path.read_bytes() for path in (ROOT / "example_dags").iterdir() if path.is_file()}
    assert examples == kept
    assert {"example_call_now.py", "example_inbound_line.py", "callback_contacts.csv"} <= set(examples)


def test_the_wheel_holds_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "airflow_openai_realtime/py.typed" in names
    migrations = "airflow_openai_realtime/switchboard/server/store/schema/migrations"
    assert any(name.startswith(f"{migrations}/versions/") for name in names)
    assert f"{migrations}/env.py" in names
    assert not [name for name in names if "random_lives" in name]
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "airflow_openai_realtime",
        "airflow_provider_openai_realtime",
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_package_is_the_wheels(python: Path) -> None:
    where = output(python, "-c", "import airflow_openai_realtime as package; print(package.__file__)").strip()
    assert Path(where).is_relative_to(python.parents[1])


def test_the_switchboard_is_a_program_of_its_own(python: Path) -> None:
    (script,) = python.parents[1].rglob("bin/openai-realtime-switchboard")
    assert output(python, str(script), "--version").startswith("switchboard ")


def test_airflow_shows_the_provider(python: Path, airflow_db: Path) -> None:
    shown = output(python, "-m", "airflow", "providers", "get", DISTRIBUTION, "--output", "json")
    assert DISTRIBUTION in shown


def test_airflow_shows_the_plugin(python: Path, airflow_db: Path) -> None:
    shown = output(python, "-m", "airflow", "plugins", "--output", "json")
    assert "openai_realtime" in shown


def test_airflow_shows_both_connection_types(python: Path, airflow_db: Path) -> None:
    shown = output(python, "-m", "airflow", "providers", "hooks", "--output", "json")
    assert "openai_realtime" in shown
    assert "telephony_carrier" in shown
