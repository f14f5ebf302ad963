"""TwiML: what Twilio does with a call once the person has answered."""

from __future__ import annotations

import math
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from airflow_openai_realtime.exceptions import InvalidInput
from airflow_openai_realtime.outbound.carriers.port import DialRequest

MAX_SIP_URI_LENGTH = 254
# How long a person who has picked up hears ringback until a task accepts the call; Twilio's own default is 30.
_BRIDGE_SECONDS = 60


def bridge(request: DialRequest) -> str:
    """
    Return the TwiML that connects an answered call to OpenAI's SIP address.

    ``answerOnBridge`` keeps the person hearing ringback until OpenAI answers, and with the model until the target of a
    transfer answers; the time limit ends the bridged call. The correlation id travels as a header of the SIP call,
    percent-encoded.

    :param request: What was asked of the carrier.
    :raises InvalidInput: The SIP address with its header is 255 characters or longer.

    Source: https://www.twilio.com/docs/voice/twiml/sip and https://www.twilio.com/docs/voice/api/refer-to-twilio
    """
    joint = "&" if "?" in request.sip_uri else "?"
    uri = f"{request.sip_uri}{joint}{request.header_name}={quote(request.correlation_id, safe='')}"
    if len(uri) > MAX_SIP_URI_LENGTH:
        raise InvalidInput(
            f"sip_uri with its correlation header has {len(uri)} characters: Twilio takes at most {MAX_SIP_URI_LENGTH}",
            field="sip_uri",
        )
    limit = math.ceil(request.max_duration_seconds)
    refer = f" referUrl={quoteattr(request.refer_url)}" if request.refer_url else ""
    return (
        f'<Response><Dial answerOnBridge="true" timeout="{_BRIDGE_SECONDS}" timeLimit="{limit}"{refer}>'
        f"<Sip>{escape(uri)}</Sip></Dial></Response>"
    )
