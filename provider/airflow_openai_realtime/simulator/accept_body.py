"""
Checks the body of *accept* the way OpenAI does, and says what is wrong in OpenAI's words.

The rules are the provider's own session models, so this cannot find a mistake in them; OpenAI's SDK judges those
elsewhere. The real API was also seen to take a wrong body with 200 and then let the call die: that is a fault to be
set, ``faults.dead_session()``.
"""

from __future__ import annotations

from typing import Any

from airflow_openai_realtime.simulator.refusals import Refusal, missing_parameter


def check_accept_body(body: Any) -> dict[str, Any]:
    """
    The session that a call is accepted with.

    :param body: The parsed JSON body.
    :raises Refusal: 400 with the path of the first field that is wrong.

    Source: https://developers.openai.com/api/reference/resources/realtime/subresources/calls/methods/accept
    """
    # Imported late: building the models takes a while, and a simulator that only rings phones needs none.
    from airflow_openai_realtime.api.session.realtime_session import RealtimeSession

    if not isinstance(body, dict):
        raise Refusal(400, "invalid_type", "The body is not a JSON object.")
    if "type" not in body:
        raise missing_parameter("type")
    if "extra_fields" in body:  # a field of our models, not of OpenAI's
        raise _refusal("extra_fields", "unknown field")
    for path, text in RealtimeSession.problems_in(body):
        raise _refusal(path, text)
    return body


def _refusal(path: str, text: str) -> Refusal:
    if text.startswith("unknown field"):
        return Refusal(400, "unknown_parameter", f"Unknown parameter: '{path}'.", param=path)
    if text.startswith("is missing"):
        return missing_parameter(path)
    return Refusal(400, "invalid_value", f"Invalid value for '{path}': {text}.", param=path)
