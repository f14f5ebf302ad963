"""
What Airflow reads about this provider: its modules, connection forms and configuration options.

Connection forms are declared here, not built in the hooks, so that no form library is imported.

Source: https://airflow.apache.org/docs/apache-airflow-providers/howto/create-custom-providers.html
"""

from __future__ import annotations

from typing import Any

from airflow_openai_realtime import __version__

_PACKAGE = "airflow_openai_realtime"
_INTEGRATION = "OpenAI Realtime"


def get_provider_info() -> dict[str, Any]:
    """
    Describe this provider to Airflow.

    :return: A dict that is valid against Airflow's ``provider_info.schema.json``.
    """
    return {
        "package-name": "airflow-provider-openai-realtime",
        "name": _INTEGRATION,
        "description": "Phone calls handled by an AI voice: `OpenAI's Realtime API over SIP "
        "<https://developers.openai.com/api/docs/guides/voice-sip>`__.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://developers.openai.com/api/docs/guides/voice-sip",
                "tags": ["service"],
            }
        ],
        "hooks": _modules("hooks.realtime", "hooks.telephony_carrier"),
        "operators": _modules(
            "operators.accept",
            "operators.refer",
            "operators.reject",
            "operators.hang_up",
            "operators.place",
            "operators.watch",
            "operators.claim",
            "operators.line",
        ),
        "sensors": _modules("sensors.incoming_call"),
        "triggers": _modules(
            "triggers.incoming_call_event", "triggers.live_call", "triggers.take_call", "triggers.wait_for_call"
        ),
        "extra-links": [f"{_PACKAGE}.operators.call_link.CallLink"],
        "connection-types": [_openai_realtime(), _telephony_carrier()],
        "config": _config(),
    }


# Airflow's form shows fields in sections that are closed at first; the name of one says that it must be opened.
_NEEDED_REALTIME = "Needed: switchboard and webhook secret"
_NEEDED_CARRIER = "Needed: caller number and OpenAI project"


def _modules(*names: str) -> list[dict[str, Any]]:
    return [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}]


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _openai_realtime() -> dict[str, Any]:
    return {
        "connection-type": "openai_realtime",
        "hook-class-name": f"{_PACKAGE}.hooks.realtime.RealtimeHook",
        "hook-name": "OpenAI Realtime (calls)",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "login", "port"],
            "relabeling": {"password": "API key", "host": "Base URL"},
            "placeholders": {
                "password": "sk-… key of the project that the SIP trunk points to",
                "host": "empty for OpenAI; https://…/openai/v1 for Azure; the simulator's …/v1",
                "webhook_secret": "whsec_…",
                "switchboard_url": "https://airflow.example.com/openai-realtime",
                "region": "us, eu, …",
            },
        },
        "conn-fields": {
            "switchboard_url": _field(
                "Switchboard URL",
                "Where tasks and triggers reach the switchboard: Airflow's own address followed by "
                "/openai-realtime, or the address of a switchboard of its own. Needed by all but hanging up.",
                format="url",
                section=_NEEDED_REALTIME,
            ),
            "webhook_secret": _field(
                "Webhook secret",
                "Signing secret of the project's webhook. While it is being replaced: old and new, "
                "separated by a space. Needed where the switchboard is mounted in Airflow.",
                format="password",
                section=_NEEDED_REALTIME,
            ),
            "switchboard_token": _field(
                "Switchboard token",
                "Bearer token of the switchboard's private API. Empty: derived from the webhook secret.",
                format="password",
            ),
            "line": _field(
                "Line",
                "Name of this line at a switchboard of its own. Empty: the connection id.",
            ),
            "region": _field("Region", "Region of the OpenAI project; empty for the default. Not with a base URL."),
            "organization": _field("Organization", "OpenAI organization id, only when the key has several."),
            "project": _field("Project", "OpenAI project id, only when the key is not bound to one."),
            "auth_style": _field(
                "Key header",
                "How the key is sent: bearer (OpenAI) or api-key (Azure).",
                enum=["bearer", "api-key"],
                default="bearer",
            ),
            "timeout_seconds": _field(
                "Time limit (seconds)",
                "Limit for one whole request to OpenAI, from connecting to the last byte of the answer.",
                type=["number", "null"],
                default=10,
                minimum=1,
                maximum=60,
            ),
        },
    }


