"""A web server on this machine with one file, which can do most of what servers do wrong."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """What the server does; tests change it between requests.

    ``breaks`` holds, for the requests to come, after how many bytes of the body the connection is cut; ``statuses``
    the answers to give before anything else. ``hold_after`` lets a request wait there until ``release`` is set.
    """

    content: bytes
    path: str = "/weights.pth"
    etag: str = '"one"'
    last_modified: str = ""
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    declared: int | None = None
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/octet-stream"})
    change_range: Callable[[str], str] = str
    hold_after: int | None = None
    release: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    @property
    def url(self) -> str:
        return self.address + self.path

    @property
    def asked_ranges(self) -> list[str | None]:
        return [request.get("range") for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site: Site = self.server.site
        site.requests.append({key.lower(): value for key, value in self.headers.items()} | {"path": self.path})
        if site.statuses:
            status, headers = site.statuses.pop(0)
            self._head(status, {"Content-Length": "0"} | headers)
            return
        if self.path != site.path:
            self._head(404, {"Content-Length": "0"})
            return
        validators = {"ETag": site.etag, "Last-Modified": site.last_modified}
        headers = site.headers | {name: value for name, value in validators.items() if value}
        body, status = site.content, 200
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        if asked and site.ranges and condition in (None, site.etag, site.last_modified):
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(site.content):
                self._head(416, {"Content-Range": f"bytes */{len(site.content)}", "Content-Length": "0"})
                return
            body, status = site.content[first:], 206
            given = f"bytes {first}-{len(site.content) - 1}/{len(site.content)}"
            headers["Content-Range"] = site.change_range(given)
        if site.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) if site.declared is None else site.declared)
        self._head(status, headers)
        self._body(site, body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, site: Site, body: bytes) -> None:
        end = site.breaks.pop(0) if site.breaks else len(body)
        held = site.hold_after
        for start in range(0, end, 10_000):
            piece = body[start : min(start + 10_000, end)]
            if held is not None and start >= held:
                site.release.wait(60)
                held = None
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if site.chunked else piece)
        if site.chunked and end == len(body):
            self.wfile.write(b"0\r\n\r\n")
        if end < len(body) or site.declared is not None:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients go away in the middle; that is what is tested."""


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Run the server until the end of the block."""
    server: Any = _Server(("127.0.0.1", 0), _Handler)
    server.site = site
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def wait_until(condition: Callable[[], bool], timeout: float = 60.0) -> None:
    """Wait for another thread or process."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
