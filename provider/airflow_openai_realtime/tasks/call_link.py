"""The link from a task to its call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from airflow_openai_realtime.calls_page import path_of_call

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey


#: XCom key of the call's id.
CALL_ID_KEY = "call_id"


class CallLink(BaseOperatorLink):
    """
    Leads from a task to its call on the Calls page.

    Airflow asks for it when the task has run, also when it has deferred, and keeps the answer in XCom.
    """

    name = "Call"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return where the call is shown, below Airflow's address; empty while the task has no call.

        :param operator: The task.
        :param ti_key: Which instance of it; the operator knows its call itself.
        """
        call_id = getattr(operator, "shown_call_id", None)
        if not call_id:
            return ""
        path = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
        return path + path_of_call(str(getattr(operator, "openai_realtime_conn_id", "")), call_id)


class HasCallLink:
    """
    For operators that have a call: they note it in ``shown_call_id``, and Airflow shows the link.

    The id is left in XCom as well, under the key ``call_id``, so that ``call_id=accept.output["call_id"]`` works:
    Airflow reads such an argument as the name of an XCom, not as a key of the returned dict.
    """

    operator_extra_links: Any = (CallLink(),)
    #: OpenAI's id of the call; set when it is known.
    shown_call_id: str | None = None

    def post_execute(self, context: Context, result: Any = None) -> None:
        """Leave the call's id in XCom; Airflow calls this when the task has succeeded."""
        if self.shown_call_id and getattr(self, "do_xcom_push", True):
            context["ti"].xcom_push(key=CALL_ID_KEY, value=self.shown_call_id)
