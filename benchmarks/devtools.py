"""Chromium without Playwright, by its DevTools protocol over a pipe.

Playwright has the browser record every answer of the server in the page's own process, which would be measured as the
page's memory.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PATIENCE = 120.0


class Browser:
    """One tab of a browser with a new profile.

    Args:
        path: of the browser.
        arguments: for it.
        profile: folder of the profile; is made.
    """

    def __init__(self, path: str, arguments: Sequence[str], profile: Path) -> None:
        self.profile = profile
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        mine = ["--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}", "--window-size=1440,900"]
        # The protocol's pipe has these numbers.
        inherit = f'exec 3<&{commands} 4>&{answers}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", inherit, "bash", path, *arguments, *mine, "about:blank"],
            pass_fds=(commands, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._unread = b""
        self._asked = 0
        self._session: str | None = None
        self.workers: list[str] = []
        """Sessions of the page's workers."""
        end = time.monotonic() + PATIENCE
        while not (tabs := [one for one in self.ask("Target.getTargets")["targetInfos"] if one["type"] == "page"]):
            assert time.monotonic() < end, "the browser opens no tab"
            time.sleep(0.05)
        self._session = self.ask("Target.attachToTarget", targetId=tabs[0]["targetId"], flatten=True)["sessionId"]
        self.ask("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command, to the tab unless a worker's session is given, and return its result."""
        self._asked += 1
        command = {"id": self._asked, "method": method, "params": parameters}
        if session or self._session:
            command["sessionId"] = session or self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("method") == "Target.attachedToTarget":
                self.workers.append(message["params"]["sessionId"])
            if message.get("id") == self._asked:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']['message']}")
                return message["result"]

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression gives something true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"in vain waited for {expression}"
            time.sleep(0.02)

    def move(self, x: float, y: float) -> None:
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def collect_garbage(self) -> None:
        """In the page and its workers."""
        for session in (None, *self.workers):
            self.ask("HeapProfiler.collectGarbage", session)

    def held_megabytes(self) -> float:
        """What scripts, the document and buffers take in the page and its workers; not WebAssembly's memory."""
        kinds = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
        usages = [self.ask("Runtime.getHeapUsage", session) for session in (None, *self.workers)]
        return float(sum(usage[kind] for usage in usages for kind in kinds)) / 1e6

    def page_megabytes(self) -> float:
        """Resident memory of the page's process, the largest renderer."""
        largest = 0.0
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    command = (process / "cmdline").read_bytes()
                    pages = int((process / "statm").read_text().split()[1])
                except OSError:
                    continue
                if b"--type=renderer" in command and str(self.profile).encode() in command:
                    largest = max(largest, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        return largest

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            more = os.read(self._answers, 1 << 16)
            assert more, "the browser has gone"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]
