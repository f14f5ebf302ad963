"""Audio is heard one response after the other, to its end or until it is cleared."""

from __future__ import annotations

import pytest

from airflow_openai_realtime.simulator.clock import Clock
from airflow_openai_realtime.simulator.playback import Playback


class Heard:
    """A playback, and what came of it."""

    def __init__(self) -> None:
        self.clock = Clock(speed=0, settle_seconds=0)
        self.events: list[str] = []
        self.playback = Playback(
            lambda event: self.events.append(f"{event['type'].rpartition('.')[2]} {event['response_id']}"),
            self.clock.call_later,
            lambda: self.events.append("(begins)"),
            lambda: self.events.append("(drained)"),
        )

    def take(self) -> list[str]:
        events, self.events = self.events, []
        return events


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_response_is_heard_for_as_long_as_it_takes_to_say(heard: Heard) -> None:
    heard.playback.play("resp_1", 2.0)
    assert (heard.take(), heard.playback.playing) == (["started resp_1", "(begins)"], "resp_1")
    heard.clock.advance(1.9)
    assert heard.take() == []
    heard.clock.advance(0.1)
    assert (heard.take(), heard.playback.playing) == (["stopped resp_1", "(drained)"], None)


def test_the_next_one_waits_and_only_the_last_one_drains(heard: Heard) -> None:
    heard.playback.play("resp_1", 1.0)
    heard.playback.play("resp_2", 1.0)
    heard.clock.advance(1.0)
    assert heard.take() == ["started resp_1", "(begins)", "stopped resp_1", "started resp_2", "(begins)"]
    heard.clock.advance(1.0)
    assert heard.take() == ["stopped resp_2", "(drained)"]


def test_what_is_cleared_is_cut_off_with_all_that_waited(heard: Heard) -> None:
    heard.playback.play("resp_1", 5.0)
    heard.playback.play("resp_2", 5.0)
    heard.take()
    assert heard.playback.clear()
    assert heard.take() == ["cleared resp_1", "(drained)"]
    heard.clock.advance(60)
    assert heard.take() == []
    assert not heard.playback.clear()
    assert heard.take() == []


def test_the_end_of_the_call_is_silent(heard: Heard) -> None:
    heard.playback.stop()
    heard.playback.play("resp_1", 5.0)
    heard.take()
    heard.playback.stop()
    heard.clock.advance(60)
    assert (heard.take(), heard.playback.playing) == ([], None)


def test_after_a_clearing_it_plays_again(heard: Heard) -> None:
    heard.playback.play("resp_1", 5.0)
    heard.playback.play("resp_2", 5.0)
    heard.playback.clear()
    heard.take()
    heard.playback.play("resp_3", 1.0)
    heard.clock.advance(5)
    assert heard.take() == ["started resp_3", "(begins)", "stopped resp_3", "(drained)"]
