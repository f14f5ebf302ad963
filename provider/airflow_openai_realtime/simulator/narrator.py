"""Tells what happens in one readable line each, with phone numbers masked."""

from __future__ import annotations

from collections import defaultdict

from airflow_openai_realtime.api.phone_numbers import mask_number, mask_numbers
from airflow_openai_realtime.simulator.log import LogEntry

_WORDS = {
    "phone.dialed": "phone {number}: dialed",
    "phone.ringing": "phone {number}: rings",
    "phone.calls_in": "phone {number}: calls {to}",
    "phone.talking": "phone {number}: talks",
    "phone.hung_up": "phone {number}: hangs up",
    "phone.free": "phone {number}: free again",
    "carrier.queued": "carrier: call to {number} queued",
    "carrier.ringing": "carrier: call to {number} rings",
    "carrier.in-progress": "carrier: call to {number} answered",
    "carrier.bridge_failed": "carrier: call to {number} cannot be bridged: {why}",
    "carrier.completed": "carrier: call to {number} completed",
    "carrier.busy": "carrier: call to {number} busy",
    "carrier.no-answer": "carrier: call to {number} not answered",
    "carrier.canceled": "carrier: call to {number} canceled",
    "carrier.failed": "carrier: call to {number} failed",
    "openai.ringing": "OpenAI: call with {number} rings",
    "openai.accepted": "OpenAI: call with {number} accepted, model {model}",
    "openai.rejected": "OpenAI: call with {number} rejected, SIP {sip_status}",
    "openai.missed": "OpenAI: call with {number} missed, ended by {ended_by}",
    "openai.referred": "OpenAI: call with {number} to be transferred to {target_uri}",
    "openai.refer_lost": "OpenAI: transfer of {number} comes to nothing: {why}",
    "openai.ended": "OpenAI: call with {number} over, ended by {ended_by} after {talked_seconds} s",
    "transfer.talking": "phone {number}: talks with {target}",
    "transfer.failed": "phone {number}: transfer to {target} failed, {why}",
    "webhook.delivered": "webhook: delivered to {to}, attempt {attempt}, answer {answer}",
    "webhook.failed": "webhook: attempt {attempt} to {to} failed, {answer}",
    "webhook.given_up": "webhook: given up",
    "webhook.nobody": "webhook: not sent, {why}",
    "sideband.attached": "sideband: attached to the call with {number}",
    "sideband.detached": "sideband: detached",
    "session.said": "{speaker} in the call with {number}: {text}",
    "session.pressed": "phone {number}: presses {key}",
    "session.transcribed": "transcript of the call with {number}: {status}",
    "session.interrupted": "the model is interrupted by {number}",
    "session.tool_called": "the model calls {name} with {arguments}",
    "session.tool_answered": "{name} answered: {output}",
    "session.tool_missing": "the model would call {name}, but the session offers no such tool",
    "session.item_added": "the conversation with {number} gets an item of ours",
    "session.idle_timeout": "the model speaks because {number} is silent",
    "session.error": "OpenAI: session with {number} has an error, {code}",
    "session.socket_broken": "sideband: broken off",
}


def tell(entry: LogEntry) -> str:
    """
    One line about a log entry.

    :param entry: What happened.
    :return: For example ``09:30:01 phone +1***0123: rings``; no secret, no whole phone number.
    """
    number = mask_number(entry.number) if entry.number else "?"
    values = {name: mask_numbers(str(value)) for name, value in entry.detail.items()}
    words = _WORDS.get(entry.kind)
    if words is None:
        details = ", ".join(f"{name} {value}" for name, value in values.items() if name != "key_sent")
        text = f"{entry.kind.replace('.', ': ')} {details}".strip()
    else:
        text = words.format_map(defaultdict(lambda: "?", values, number=number))
    call = f"  [{entry.call_id}]" if entry.call_id else ""
    return f"{entry.at:%H:%M:%S} {text}{call}"
