"""A web application on a loopback port, in a thread, for tests."""

from __future__ import annotations

import socket
import threading
from typing import Any

#: How long the application may take to start, in seconds.
START_SECONDS = 60.0


class ServedApp:
    """
    A web application, served while the context is open.

    :param app: ASGI application.
    :param port: Port of the loopback interface; 0 for a free one.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        self._app = app
        self._port = port
        self.url = ""

    def __enter__(self) -> ServedApp:
        import uvicorn

        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(self._app, log_config=None, access_log=False, timeout_graceful_shutdown=0)
        self._server = uvicorn.Server(config)
        tried = threading.Event()
        startup = self._server.startup

        async def noticed(sockets: Any = None) -> None:
            try:
                await startup(sockets=sockets)
            except SystemExit:  # by which a failed start would end a process of its own
                self._server.should_exit = True
            finally:
                tried.set()

        self._server.startup = noticed  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        if not tried.wait(START_SECONDS):
            raise RuntimeError(f"the application did not start within {START_SECONDS:g} s; its log says why")
        if not self._server.started:
            self.__exit__()
            raise RuntimeError("the application failed at its start; its log says why")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
