"""
Write ``provider.yaml``, which Airflow's registry reads, from what Airflow itself reads: ``provider_info.py``.

The registry's extractor works on a source tree without importing it: it looks for ``provider.yaml`` beside
``pyproject.toml``, and for the logo in ``docs/integration-logos/``. It also wants the stage of the provider's life, its
state and the day of its latest release, which Airflow does not read at run time.

Source: https://github.com/apache/airflow/blob/main/dev/registry/extract_metadata.py
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from airflow_openai_realtime.provider_info import get_provider_info

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "provider.yaml"
LOGOS = "/docs/integration-logos/"
HEADER = "# Made by `python -m scripts.write_provider_yaml` from provider_info.py; `make lint` compares the two.\n"
# Stages of a provider by AIP-95: incubation, production, mature, deprecated.
LIFECYCLE = "incubation"


def released_on(changelog: str, version: str) -> datetime.date:
    """
    The day of a release.

    :param changelog: Text of the changelog.
    :param version: Version, as its heading has it.
    :return: The date in the heading.
    :raises SystemExit: There is no such heading.
    """
    found = re.search(rf"^## {re.escape(version)} - (\d{{4}}-\d\d-\d\d)$", changelog, re.MULTILINE)
    if found is None:
        raise SystemExit(f"CHANGELOG.md has no heading '## {version} - YYYY-MM-DD'")
    return datetime.date.fromisoformat(found[1])


def provider_yaml(info: dict[str, Any], released: datetime.date) -> dict[str, Any]:
    """
    What the registry reads.

    :param info: What Airflow reads.
    :param released: Day of the latest release.
    :return: A dict that is valid against Airflow's ``provider.yaml.schema.json``.
    """
    midnight = datetime.datetime.combine(released, datetime.time(), datetime.timezone.utc)
    head = {
        "package-name": info["package-name"],
        "name": info["name"],
        "description": info["description"],
        "state": "ready",
        "lifecycle": LIFECYCLE,
        "build-system": "hatchling",
        "source-date-epoch": int(midnight.timestamp()),
    }
    integrations = [
        {**each, "logo": f"{LOGOS}{each['integration-name'].replace(' ', '-')}.svg", "how-to-guide": ["/docs/guide.md"]}
        for each in info["integrations"]
    ]
    return {**head, **{key: value for key, value in info.items() if key not in head}, "integrations": integrations}


def text() -> str:
    """The file's text, as it should be."""
    info = get_provider_info()
    released = released_on((ROOT / "CHANGELOG.md").read_text(), info["versions"][0])
    return HEADER + yaml.safe_dump(provider_yaml(info, released), sort_keys=False, allow_unicode=True, width=120)


def main() -> int:
    """Write the file, or say whether it is current; the exit status is 1 when it is not."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file differs")
    if not parser.parse_args().check:
        TARGET.write_text(text())
        return 0
    if not TARGET.exists() or TARGET.read_text() != text():
        print("provider.yaml is not what provider_info.py gives: run `.venv/bin/python -m scripts.write_provider_yaml`")
        return 1
    print("provider.yaml: as provider_info.py says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