def _telephony_carrier() -> dict[str, Any]:
    return {
        "connection-type": "telephony_carrier",
        "hook-class-name": f"{_PACKAGE}.hooks.telephony_carrier.TelephonyCarrierHook",
        "hook-name": "Telephony carrier",
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {"login": "Account", "password": "Token", "host": "Base URL"},
            "placeholders": {
                "login": "Twilio: the account SID, AC…",
                "password": "Twilio: the auth token, or the secret of the API key",
                "api_key": "SK…; empty when the token is the account's auth token",
                "host": "empty for https://api.twilio.com",
                "caller_number": "+14155550100",
                "openai_project_id": "proj_…",
                "openai_sip_host": "empty for sip.api.openai.com",
                "refer_url": "https://… of a TwiML Bin or Function; empty: placed calls are not transferred",
            },
        },
        "conn-fields": {
            "caller_number": _field(
                "Caller number",
                "Number of yours that people see when they are called, E.164: + and digits. Needed unless tasks give "
                "from_number.",
                section=_NEEDED_CARRIER,
            ),
            "openai_project_id": _field(
                "OpenAI project",
                "Project that answered phones are connected to: proj_…. Needed to place calls.",
                section=_NEEDED_CARRIER,
            ),
            "carrier": _field("Carrier", "Who rings the phones.", enum=["twilio"], default="twilio"),
            "api_key": _field(
                "API key",
                "Twilio: id of an API key of the account (SK…), whose secret is the token. Empty: the token is the "
                "account's auth token.",
            ),
            "openai_sip_host": _field(
                "OpenAI SIP host", "SIP host of the project's region; empty for sip.api.openai.com."
            ),
            "refer_url": _field(
                "Refer URL",
                "Where the carrier asks what to do when a placed call is to be transferred: an https address that "
                "answers with TwiML. Without it Twilio transfers no call that was placed from here.",
                format="url",
            ),
        },
    }


def _config() -> dict[str, Any]:
    return {
        "openai_realtime": {
            "description": "The switchboard of the OpenAI Realtime provider, when Airflow's API server runs it.",
            "options": {
                "store_url": {
                    "description": "SQLAlchemy URL of the database for calls. Empty: Airflow's metadata database "
                    "when that is PostgreSQL or MySQL, else a SQLite file beside it.",
                    "version_added": "0.1.0",
                    "type": "string",
                    "example": "postgresql+psycopg2://user:password@host/calls",
                    "default": "",
                    "sensitive": True,
                },
                "ring_seconds": {
                    "description": "How long a call counts as ringing after OpenAI's event, in seconds.",
                    "version_added": "0.1.0",
                    "type": "float",
                    "example": "30",
                    "default": "60",
                },
                "standby_after_seconds": {
                    "description": "After how many seconds without a sign of life the triggerer that runs a call is "
                    "taken for silent, so that the switchboard listens to the call until another one does: 1 or more, "
                    "or 0 for never.",
                    "version_added": "0.1.0",
                    "type": "float",
                    "example": "5",
                    "default": "2",
                },
                "calls_page_connections": {
                    "description": "Ids of openai_realtime connections to standalone switchboards that Airflow cannot "
                    "list, since a secrets backend holds them; separated by commas. The Calls page shows their calls.",
                    "version_added": "0.1.0",
                    "type": "string",
                    "example": "support_eu, sales",
                    "default": "",
                },
                "retention_days": {
                    "description": "How many days calls that are over are kept, with the numbers in the ledger of "
                    "attempts: 1 or more; 0: without a limit.",
                    "version_added": "0.1.0",
                    "type": "float",
                    "example": "7",
                    "default": "30",
                },
                "transcript_days": {
                    "description": "How many days what was said in calls, and what came of it, is kept: 1 or more, "
                    "or 0 for as long as the calls.",
                    "version_added": "0.1.0",
                    "type": "float",
                    "example": "2",
                    "default": "0",
                },
                "ledger_retention_days": {
                    "description": "How many days the ledger keeps an attempt after its last change: 1 or more; 0: "
                    "without a limit. An attempt that is deleted can be made again: the phone rings again.",
                    "version_added": "0.1.0",
                    "type": "float",
                    "example": "365",
                    "default": "0",
                },
            },
        },
    }
