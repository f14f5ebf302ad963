"""For tests with a client made up: what is asked reaches a method of it, instead of a request that is sent."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest


@dataclass(frozen=True)
class Asked:
    """What the code under test would have sent."""

    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Answers:
    """A client whose methods answer; what is no :class:`Asked` is an answer already."""

    def send(self, what: Any) -> Any:
        return getattr(self, what.method)(*what.args, **what.kwargs) if isinstance(what, Asked) else what

    async def asend(self, what: Any) -> Any:
        return await self.send(what)


def ask_methods(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **methods: str) -> None:
    """Let the functions that a module builds requests with name methods of :class:`Answers`."""
    for function, method in methods.items():
        assert callable(getattr(module, function))

        def asked(*args: Any, _method: str = method, **kwargs: Any) -> Asked:
            return Asked(_method, args, kwargs)

        monkeypatch.setattr(module, function, asked)
