from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow_openai_realtime.calls.timeline.summary import Gaps

START = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_gaps_add_up() -> None:
    gaps = Gaps()
    gaps.attached(at(10), 2.5)
    gaps.attached(at(20), 0.4)
    assert gaps.seconds == 2.9


def test_who_attaches_without_a_gap_adds_none() -> None:
    gaps = Gaps()
    gaps.attached(at(10), 0)
    assert gaps.seconds == 0


def test_a_gap_that_two_tell_of_counts_once() -> None:
    gaps = Gaps()
    gaps.attached(at(12.3), 2.3, "lease_1")
    gaps.attached(at(12.5), 2.5)
    assert gaps.seconds == 2.5


def test_a_gap_within_another_counts_once_whichever_is_told_first() -> None:
    gaps = Gaps()
    gaps.attached(at(20), 10)
    gaps.attached(at(15), 2)
    gaps.attached(at(30), 3)
    assert gaps.seconds == 13


def test_what_the_switchboard_heard_is_no_gap() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.attached(at(40), 30)
    assert gaps.seconds == 30
    gaps.heard(at(39))
    assert gaps.seconds == 3
    gaps.heard(at(43))
    assert gaps.seconds == 2


def test_what_the_switchboard_heard_before_it_was_attached_again_is_not_known() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.attached(at(60), 5, "lease_2")
    gaps.heard(at(20))
    assert gaps.seconds == 7


def test_a_holder_that_was_there_all_the_time_has_missed_nothing() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.attached(at(16), 1, "lease_1")
    gaps.attached(at(42), 2, "lease_2")
    gaps.not_missed(at(17), "lease_1")
    assert gaps.seconds == 2


def test_a_holder_that_was_there_but_lost_its_socket_has_missed_what_nobody_heard() -> None:
    gaps = Gaps()
    gaps.attached(at(12), 2, "lease_1")
    gaps.heard(at(16))
    gaps.attached(at(16.5), 6.5)
    gaps.not_missed(at(17), "lease_1")
    assert gaps.seconds == 2.5


def test_what_was_missed_when_the_switchboard_had_long_stopped_counts_whatever_was_heard_since() -> None:
    for relieved in (lambda gaps: gaps.attached(at(15), 0), lambda gaps: gaps.not_missed(at(15), "lease_1")):
        gaps = Gaps()
        gaps.attached(at(12), 0, "lease_1")
        relieved(gaps)
        gaps.attached(at(30), 5)
        gaps.heard(at(60))
        assert gaps.seconds == 5


def test_an_older_word_of_how_long_the_switchboard_listened_changes_nothing() -> None:
    gaps = Gaps()
    gaps.heard(at(20))
    gaps.heard(at(10))
    gaps.heard(None)
    assert gaps.heard_until == at(20)
