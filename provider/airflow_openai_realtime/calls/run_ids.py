"""The id of the DAG run of a call. It depends on the call's id alone, so that one call can have only one run."""

from __future__ import annotations

import hashlib
import re

#: Prefix of the run ids of calls.
PREFIX = "call__"
# Characters that Airflow's default [scheduler] allowed_run_id_pattern and a URL accept; the column holds 250.
_FIT_FOR_A_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


def run_id_of(call_id: str) -> str:
    """
    Return the run id for a call, for example ``call__rtc_u1_abc``.

    A call id with other characters, or a longer one, is replaced by its SHA-256.

    :param call_id: OpenAI's id of the call.
    """
    if _FIT_FOR_A_RUN_ID.fullmatch(call_id):
        return PREFIX + call_id
    return f"{PREFIX}sha256-{hashlib.sha256(call_id.encode()).hexdigest()}"
