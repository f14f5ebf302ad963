"""Path and content of a transcript file. The task writes the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_openai_realtime.calls.timeline.entries import TimelineEntry
from airflow_openai_realtime.calls.timeline.transcript import transcript_json, transcript_text
from airflow_openai_realtime.exceptions import InvalidInput

SUFFIXES = (".json", ".txt")


def check_transcript_path(value: object) -> str | None:
    """
    Check the path of a transcript.

    :param value: For example ``s3://aws_default@bucket/calls/`` or ``file:///data/call.txt``; ``None``, also as
        rendered text, or empty: no transcript is written.
    :raises InvalidInput: It is neither a folder (with ``/`` at its end) nor a ``.json`` or ``.txt`` file.
    """
    if value in (None, "", "None"):
        return None
    path = str(value).strip()
    if not path.endswith(("/", *SUFFIXES)):
        raise InvalidInput(
            f"transcript_path must end with {', '.join(SUFFIXES)} or, for a folder, with /; it is {path!r:.200}",
            field="transcript_path",
        )
    return path


def transcript_file(path: str, call_id: str) -> str:
    """
    Return the path of a call's transcript file.

    :param path: Path from :func:`check_transcript_path`; in a folder the file is named after the call.
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
