"""Serving a project on this machine: an address, a browser, and an end."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from anymask.atomic import write_atomically
from anymask.studio.app import create_app
from anymask.studio.errors import StudioError
from anymask.studio.project import ServedProject

DEFAULT_PORT = 8765
_PORTS_TRIED = 100
_SECONDS_TO_END = 1.0

_log = logging.getLogger("anymask.studio")


def check_host(host: str) -> str:
    """Return the loopback address that is meant.

    Raises:
        StudioError: it is another one.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        is_loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback or host.strip("[]") not in ("127.0.0.1", "::1"):
        raise StudioError(
            f"--host {host}: the studio listens on 127.0.0.1 or ::1 only until logins exist, because whoever reaches "
            "it could see and change everything; from another machine, forward the port: "
            f"ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} THIS-MACHINE"
        )
    return host.strip("[]")


def listen(host: str, port: int | None, remembered: Path) -> socket.socket:
    """Find a free port and listen on it.

    Without a port, a project gets the one that it had before, if that is free: what a browser has kept for it, changes
    that were never sent included, belongs to the address.

    Args:
        host: a loopback address.
        port: the port that must be used, 0 for any; None for a suitable one.
        remembered: the file in which a project's port is kept.

    Raises:
        StudioError: the port is taken or not allowed, or none is free.
    """
    if port is not None:
        try:
            return _bind(host, port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = (
                "is taken: leave --port out, and a free one is found" if taken else f"cannot be used ({error.strerror})"
            )
            raise StudioError(f"port {port} of {host} {reason}") from error
        except OverflowError:
            raise StudioError(f"a port is a number from 1 to 65535, not {port}; 0 is any that is free") from None
    for candidate in [*_remembered_port(remembered), *range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED)]:
        with contextlib.suppress(OSError):
            found = _bind(host, candidate)
            # A project served from a folder that cannot be written gets any port the next time.
            with contextlib.suppress(OSError):
                _remember(remembered, candidate)
            return found
    raise StudioError(f"none of the ports from {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS_TRIED - 1} of {host} is free")


def _remember(remembered: Path, port: int) -> None:
    write_atomically(remembered, lambda path: path.write_text(f"{port}\n"))


def _remembered_port(remembered: Path) -> list[int]:
    try:
        port = int(remembered.read_text())
    except (OSError, ValueError):
        return []
    return [port] if 1024 <= port <= 65535 else []


def _bind(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Else a server that has just ended would keep its port for a minute.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except BaseException:
        found.close()
        raise
    return found


def address(listening: socket.socket) -> str:
    """Tell the address of a listening socket as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class StudioServer(uvicorn.Server):
    """Answers a browser; lets nobody wait when it ends.

    Args:
        project: what is served.
        answering: called once it answers.
    """

    def __init__(self, project: ServedProject, answering: Callable[[], object]) -> None:
        config = uvicorn.Config(
            create_app(project),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=30,
        )
        super().__init__(config)
        self.project, self.answering = project, answering

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self.answering()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End after a signal."""
        self.project.is_closing = True
        super().handle_exit(sig, frame)


def serve(project: ServedProject, listening: socket.socket, say: Callable[[str], object], page: str | None) -> None:
    """Serve a project until Ctrl-C, or the end of the process.

    Args:
        project: is started, and closed in the end, its store too.
        listening: from :func:`listen`.
        say: is told the address in a line, once the server answers.
        page: the address to open in a browser; None for none.
    """
    logging.getLogger("anymask.studio").addHandler(_stderr_handler())

    def answering() -> None:
        # Only now: it takes the processor, and the page comes first.
        project.start()
        say(f"{address(listening)} shows {project.store.folder} ({_pictures(project)}); Ctrl-C ends it")
        if page is not None:
            threading.Thread(target=_open_browser, args=(page,), daemon=True).start()

    server = StudioServer(project, answering)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        ended = project.close(_SECONDS_TO_END)
        project.store.close()
    if not ended:
        # A large model cannot be stopped within a picture, and must not be torn down under its own feet.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _pictures(project: ServedProject) -> str:
    count = project.store.picture_count()
    return f"{count:,} picture{'' if count == 1 else 's'}"


def _open_browser(page: str) -> None:
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(page)


def _stderr_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("anymask: %(message)s"))
    return handler
