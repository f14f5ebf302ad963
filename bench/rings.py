"""Phones that ring at the simulated OpenAI, and how long each waited for its accept request."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from airflow_openai_realtime.simulator.phones import PhoneScript
from airflow_openai_realtime.simulator.server import Simulator

RINGING, ACCEPTED = "openai.ringing", "openai.accepted"


@dataclass(frozen=True)
class Waits:
    """
    What became of some calls.

    :param ms: How long each of those that were accepted rang, in milliseconds, from the moment at which OpenAI sends
        the webhook to the moment at which the accept request is there.
    :param unanswered: Ids of those that were not accepted.
    """

    ms: Sequence[float]
    unanswered: Sequence[str]

    @classmethod
    def of(cls, simulator: Simulator, call_ids: Collection[str]) -> Waits:
        """Of these calls, as things are now."""
        entries = simulator.log.entries
        rang = {entry.call_id: entry.at for entry in entries if entry.kind == RINGING}
        accepted = {entry.call_id: entry.at for entry in entries if entry.kind == ACCEPTED}
        ms = [(accepted[each] - rang[each]).total_seconds() * 1000 for each in call_ids if each in accepted]
        return cls(ms, [each for each in call_ids if each not in accepted])

    @classmethod
    def when_answered(cls, simulator: Simulator, call_ids: Collection[str], most_seconds: float) -> Waits:
        """Of these calls once all are answered, or after this time."""
        until = time.monotonic() + most_seconds
        while (waits := cls.of(simulator, call_ids)).unanswered and time.monotonic() < until:
            time.sleep(0.2)
        return waits


def ring(simulator: Simulator, amount: int, every_seconds: float, to_number: str) -> list[str]:
    """Let people call evenly, and talk until they are hung up on; returns the ids of the calls."""
    script = PhoneScript.talks_for_ever()
    begun = time.monotonic()
    made = []
    for number in range(amount):
        time.sleep(max(0.0, begun + number * every_seconds - time.monotonic()))
        made.append(simulator.call_in(f"+1415556{number:04}", to_number, script=script))
    return made
