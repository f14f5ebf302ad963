"""Programs that a measurement needs beside itself, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

SWITCHBOARD = ("airflow_openai_realtime.switchboard", "--port", "0")


@contextmanager
def serving(program: Sequence[str], env: Mapping[str, str]) -> Iterator[str]:
    """
    The address of a server.

    Its log goes to a file, as in production.

    :param program: Module and arguments. It prints one line when it is ready, whose last word is its address.
    :param env: Its environment besides ours; none of our ``OPENAI_…``.
    :raises RuntimeError: It did not start; the message shows the end of its log.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *program], env={**kept, **env}, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            if not said:
                process.wait()
                log.seek(0)
                raise RuntimeError(f"{program[0]} did not start:\n{log.read()[-3000:].decode(errors='replace')}")
            yield said.split()[-1]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def switchboard_environment(*, api_key: str, webhook_secret: str, base_url: str, store_url: str) -> dict[str, str]:
    """What a standalone switchboard, or its comparison, reads."""
    return {
        "OPENAI_API_KEY": api_key,
        "OPENAI_WEBHOOK_SECRET": webhook_secret,
        "OPENAI_REALTIME_BASE_URL": base_url,
        "OPENAI_REALTIME_STORE_URL": store_url,
    }
