"""Settings of a switchboard; the defaults suit a ringing phone."""

from __future__ import annotations

from dataclasses import dataclass, fields

from airflow_openai_realtime.exceptions import ConfigurationError
from airflow_openai_realtime.states import LONGEST_CALL_SECONDS

MOST_DAYS = 36_500

DAYS = ("retention_days", "transcript_days", "ledger_retention_days")

CONFIGURABLE = ("ring_seconds", *DAYS, "standby_after_seconds")
"""Settings that the operator of a switchboard can set; all are numbers."""


@dataclass(frozen=True)
class SwitchboardSettings:
    """
    Settings of one switchboard; all numbers are above 0, but for the days of retention and ``standby_after_seconds``.

    :param ring_seconds: How long after OpenAI's event a call counts as ringing. The real limit is not published; it is
        what the carrier waits, often 30 to 60 s.
    :param claim_seconds: How long a claim keeps a ringing call from others while no accept of it is announced; longer
        when the call had been ringing for longer before it was claimed.
    :param claim_grace_seconds: How long past that a claimed call may still be accepted before it counts as missed.
    :param default_max_duration_seconds: For a call that is said to be accepted without a duration.
    :param reaper_interval_seconds: How often overdue calls are looked for.
    :param reaper_lease_seconds: How long one worker may take to hang up a call before another tries as well. Short,
        since a worker may die in between, and a second hang-up does no harm.
    :param reaper_backoff_seconds: The longest pause between two tries to hang up a call.
    :param reaper_concurrency: How many calls of one line a worker hangs up at once.
    :param order_sweep_seconds: How often calls are looked for that a standing order should have answered: fallbacks
        that are due, and what a dead worker left.
    :param order_lease_seconds: How long a worker may be silent about a call that it answers for a standing order before
        another one does.
    :param order_concurrency: How many calls of one line a worker answers at once.
    :param standby_after_seconds: Seconds without a sign of life after which the process of a conversation counts as
        silent, so that the switchboard listens to the call meanwhile; at least 1, or 0: it never listens.
    :param standby_look_seconds: How often such conversations are looked for.
    :param standby_write_seconds: How often a worker writes what it hears in their place, and renews its leases.
    :param standby_lease_seconds: How long a worker may be silent about a call that it listens to before another does.
    :param standby_rest_seconds: How long no worker tries to listen to a call whose socket has ended.
    :param standby_concurrency: How many calls a worker listens to at once.
    :param long_poll_seconds: The longest wait of a long poll.
    :param long_poll_limit: How many polls may wait at once in one worker.
    :param feed_poll_seconds: How often a worker looks for changes by other workers while a long poll waits.
    :param max_body_bytes: The largest request body.
    :param body_seconds: How long a webhook's body may take to arrive.
    :param intake_queue_limit: How many deliveries may wait for the store in one worker.
    :param intake_batch_limit: How many deliveries are committed together at most.
    :param intake_timeout_seconds: How long a delivery waits for its commit before it is answered with 503.
    :param store_threads: How many requests of one worker use the store at once.
    :param line_cache_seconds: How long a line's settings are used before they are read again.
    :param line_reread_seconds: The shortest pause between two reads of a line that a wrong signature causes.
    :param retention_days: How long calls that are over are kept, with their rows in the feed, and the numbers in the
        ledger, in days; at least 1, or 0: without a limit.
    :param transcript_days: How long timelines and results of calls are kept, in days; at least 1, or 0: as long as the
        calls.
    :param ledger_retention_days: How long the ledger keeps an attempt after its last change, in days; at least 1, or
        0: without a limit. A deleted attempt can be made again: the phone rings again.
    :param retention_interval_seconds: How often old rows are looked for.
    :param retention_batch: How many rows are deleted in one transaction.
    :raises ConfigurationError: A value is out of range.
    """

    ring_seconds: float = 60.0
    claim_seconds: float = 10.0
    claim_grace_seconds: float = 60.0
    default_max_duration_seconds: float = 600.0
    reaper_interval_seconds: float = 1.0
    reaper_lease_seconds: float = 3.0
    reaper_backoff_seconds: float = 30.0
    reaper_concurrency: int = 200
    order_sweep_seconds: float = 0.5
    order_lease_seconds: float = 2.0
    order_concurrency: int = 100
    standby_after_seconds: float = 2.0
    standby_look_seconds: float = 0.5
    standby_write_seconds: float = 1.0
    standby_lease_seconds: float = 3.0
    standby_rest_seconds: float = 30.0
    standby_concurrency: int = 200
    long_poll_seconds: float = 25.0
    long_poll_limit: int = 1000
    feed_poll_seconds: float = 0.05
    max_body_bytes: int = 1024 * 1024
    body_seconds: float = 10.0
    intake_queue_limit: int = 10_000
    intake_batch_limit: int = 200
    intake_timeout_seconds: float = 5.0
    store_threads: int = 8
    line_cache_seconds: float = 30.0
    line_reread_seconds: float = 5.0
    retention_days: float = 30.0
    transcript_days: float = 0.0
    ledger_retention_days: float = 0.0
    retention_interval_seconds: float = 3600.0
    retention_batch: int = 500

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if setting.name in DAYS:
                if not (value == 0 or 1 <= value <= MOST_DAYS):
                    raise ConfigurationError(f"{setting.name} must be 0 (see its description) or 1 to {MOST_DAYS:,}")
            elif setting.name == "standby_after_seconds":
                if not (value == 0 or 1 <= value <= LONGEST_CALL_SECONDS):
                    raise ConfigurationError(f"{setting.name} must be 0 (off) or 1 to {LONGEST_CALL_SECONDS:g}")
            elif not value > 0:
                raise ConfigurationError(f"{setting.name} must be above 0")
        if self.default_max_duration_seconds > LONGEST_CALL_SECONDS:
            raise ConfigurationError(f"default_max_duration_seconds must be at most {LONGEST_CALL_SECONDS:g}")
