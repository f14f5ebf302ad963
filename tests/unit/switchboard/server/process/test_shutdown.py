"""Hearing that the process is to end."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from airflow_openai_realtime.switchboard.server.process.shutdown import on_termination


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_before_the_handler_that_was_there(number: int) -> None:
    heard: list[str] = []
    former = signal.signal(number, lambda *_: heard.append("former"))
    try:
        with on_termination(lambda: heard.append("ours")):
            os.kill(os.getpid(), number)
        assert heard == ["ours", "former"]
        os.kill(os.getpid(), number)
        assert heard == ["ours", "former", "former"]
    finally:
        signal.signal(number, former)


def test_a_handler_that_somebody_else_has_set_meanwhile_stays() -> None:
    before, later = signal.getsignal(signal.SIGTERM), lambda *_: None
    try:
        with on_termination(lambda: None):
            signal.signal(signal.SIGTERM, later)
        assert signal.getsignal(signal.SIGTERM) is later
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_nothing_is_touched() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with on_termination(lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
