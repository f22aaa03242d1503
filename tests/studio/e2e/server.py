"""The studio's server as people start it: a process of its own, which a test may kill."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 120


def free_port() -> int:
    """A port that stays free while the server is down: not of those that systems give to outgoing connections."""
    ports = random.sample(range(16_000, 32_000), 100)
    for port in ports:
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"none of {len(ports)} ports is free")


class Server:
    """``anymask studio`` on a folder of pictures.

    Attributes:
        address: where the page is; the same after each start.
    """

    def __init__(self, pictures: Path, home: Path, log: Path, *options: str) -> None:
        self.pictures, self.home, self.log = pictures, home, log
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and come back once it answers."""
        command = [sys.executable, "-m", "anymask", "studio", str(self.pictures), "--no-browser"]
        command += ["--port", str(self.port), *self.options]
        environment = os.environ | {"ANYMASK_HOME": str(self.home), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            # A group of its own, so that killing it takes along what it has started.
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                self.get("/api/status")
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the studio did not start:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """End it as a power cut would: kill -9, whatever it is doing."""
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def get(self, path: str) -> Any:
        """What it answers to a GET, from JSON."""
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    def objects(self, picture: str) -> list[dict[str, Any]]:
        """What is stored of a picture's objects, those deleted and rejected left out."""
        listed = self.get("/api/pictures?limit=5000")["pictures"]
        number = next(one["id"] for one in listed if one["name"] == picture)
        return [one for one in self.get(f"/api/pictures/{number}")["objects"] if one["status"] == "present"]
