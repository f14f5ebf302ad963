"""Words and limits that several parts share, each defined once."""

from __future__ import annotations

LONGEST_CALL_SECONDS = 3600.0
"""OpenAI ends a session after 60 minutes. Source: https://developers.openai.com/api/docs/guides/realtime"""

LINE_HEADER = "OpenAI-Realtime-Line"
"""Header that names the line in a request to the switchboard."""

LONGEST_WAIT_SECONDS = 25.0
"""How long the switchboard may hold back the answer to a long poll."""
