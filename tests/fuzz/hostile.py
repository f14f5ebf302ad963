"""Hostile input: values, bodies, headers, paths and queries that no honest client sends."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

Headers = list[tuple[bytes, bytes]]

TEXTS = [
    "",
    " ",
    "rtc_1",
    "spring",
    "+14155550123",
    "a" * 300,
    "\x00",
    "\r\nSet-Cookie: x=1",
    "\ud800",
    "\udfff\ud800",
    "\u202e\ufeff\u0000",
    "\U0001d518\U0001f4a9",
    "'; DROP TABLE openai_realtime_call; --",
    "{{ var.value.secret }}",
    "%s%n%x",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "NaN",
    "null",
    "1042~1035-1039@1764000000123",
    "9" * 18,
    "~" * 50,
    "0~1-999@0" + "~1-999@0" * 40,
]
NUMBERS: list[Any] = [0, 1, -1, 2**31, 2**63, -(2**63) - 1, 10**100, 1e308, -0.0, 0.1, 603, float("nan"), float("inf")]
HEADER_NAMES = [b"openai-realtime-line", b"authorization", b"content-type", b"content-length", b"x-forwarded-for"]
HEADER_NAMES += [b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"expect", b"cookie", b"\xff\xfe", b""]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"]


class Hostile:
    """
    Makes input by chance.

    :param seed: The same seed makes the same input.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, share: float) -> bool:
        """Whether something happens this time."""
        return self.random.random() < share

    def text(self) -> str:
        """A text with all that a string can hold."""
        if self.chance(0.6):
            return self.random.choice(TEXTS)
        length = self.random.choice([1, 3, 20, 500])
        return "".join(chr(self.random.choice([0, 10, 39, 65, 255, 0xD800, 0x10FFFF, 0x4E2D])) for _ in range(length))

    def value(self, depth: int = 0) -> Any:
        """Anything that JSON can say."""
        kind = self.random.randrange(8 if depth < 4 else 5)
        if kind < 2:
            return self.text()
        if kind == 2:
            return self.random.choice(NUMBERS)
        if kind < 5:
            return self.random.choice([None, True, False])
        if kind < 7:
            return {self.text(): self.value(depth + 1) for _ in range(self.random.randrange(4))}
        return [self.value(depth + 1) for _ in range(self.random.randrange(4))]

    def of_schema(self, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
        """What a JSON schema asks for, more or less."""
        if self.chance(0.1):
            return self.value()
        if "$ref" in schema:
            return self.of_schema(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        if "anyOf" in schema:
            return self.of_schema(self.random.choice(schema["anyOf"]), definitions)
        if "enum" in schema or "const" in schema:
            return self.random.choice(schema.get("enum") or [schema["const"]])
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            required, all_of_it = schema.get("required", []), schema["properties"]
            chosen = [name for name in all_of_it if name in required or self.chance(0.4)]
            body = {name: self.of_schema(all_of_it[name], definitions) for name in chosen if not self.chance(0.03)}
            return {**body, self.text(): self.value()} if self.chance(0.1) else body
        if kind == "array":
            return [self.of_schema(schema.get("items", {}), definitions) for _ in range(self.random.randrange(4))]
        if kind == "string":
            return self.random.choice(["rtc_1", "me", "spring", "+14155550123", "2030-01-01T00:00:00Z", self.text()])
        if kind in ("integer", "number"):
            low, high = schema.get("minimum", 1), schema.get("maximum", 600)
            return self.random.choice([low, high, 1, 0.5, 603, self.random.choice(NUMBERS)])
        return self.value()

    def body(self, schema: Mapping[str, Any] | None = None) -> bytes:
        """A request's body: often JSON that a route could take, often broken, sometimes no JSON at all."""
        kind = self.random.random()
        if schema is not None and kind < 0.7:
            content = json.dumps(self.of_schema(schema, schema.get("$defs", {}))).encode()
        elif kind < 0.8:
            content = json.dumps(self.value()).encode()
        elif kind < 0.84:
            depth = self.random.choice([50, 1000, 100_000])
            content = self.random.choice([b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth])
        elif kind < 0.88:
            number = self.random.choice([b"9" * 5000, b"1e400", b"-1e-400", b"0x10", b"1" * 400])
            content = b'{"attempt":' + number + b"}"
        else:
            content = self.random.randbytes(self.random.choice([0, 1, 10, 1000, 70_000]))
        return self.broken(content) if self.chance(0.15) else content

    def broken(self, content: bytes) -> bytes:
        """Bytes with a few changed, missing or doubled."""
        changed = bytearray(content)
        for _ in range(self.random.randrange(1, 4)):
            place = self.random.randrange(len(changed) + 1)
            kind = self.random.randrange(3)
            if kind == 0:
                changed[place:place] = self.random.randbytes(self.random.randrange(1, 5))
            elif kind == 1:
                del changed[place : place + self.random.randrange(1, 20)]
            elif changed:
                changed[place % len(changed)] = self.random.randrange(256)
        return bytes(changed)

    def headers(self) -> Headers:
        """Headers besides those that a request needs; doubled, empty, long or of bytes that are no text."""
        found: Headers = []
        for _ in range(self.random.choice([0, 0, 1, 2, 5])):
            name = self.random.choice(HEADER_NAMES) if self.chance(0.7) else self.random.randbytes(5).lower()
            value = self.random.choice([b"", b"x", b"\xff\x00\xd8", b"a" * 5000, self.random.randbytes(20), b"9" * 30])
            found += [(name, value)] * self.random.choice([1, 1, 2])
        return found

    def segment(self) -> bytes:
        """A part of a path, as it goes over the wire."""
        odd = [b"%00", b"%ff%fe", b"..", b"%2e%2e%2f", b"a" * 300, b"+14155550123", b"%F0%9F%92%A9", b"", b"a/b/claim"]
        plain = [b"rtc_1", b"rtc_2", b"rtc_3", b"x"]
        return self.random.choice([*plain, *plain, *odd, self.random.randbytes(4).hex().encode()])

    def query(self, names: list[str]) -> bytes:
        """A query with some parameters, known ones and others."""
        parts = []
        for _ in range(self.random.choice([0, 1, 2, 4])):
            name = self.random.choice([*names, "x", "after", ""]).encode()
            odd = [b"-1", b"1e400", b"nan", b"9" * 40, b"%00", b"%ff", b"%ED%A0%80", b"a" * 2000, b"0~1-900@1", b"&=&"]
            plain = [b"0", b"1", b"0.01", b"all", b"ringing,claimed"]
            parts.append(name + b"=" + self.random.choice([*plain, *odd]))
        return b"&".join(parts)
