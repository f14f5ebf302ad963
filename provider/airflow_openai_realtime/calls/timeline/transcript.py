"""The transcript of a call, as text and as JSON, from its timeline; and the file that a task writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.states import EntryKind, Note

_SPEAKERS = {EntryKind.CALLER: "Caller", EntryKind.AGENT: "Agent"}


def transcript_json(entries: Iterable[TimelineEntry]) -> list[dict[str, Any]]:
    """
    Return the events of a call in the order in which they happened.

    :param entries: Its timeline.
    :return: For each event ``at`` (ISO 8601, UTC), ``kind`` (``caller, agent, key, tool, error``) and its details:
        ``text`` (``None``: not understood), ``interrupted``, ``key``, ``name`` and ``status``, ``code`` and
        ``message``. The caller's words come from a separate transcription model.
    """
    ordered = sorted(entries, key=lambda entry: entry.at)
    interrupted = {entry.body.get("response_id") for entry in ordered if entry.body.get("what") == Note.INTERRUPTED}
    rows = []
    for entry in ordered:
        row = _row(entry, interrupted)
        if row is not None:
            rows.append({"at": entry.at.isoformat(), **row})
    return rows


def transcript_text(entries: Iterable[TimelineEntry]) -> str:
    """
    Return the transcript as readable text: one line for each event, with minutes and seconds since the first.

    :param entries: The timeline.
    """
    rows = transcript_json(entries)
    if not rows:
        return ""
    began_at = datetime.fromisoformat(rows[0]["at"])
    return "".join(f"{_clock(began_at, row['at'])} {_line(row)}\n" for row in rows)


def transcript_file(path: str, call_id: str) -> str:
    """
    Return the path of a call's transcript file.

    :param path: A ``.json`` or ``.txt`` file, or a folder (ends with ``/``), in which the file is named after the call.
    :param call_id: OpenAI's id of the call.
    """
    return f"{path}{call_id}.json" if path.endswith("/") else path


def transcript_content(path: str, result: Mapping[str, Any], entries: Iterable[TimelineEntry]) -> str:
    """
    Return the content of the file: readable text, or JSON with the outcome.

    :param path: Path of the file; its suffix selects the format.
    :param result: Result of the call.
    :param entries: Timeline of the call.
    """
    if path.endswith(".txt"):
        return transcript_text(entries)
    whole = {"call_id": result["call_id"], "outcome": result["outcome"], "transcript": transcript_json(entries)}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _row(entry: TimelineEntry, interrupted: set[Any]) -> dict[str, Any] | None:
    body = entry.body
    if entry.kind == EntryKind.CALLER:
        return {"kind": "caller", "text": body.get("text")}
    if entry.kind == EntryKind.AGENT:
        return {"kind": "agent", "text": body.get("text"), "interrupted": body.get("response_id") in interrupted}
    if entry.kind == EntryKind.KEY:
        return {"kind": "key", "key": body.get("key")}
    if entry.kind == EntryKind.TOOL_RESULT:
        return {"kind": "tool", "name": body.get("name"), "status": body.get("status")}
    if entry.kind == EntryKind.ERROR:
        return {"kind": "error", "code": body.get("code"), "message": body.get("message")}
    return None


def _line(row: dict[str, Any]) -> str:
    kind = row["kind"]
    if kind in _SPEAKERS:
        words = " ".join(str(row["text"]).split()) if row["text"] is not None else "(not understood)"
        return f"{_SPEAKERS[kind]}: {words}{' (interrupted)' if row.get('interrupted') else ''}"
    if kind == "key":
        return f"Key pressed: {row['key']}"
    if kind == "tool":
        return f"Tool {row['name']}: {row['status']}"
    return f"Error {row['code']}: {row['message']}"


def _clock(began_at: datetime, at: str) -> str:
    seconds = max(0, int((datetime.fromisoformat(at) - began_at).total_seconds()))
    return f"[{seconds // 60:02d}:{seconds % 60:02d}]"
