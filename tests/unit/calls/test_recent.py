"""Pages of recent calls as values, and merging those of several lines."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from tests.unit.switchboard.support import START

from airflow_openai_realtime.calls.call import SwitchboardCall
from airflow_openai_realtime.calls.recent import ConversationSummary, Place, RecentCall, RecentPage, merged
from airflow_openai_realtime.exceptions import InvalidInput


def a_recent(number: int, *, line: str = "support", state: str = "ended", minutes: float = 0) -> RecentCall:
    at = START - timedelta(minutes=minutes)
    return RecentCall(SwitchboardCall(f"rtc_{number}", line, state, at, at))


def page(*calls: RecentCall, more: bool = False) -> RecentPage:
    return RecentPage(calls, calls[-1].place if more else None)


def test_a_page_travels_as_json() -> None:
    call = RecentCall(a_recent(1).call, ConversationSummary("me", START, START, START, "completed", 7))
    sent = page(call, a_recent(2, minutes=1.000001), more=True)
    assert RecentPage.from_dict(sent.to_dict()) == sent
    assert RecentPage.from_dict(page(call).to_dict()) == page(call)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "\u00e4",
        base64.urlsafe_b64encode(b"[1.0]").decode(),
        base64.urlsafe_b64encode(b'["a","b","c"]').decode(),
        base64.urlsafe_b64encode(b'[1e300,"b","c"]').decode(),
        base64.urlsafe_b64encode(b'[NaN,"b","c"]').decode(),
        base64.urlsafe_b64encode(b'[1.0,"\\u0000","c"]').decode(),
        base64.urlsafe_b64encode(b"[" * 1000).decode(),
        "a" * 3000,
    ],
)
def test_a_cursor_that_no_switchboard_made_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="before must be a cursor"):
        Place.parse(text)


def test_pages_of_several_lines_are_merged_newest_first_with_live_calls_on_top() -> None:
    support = page(a_recent(1, state="accepted", minutes=9), a_recent(2, minutes=1), a_recent(3, minutes=5))
    sales = page(a_recent(4, line="sales", state="ringing"), a_recent(5, line="sales", minutes=2))
    both = merged([support, sales], 10)
    assert [each.call.call_id for each in both.calls] == ["rtc_4", "rtc_1", "rtc_2", "rtc_5", "rtc_3"]
    assert both.next is None


def test_where_one_line_goes_on_the_others_wait() -> None:
    """Else the next page would begin behind calls that no page has shown."""
    support = page(a_recent(1, minutes=1), a_recent(2, minutes=2), more=True)
    sales = page(a_recent(3, line="sales", minutes=1.5), a_recent(4, line="sales", minutes=9))
    both = merged([support, sales], 10)
    assert [each.call.call_id for each in both.calls] == ["rtc_1", "rtc_3", "rtc_2"]
    assert both.next == a_recent(2, minutes=2).place


def test_a_merged_page_is_no_longer_than_asked_for() -> None:
    both = merged([page(*(a_recent(number, minutes=number) for number in range(4))), page()], 2)
    assert [each.call.call_id for each in both.calls] == ["rtc_0", "rtc_1"]
    assert both.next == a_recent(1, minutes=1).place
