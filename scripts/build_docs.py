"""
Build the documentation as a site, ``build/docs/html``, with an API reference made from the docstrings.

The pages are those that are read in the repository: they are copied into ``build/docs/source``, where links to the
root's README and to folders are turned into links to pages, and where the reference is added. The site's navigation
follows the tables of ``docs/README.md`` and ``docs/design/README.md``. Any warning fails the build, and so does a page
that loads something from another host. Nothing is fetched from the network.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from airflow_openai_realtime.provider_info import get_provider_info

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "docs"
PACKAGE = "airflow_openai_realtime"
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
FOLDERS = ("docs", "example_dags", "deploy")
# What a browser loads by itself when it shows a page.
FOREIGN = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["'](?:https?:)?//[^"']*""")
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
TABLE_LINK = re.compile(r"^\| \[[^\]]+\]\(([\w-]+)\.md\)", re.MULTILINE)
# Sections of the reference whose names are the classes of the modules that Airflow's metadata names, by their suffix.
BY_MODULE = {"hooks": "Hook", "triggers": "Trigger"}


def main() -> int:
    """Build the site; the exit status is 1 when Sphinx warns of anything."""
    argparse.ArgumentParser(description=__doc__.strip().splitlines()[0]).parse_args()
    from sphinx.cmd.build import main as sphinx

    shutil.rmtree(BUILD, ignore_errors=True)
    source = BUILD / "source"
    stage(source)
    arguments = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(ROOT / "docs" / "site")]
    status = sphinx([*arguments, "-d", str(BUILD / "cache"), str(source), str(BUILD / "html")])
    foreign = [] if status else list(loaded_from_elsewhere(BUILD / "html"))
    print(*foreign, sep="\n", end="\n" if foreign else "")
    if status == 0 and not foreign:
        print(f"docs: the site is in {(BUILD / 'html').relative_to(ROOT)}")
    return status or len(foreign[:1])


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """
    What a reader without a network would miss.

    :param site: Folder of the built pages.
    :return: A line for each thing that a page loads from another host.
    """
    for page in sorted(site.rglob("*.html")):
        for found in FOREIGN.findall(page.read_text()):
            yield f"{page.relative_to(site)}: loads {found}"


def stage(source: Path) -> None:
    """
    Put together what Sphinx reads.

    :param source: Folder to write; it must not exist.
    """
    source.mkdir(parents=True)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("site", "samples", "__pycache__"))
    for page in PAGES:
        shutil.copy(ROOT / page, source / page)
    (source / "example_dags" / "index.md").write_text(examples_page(source / "example_dags"))
    decisions = source / "docs" / "design" / "README.md"
    decisions.write_text(decisions.read_text() + _toctree("Decisions", listed(decisions)))
    (source / "index.md").write_text((ROOT / "README.md").read_text() + navigation())
    for name, text in reference_pages():
        target = source / "api" / f"{name}.rst"
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    for page in source.rglob("*.md"):
        page.write_text(linked(page.read_text(), page, source))


def linked(text: str, page: Path, source: Path) -> str:
    """
    Turn links that only a repository's browser can follow into links to pages of the site.

    :param text: Text of a page.
    :param page: The page's path.
    :param source: Folder of all pages.
    :return: The text; links to folders lead to their index, links to the root's README to the first page.
    """

    def led(link: re.Match[str]) -> str:
        target = (page.parent / link[2]).resolve()
        if target.is_dir() and (target / "index.md").exists():
            return f"{link[1]}{link[2].rstrip('/')}/index.md{link[3]}"
        if target == source / "README.md":
            return f"{link[1]}{link[2].removesuffix('README.md')}index.md{link[3]}"
        return link[0]

    # Sphinx has no drawing of its own for it, and the usual extension loads one from elsewhere.
    return LINK.sub(led, text).replace("```mermaid", "```text")


def navigation() -> str:
    """The tables of contents, hidden from the page itself; the site shows them at its side."""
    pages = [f"docs/{name}" for name in listed(ROOT / "docs" / "README.md")]
    return _toctree("Documentation", ["docs/README", *pages, "example_dags/index", "api/index"]) + _toctree(
        "Project", ["CHANGELOG", "CONTRIBUTING", "SECURITY", "docs/design/README"]
    )


