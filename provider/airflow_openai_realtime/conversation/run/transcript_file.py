"""Where the transcript of a call is kept, and how it looks there; writing it is the task's."""

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
    Check where a transcript is to be kept.

    :param value: For example ``s3://aws_default@bucket/calls/`` or ``file:///data/call.txt``; ``None``, also as
        the text that a template makes of it, or empty: nowhere.
    :raises InvalidInput: It is neither a folder (it ends with ``/``) nor a file of a kind that is written.
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
    Return the file of a call's transcript.

    :param path: As :func:`check_transcript_path` returns it; in a folder the file is named after the call.
    :param call_id: The call.
    """
    return f"{path}{call_id}.json" if path.endswith("/") else path


def transcript_content(path: str, result: Mapping[str, Any], entries: Iterable[TimelineEntry]) -> str:
    """
    Return what stands in the file: a text to read, or JSON with the result.

    :param path: The file.
    :param result: What came of the call.
    :param entries: What happened in it.
    """
    if path.endswith(".txt"):
        return transcript_text(entries)
    whole = {"call_id": result["call_id"], "outcome": result["outcome"], "transcript": transcript_json(entries)}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
