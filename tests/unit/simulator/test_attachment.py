"""A client's queue of events is filled from any thread, and read in the loop of its socket."""

from __future__ import annotations

import asyncio

from airflow_openai_realtime.simulator.attachment import Attachment


async def test_events_of_another_thread_come_in_their_order() -> None:
    attachment = Attachment(asyncio.get_running_loop())
    for number in range(3):
        await asyncio.to_thread(attachment.put, {"type": "x", "number": number})
    attachment.put(None)
    found = [await asyncio.wait_for(attachment.get(), 30) for _ in range(4)]
    assert found == [{"type": "x", "number": 0}, {"type": "x", "number": 1}, {"type": "x", "number": 2}, None]
    assert not attachment.broken


async def test_a_socket_that_breaks_off_has_first_what_was_handed_over() -> None:
    attachment = Attachment(asyncio.get_running_loop())
    attachment.put({"type": "x"})
    attachment.break_off()
    assert attachment.broken
    assert await asyncio.wait_for(attachment.get(), 30) == {"type": "x"}
    assert await asyncio.wait_for(attachment.get(), 30) is None


def test_after_its_loop_is_closed_nothing_is_raised() -> None:
    loop = asyncio.new_event_loop()
    attachment = Attachment(loop)
    loop.close()
    attachment.put({"type": "x"})
    attachment.break_off()
    assert attachment.broken
