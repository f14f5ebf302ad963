"""A private PostgreSQL server for tests: in a temporary folder, on a free port of 127.0.0.1, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

_USERS = ("postgres", "nobody")


class PostgresCluster:
    """
    One server.

    :param durable: Whether a commit waits for the disk. Off, tests are quicker; a crash of the machine is not tested.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._bin = _binaries()
        self._user = _unprivileged_user()
        self._folder = Path(tempfile.mkdtemp(prefix="switchboard-pg-"))
        self._durable = durable
        self._databases = 0
        self.port = _free_port()

    def start(self) -> None:
        """Make the server's files if need be, and start it."""
        data = self._folder / "data"
        if not data.exists():
            if self._user is not None:
                shutil.chown(self._folder, self._user)
            self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        if not self._durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        self._run("pg_ctl", "-D", data, "-l", self._folder / "log", "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; ``immediate`` is like a crash, ``fast`` is orderly."""
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop the server and delete everything."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """URL of a new, empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/{name}"

    def dump(self, url: str) -> str:
        """
        Return a database as SQL that any connection can execute: tables, rows as single statements, counters.

        :param url: What :meth:`new_database` returned.
        """
        name = url.rpartition("/")[2]
        options = ["--inserts", "--no-owner", "--no-privileges", "--no-comments", "-U", "postgres"]
        command = [str(self._bin / "pg_dump"), "-h", "127.0.0.1", "-p", str(self.port), *options, name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        # Settings of the session, remarks, and psql's own commands are no part of what is kept.
        left_out = ("--", "SET ", "SELECT pg_catalog.set_config", "\\")
        lines = [line for line in text.splitlines() if line and not line.startswith(left_out)]
        return "\n".join(lines) + "\n"

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        if self._user is not None:
            command = ["setpriv", f"--reuid={self._user}", f"--regid={_group(self._user)}", "--clear-groups", *command]
        done = subprocess.run(
            command,
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,  # the server inherits it: a pipe would never end
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            log = self._folder / "log"
            said = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"{' '.join(command)} failed with {done.returncode}. {said}")


@contextmanager
def running_cluster(*, durable: bool = False) -> Iterator[PostgresCluster]:
    """A started server, removed afterwards."""
    cluster = PostgresCluster(durable=durable)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def _binaries() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    found = [
        path
        for path in [*reversed(installed), *([Path(on_path).parent] if on_path else [])]
        if (path / "pg_ctl").exists()
    ]
    if not found:
        raise RuntimeError(
            "PostgreSQL's programs (initdb, pg_ctl) are missing: install them (Debian, Ubuntu: apt-get install "
            "postgresql; macOS: brew install postgresql), or leave these tests out with -m 'not postgres'"
        )
    return found[0]


def _unprivileged_user() -> str | None:
    """The server refuses to run as root; None when this process is not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in _USERS if user in known)


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
