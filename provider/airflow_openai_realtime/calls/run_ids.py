"""The id of the DAG run of a call. It is made from the call's id alone, so that one call can have only one run."""

from __future__ import annotations

import hashlib
import re

#: What run ids of calls begin with.
PREFIX = "call__"
# What Airflow's default [scheduler] allowed_run_id_pattern takes and a URL carries as it is; a column holds 250.
_FIT_FOR_A_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


def run_id_of(call_id: str) -> str:
    """
    Return the run id for a call, for example ``call__rtc_u1_abc``.

    An id that cannot stand in a run id is replaced by its SHA-256.

    :param call_id: OpenAI's id of the call.
    """
    if _FIT_FOR_A_RUN_ID.fullmatch(call_id):
        return PREFIX + call_id
    return f"{PREFIX}sha256-{hashlib.sha256(call_id.encode()).hexdigest()}"
