"""A headless Chromium, driven by its own protocol: nothing to install but the browser."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, "")}


def installed() -> str | None:
    """The browser's program; None when there is none on this machine."""
    return next((path for path in map(shutil.which, PROGRAMS) if path), None)


class Browser:
    """
    One page of a browser.

    :param connection: To the page, by the DevTools protocol.

    Source: https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what the page complains of meanwhile is kept."""
        self._last += 1
        self._connection.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            self._listen(message)
            if message.get("id") == self._last:
                assert "error" not in message, (method, message["error"])
                answer: dict[str, Any] = message["result"]
                return answer

    def open(self, url: str) -> None:
        """Go to an address."""
        self.command("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """
        Run a function body in the page, where ``page`` is the document in Airflow's frame, or the page itself.

        :returns: What it returns, of JSON values.
        """
        frame = "(document.querySelector('iframe') ?? {}).contentDocument ?? document"
        wrapped = f"(async () => {{ const page = {frame}; {script} }})()"
        answer = self.command("Runtime.evaluate", expression=wrapped, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, what: str, seconds: float = 60.0) -> Any:
        """Wait until a function body returns something true."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError):  # the page may be on its way to another
                value = self.run(script)
                if value:
                    return value
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s. The page says: {self.text()[:2000]}"
            time.sleep(0.1)

    def text(self) -> str:
        """What can be read on the page."""
        return str(self.run("return page.body ? page.body.innerText : ''"))

    def wait_for_element(self, selector: str, seconds: float = 60.0) -> None:
        """Wait until an element is there."""
        self.wait_for(f"return page.querySelector({json.dumps(selector)}) !== null", selector, seconds)

    def click(self, selector: str) -> None:
        """Click an element once it is there."""
        self.wait_for_element(selector)
        self.run(f"page.querySelector({json.dumps(selector)}).click()")

    def press(self, key: str) -> None:
        """Press a key, as a person at the keyboard does."""
        code, text = KEYS[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.command("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    def size(self, width: int, height: int) -> None:
        """Be as large as this; below 500 pixels, a phone."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def prefer(self, scheme: str) -> None:
        """Prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        """Take a picture of what can be seen."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    def _listen(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry'].get('url')}: {params['entry']['text']}")
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        if message.get("method") == "Page.javascriptDialogOpening":
            self.complaints.append(f"a dialog: {params['message']}")


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """A browser that has started, and ends afterwards."""
    program = installed()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [program, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"]
        command += [f"--user-data-dir={profile}", "--remote-debugging-port=0", "--disable-gpu", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_page_of(Path(profile)), max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _page_of(profile: Path) -> str:
    """Address of the browser's one page; the browser writes down its port when it listens."""
    file, deadline = profile / "DevToolsActivePort", time.monotonic() + 60
    while not (file.exists() and file.read_text().count("\n")):
        assert time.monotonic() < deadline, "Chromium did not start"
        time.sleep(0.1)
    port = file.read_text().splitlines()[0]
    pages = httpx.get(f"http://127.0.0.1:{port}/json/list").json()
    return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
