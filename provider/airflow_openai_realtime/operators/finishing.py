"""What a task does with a call that is over: keep the transcript, tell Airflow's assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_openai_realtime.calls.timeline.entries import TimelineEntry


def keep_transcript(path: str, result: Mapping[str, Any], entries: Iterable[TimelineEntry]) -> str:
    """
    Write the transcript of a call.

    :param path: Where to, checked: for example ``s3://aws_default@bucket/calls/``.
    :param result: What came of the call.
    :param entries: What happened in it.
    :return: The file.

    Retries: the same file is written again.
    """
    from airflow.sdk import ObjectStoragePath

    from airflow_openai_realtime.calls.timeline.transcript import transcript_content, transcript_file

    file = transcript_file(path, str(result["call_id"]))
    target = ObjectStoragePath(file)
    if target.protocol in ("", "file"):
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        stream.write(transcript_content(file, result, entries).encode())
    return file


def tell_assets(outlets: Iterable[Any], outlet_events: Any, result: Mapping[str, Any]) -> None:
    """
    Say on the event of each asset among a task's outlets which call is over and how; nothing personal.

    :param outlets: The task's outlets.
    :param outlet_events: The context's; ``None`` where there is none.
    :param result: What came of the call.
    """
    if outlet_events is None:
        return
    about = {name: result.get(name) for name in ("call_id", "line", "outcome")}
    for outlet in outlets:
        if isinstance(outlet, Asset):
            outlet_events[outlet].extra = about
