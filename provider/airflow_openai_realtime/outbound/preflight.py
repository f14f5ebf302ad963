"""
What is checked before a phone is dialed, so that an answered call can be taken.

The check of the key costs a request to OpenAI. The switchboard remembers for some minutes that it passed, so that the
tasks of a mapped campaign do not make it thousands of times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_openai_realtime.api.call_requests import check_key
from airflow_openai_realtime.exceptions import (
    AuthenticationError,
    ConfigurationError,
    OpenAIRealtimeError,
    RequestRefused,
    ServiceUnavailable,
    SwitchboardError,
)
from airflow_openai_realtime.switchboard.client.switchboard_requests import report_checks_passed

if TYPE_CHECKING:
    from airflow_openai_realtime.api.client import CallsClient
    from airflow_openai_realtime.api.settings import ApiSettings
    from airflow_openai_realtime.calls.call import Preflight
    from airflow_openai_realtime.switchboard.client.switchboard_client import SwitchboardClient

_NO_MODEL_CODE = "model_not_found"
_MISSING_SCOPE = "missing scope"


def openai_check(api: ApiSettings, model: str | None) -> str:
    """
    Name the check that a key works at an address and has a model. The name does not show the key.

    :param api: Key and address.
    :param model: The model that calls are accepted with, when it is known.
    """
    parts = (api.endpoints.rest_url, api.api_key, api.organization or "", api.project or "", model or "")
    return f"openai-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:40]}"


def check_before_dialing(
    known: Preflight,
    switchboard: SwitchboardClient,
    open_calls: Callable[[], CallsClient],
    api: ApiSettings,
    model: str | None,
    report: Callable[[str], None],
) -> None:
    """
    Refuse to dial when it is known that an answered call could not be taken.

    :param known: What the switchboard said.
    :param switchboard: Remembers that the check passed.
    :param open_calls: Makes a client for OpenAI.
    :param api: Key and address of that client.
    :param model: The model that calls are accepted with, when it is known.
    :param report: Called with lines for the task's log.
    :raises ConfigurationError: The switchboard could take no call.
    :raises AuthenticationError: OpenAI refused the key.
    :raises RequestRefused: The address is wrong, or the key's project has no such model.
    :raises ServiceUnavailable: OpenAI does not answer.
    """
    if known.problems:
        raise ConfigurationError(f"nothing was dialed: {'; '.join(known.problems)}")
    check = openai_check(api, model)
    if check in known.passed:
        return
    try:
        with open_calls() as calls:
            _check_openai(calls, None if api.auth_style == "api-key" else model, report)
    except (AuthenticationError, RequestRefused, ServiceUnavailable) as error:
        raise _not_dialed(error) from error
    try:
        switchboard.send(report_checks_passed([check]))
    except SwitchboardError as error:
        report(f"Could not report to the switchboard that the key works: {error}")


def _check_openai(calls: CallsClient, model: str | None, report: Callable[[str], None]) -> None:
    try:
        calls.send(check_key(model))
    except AuthenticationError as error:
        # A restricted key may accept calls and not see the models.
        if _MISSING_SCOPE not in str(error).lower():
            raise
        report(f"Whether the key may accept calls is not known: it may not see the models. {error}")
    except ServiceUnavailable as error:
        if error.status != 429:
            raise
        report(f"Whether the key works is not known: {error}")
    except RequestRefused as error:
        if model is None or error.code == _NO_MODEL_CODE:
            raise
        # A server in between that cannot show one model.
        _check_openai(calls, None, report)


def _not_dialed(error: AuthenticationError | RequestRefused | ServiceUnavailable) -> OpenAIRealtimeError:
    return type(error)(
        f"nothing was dialed: {error}",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        safe_to_retry=True,
    )
