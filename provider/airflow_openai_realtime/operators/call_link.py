"""The link from a task to its call."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from airflow_openai_realtime.api.phone_numbers import mask_contact, mask_numbers
from airflow_openai_realtime.calls.owner import owner_name
from airflow_openai_realtime.ui import path_of_attempt, path_of_call, path_of_claimed

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: XCom key of the call's id.
CALL_ID_KEY = "call_id"


class LinkedTask(Protocol):
    """What a task of this package knows of its call."""

    openai_realtime_conn_id: str
    shown_call_id: str | None
    shown_attempt_id: str | None
    waits_for_call: bool


class CallLink(BaseOperatorLink):
    """
    Leads from a task to its call on the Calls page.

    Airflow asks for it when the task has run, also when it has deferred, and keeps the answer in XCom. While the task
    has no call yet, the link names the attempt, or the task that waits; the page shows the call from there as soon as
    there is one.
    """

    name = "Call"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return where the call is shown, below Airflow's address; empty for a task that has none and waits for none.

        :param operator: The task.
        :param ti_key: Which instance of it; the operator knows its call itself.
        """
        task = cast("LinkedTask", operator)
        conn_id = task.openai_realtime_conn_id
        if task.shown_call_id:
            path = path_of_call(conn_id, task.shown_call_id)
        elif task.shown_attempt_id:
            path = path_of_attempt(conn_id, task.shown_attempt_id)
        elif task.waits_for_call:
            path = path_of_claimed(conn_id, owner_name(ti_key))
        else:
            return ""
        return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/") + path


#: Default of ``map_index_template``: Airflow shows it in place of the number of a mapped task.
LABEL = "{{ task.call_label }}"
LONGEST_LABEL = 250


def label_of(call: object, call_id: object = None) -> str:
    """
    Return a label for a call, at most 250 characters; empty when nothing is known of it.

    :param call: What a task got as its call: a dict or an id.
    :param call_id: Its id, when that was given alone.
    """
    if not isinstance(call, Mapping):
        return as_label(str(call or call_id or ""))
    if call.get("contact"):
        return person_label(call["contact"], call.get("to_masked"))
    return as_label(mask_numbers(str(call.get("from_number") or call.get("call_id") or call_id or "")))


def person_label(contact: object, number: object) -> str:
    """
    Return a label for a person who is called.

    :param contact: The contact's key; may hold its number, which is masked.
    :param number: The number, plain or masked.
    """
    shown = mask_numbers(str(number or ""))
    name = mask_contact(str(contact or ""), str(number) if number else None)
    return as_label(shown if name in ("", shown) else f"{name} ({shown})" if shown else name)


def as_label(text: str) -> str:
    """
    Make a text fit to be a label: no longer than Airflow keeps, and a text in DAGs that render native objects, too.

    Jinja's native rendering reads ``42`` as a number, and Airflow then fails the task, since it asks for the label's
    length (observed 2026-11-30 with 3.3.2).

    :param text: What the label is to say.
    """
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    else:
        text = f"contact {text}"
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}\u2026"
