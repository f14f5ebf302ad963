"""Where a secret is compared with untrusted input, the time that takes reveals nothing about it."""

from __future__ import annotations

import ast
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.switchboard.support import OTHER_SECRET, Switchboard

import airflow_openai_realtime
from airflow_openai_realtime.calls.tokens import derived_token

PACKAGE = Path(airflow_openai_realtime.__file__).parent
WORDS = ("token", "secret", "signature", "password", "api_key", "expected", "digest", "hmac")

# Comparisons that have to do with such words, and why they tell nothing.
HARMLESS = {
    "api/settings.py: parts.path != expected": "a path of ours",
    "switchboard/server/intake/line_directory.py: name in self._expected": "names of lines",
    "switchboard/server/process/serve.py: 'target' in inspect.signature(Multiprocess).parameters": "another signature",
    "switchboard/server/routes/webhook_route.py: reread.webhook_secrets == line.webhook_secrets": "both are ours",
}


def comparisons() -> Iterator[str]:
    """Every ``==``, ``!=``, ``in`` and ``not in`` of something named like a secret, in code that serves strangers."""
    for path in sorted((PACKAGE / "api").glob("*.py")) + sorted((PACKAGE / "switchboard").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare):
                continue
            if not any(isinstance(kind, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for kind in node.ops):
                continue
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
            if any(word in name.lower() for name in names for word in WORDS):
                yield f"{path.relative_to(PACKAGE)}: {ast.unparse(node)}"


def test_no_secret_is_compared_by_an_operator() -> None:
    found = set(comparisons())
    assert found - set(HARMLESS) == set(), "use hmac.compare_digest, or say above why it tells nothing"
    assert set(HARMLESS) <= found, "not there any more"


async def test_signature_and_token_are_compared_in_constant_time(
    switchboard: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    assert (await switchboard.deliver(1)).status_code == 200
    assert (await switchboard.deliver(2, secret=OTHER_SECRET)).status_code == 401
    assert [len(one) == len(other) == 44 for one, other in compared] == [True] * len(compared) != []
    compared.clear()
    wrong = derived_token(OTHER_SECRET)
    assert (await switchboard.http.get("/v1/status", headers={"Authorization": f"Bearer {wrong}"})).status_code == 401
    assert wrong.encode() in {part for pair in compared for part in pair}