def listed(page: Path) -> list[str]:
    """
    Pages that a page lists in its table.

    :param page: Path of an index.
    :return: Names without ``.md``, in the table's order; those of other folders are left out.
    """
    return TABLE_LINK.findall(page.read_text())


def _toctree(caption: str, pages: list[str]) -> str:
    lines = "\n".join(dict.fromkeys(pages))
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{lines}\n```\n"


def examples_page(folder: Path) -> str:
    """
    A page with all example DAGs.

    :param folder: Where they are.
    :return: Its text.
    """
    parts = ["# Example DAGs", "They are in the wheel, too, in `airflow_openai_realtime/example_dags`."]
    for path in sorted(folder.glob("*.py")):
        parts += [f"## {path.name}", f"```{{literalinclude}} {path.name}\n:language: python\n```"]
    return "\n\n".join(parts) + "\n"


def reference_pages() -> Iterator[tuple[str, str]]:
    """Name and text of each page of the API reference."""
    sections = dict(reference())
    intro = f"Names that stay as they are between releases as :doc:`/docs/versioning` says. All are in ``{PACKAGE}``.\n"
    tree = ".. toctree::\n\n" + "".join(f"   {name}\n" for name in sections)
    yield "index", f"{_heading('API reference', '=')}{intro}\n{tree}"
    for section, names in sections.items():
        title = "Top level" if section == "top_level" else section.capitalize()
        yield section, _heading(title, "=") + "\n".join(_directive(path) for path in names)


def reference() -> Iterator[tuple[str, list[str]]]:
    """
    What the reference holds, found by walking the package.

    :return: Each section with the dotted paths of its public names.
    """
    top = importlib.import_module(PACKAGE)
    offered = {section: f"{PACKAGE}.{section}" for section in ("operators", "sensors")}
    seen: set[object] = set()
    for section, path in offered.items():
        module = importlib.import_module(path)
        names = [f"{path}.{name}" for name in module.__all__]
        seen.update(getattr(module, name) for name in module.__all__)
        yield section, names
    for section, ending in BY_MODULE.items():
        modules = [name for entry in get_provider_info()[section] for name in entry["python-modules"]]
        found = [each for name in modules for each in _defined_in(name) if each.endswith(ending)]
        seen.update(_object(path) for path in found)
        yield section, found
    rest = [name for name in top.__all__ if not name.startswith("_") and getattr(top, name) not in seen]
    yield "top_level", [f"{PACKAGE}.{name}" for name in rest]
    for section in ("schedules", "exceptions"):
        yield section, _defined_in(f"{PACKAGE}.{section}")
    testing = importlib.import_module(f"{PACKAGE}.testing")
    fixtures = [path for module in _modules(testing) for path in _defined_in(module) if _is_fixture(_object(path))]
    yield "testing", [*(f"{testing.__name__}.{name}" for name in testing.__all__), *fixtures]


def _modules(package: ModuleType) -> list[str]:
    """The modules of a package, packages inside apart."""
    return [f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__)]


def _defined_in(path: str) -> list[str]:
    """Dotted paths of the public classes, functions and pytest fixtures that a module defines, in its order."""
    module = importlib.import_module(path)
    own = [
        name
        for name, each in vars(module).items()
        if not name.startswith("_") and getattr(each, "__module__", None) == path and _is_documented(each)
    ]
    return [f"{path}.{name}" for name in own]


def _is_documented(each: object) -> bool:
    return inspect.isclass(each) or inspect.isfunction(each) or _is_fixture(each)


def _is_fixture(each: object) -> bool:
    return type(each).__name__ == "FixtureFunctionDefinition"


def _object(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _directive(path: str) -> str:
    each = _object(path)
    if inspect.isclass(each):
        return f".. autoclass:: {path}\n   :members:\n   :show-inheritance:\n"
    if _is_fixture(each):
        doc = inspect.getdoc(each) or ""
        text = "".join(f"   {line}\n" if line else "\n" for line in doc.splitlines())
        return f".. py:function:: {path.rpartition('.')[2]}\n   :module: {path.rpartition('.')[0]}\n\n{text}"
    return f".. autofunction:: {path}\n"


def _heading(text: str, mark: str) -> str:
    return f"{text}\n{mark * len(text)}\n\n"


if __name__ == "__main__":
    sys.exit(main())
