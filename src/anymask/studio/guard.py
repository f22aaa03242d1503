"""What stands before the application: who may ask, how much may be sent, and what every answer says."""

from __future__ import annotations

import json
import logging
import traceback
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("anymask.studio")

HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names by which the server is asked. Any other is a page that had its own name point here (DNS rebinding)."""

MAX_BODY_BYTES = 100_000_000
MAX_IMPORT_BYTES = 4_000_000_000
IMPORT_PATH = "/api/import"

MISTAKE = "the server made a mistake, which its log names; what was saved before is safe"

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self' blob:",
        "connect-src 'self' blob: data:",
        "img-src 'self' blob: data:",
        "style-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": CONTENT_SECURITY_POLICY,
}

_READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """An ASGI application around another.

    It answers 403 to other hosts' names and other sites' requests, 413 to bodies that are too large, and 500 with one
    line in the log where the application fails; every answer gets the headers of an isolated page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message.get("headers", [])}
                added = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        refusal = _refusal(scope, headers)
        if refusal is not None:
            await _answer(send_with_headers, 403, refusal)
            return
        limit = MAX_IMPORT_BYTES if scope["path"] == IMPORT_PATH else MAX_BODY_BYTES
        too_large = (
            f"the request is larger than {limit / 1e6:,.0f} MB, which is the most that is taken: send less at once"
        )
        if int(headers.get("content-length") or 0) > limit:
            await _answer(send_with_headers, 413, too_large)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # Whoever reads the body lets this one through.
                raise HTTPException(413, too_large)
            return message

        try:
            await self.app(scope, receive_limited, send_with_headers)
        except Exception as error:
            _log.error("%s", _one_line(scope, error))
            if not started:
                await _answer(send_with_headers, 500, MISTAKE)


def _refusal(scope: Scope, headers: dict[str, str]) -> str | None:
    """Say why a request is refused; None where it is not."""
    host = headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name.lower() not in HOSTS:
        return f"the studio answers to {', '.join(sorted(HOSTS))} only, not to {host!r}"
    if not scope["path"].startswith("/api/") and scope["method"] in _READING:
        return None
    site = headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        return "requests from other sites are refused"
    origin = headers.get("origin")
    if origin is not None and scope["method"] not in _READING and urlsplit(origin).netloc.lower() != host.lower():
        return "requests from other sites are refused"
    return None


def _one_line(scope: Scope, error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {place[0].name}, line {place[0].lineno} of {place[0].filename}" if place else ""
    return f"{scope['method']} {scope['path']}: {type(error).__name__}: {' '.join(str(error).split())}{where}"


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 413:
        # The rest of the body is not read.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
