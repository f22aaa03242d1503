"""Who may ask, how much may be sent, and what every answer says."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from anymask.engine.store import Store
from anymask.studio import guard
from anymask.studio.project import ServedProject

EVERY_ANSWER = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": guard.CONTENT_SECURITY_POLICY,
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/project", 200),
        ("GET", "/api/pictures/1/image", 200),
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing.js", 404),
        ("GET", "/docs", 200),
        ("PUT", "/api/labels", 422),
        ("DELETE", "/api/labels", 404),
    ],
)
def test_every_answer_has_the_headers_of_an_isolated_page(
    client: httpx2.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in EVERY_ANSWER} == EVERY_ANSWER
    assert "server" not in answer.headers
    if status >= 400:
        assert set(answer.json()) == {"detail"}
    etag = client.get("/api/pictures/1/image").headers["etag"]
    unchanged = client.get("/api/pictures/1/image", headers={"if-none-match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert {name: unchanged.headers.get(name) for name in EVERY_ANSWER} == EVERY_ANSWER


def test_scripts_run_from_here_only() -> None:
    rules = dict(rule.split(" ", 1) for rule in guard.CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert rules["frame-ancestors"] == "'none'"
    assert "http" not in guard.CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("[::1]:8765", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:8765", 403),
        ("192.168.0.7", 403),
        ("", 403),
    ],
)
def test_only_by_the_names_of_this_machine(client: httpx2.Client, host: str, status: int) -> None:
    for path in ("/api/status", "/docs.css"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == status
        if status == 403:
            assert "answers to 127.0.0.1, [::1], localhost only" in answer.json()["detail"]


def test_other_sites_can_neither_change_nor_ask(client: httpx2.Client) -> None:
    own = str(client.base_url).rstrip("/")
    put = {"json": {"labels": ["cat"]}}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": own, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = client.put("/api/labels", headers=headers, **put)
        assert (answer.status_code, answer.json()) == (403, {"detail": "requests from other sites are refused"})
    assert client.get("/api/status", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/api/project").json()["labels"] == []
    # A link to the page from elsewhere is fine.
    assert client.get("/docs", headers={"sec-fetch-site": "cross-site"}).status_code == 200
    for headers in ({"origin": own, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {}):
        assert client.put("/api/labels", headers=headers, **put).json() == {"labels": ["cat"]}


def test_bodies_have_a_limit(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_BODY_BYTES", 1000)
    monkeypatch.setattr(guard, "MAX_IMPORT_BYTES", 3000)

    def in_pieces(count: int) -> Iterator[bytes]:
        return (b"x" * 100 for _ in range(count))

    for body in (b"x" * 1001, in_pieces(11)):
        answer = client.put("/api/labels", content=body)
        assert answer.status_code == 413
        assert "larger than" in answer.json()["detail"]
    for path, body, status in (
        ("/api/labels", in_pieces(10), 422),
        ("/api/import?name=a.json", b"x" * 2000, 422),
        ("/api/import?name=a.json", in_pieces(31), 413),
    ):
        assert client.request("PUT" if "labels" in path else "POST", path, content=body).status_code == status
    assert client.get("/api/status").status_code == 200


def test_a_mistake_of_the_server_is_a_line_in_the_log_and_no_traceback(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Store) -> list[str]:
        raise ZeroDivisionError("never divide")

    monkeypatch.setattr(Store, "labels", broken)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/project")
    assert answer.status_code == 500
    assert set(answer.json()) == {"detail"}
    assert "divide" not in answer.text
    assert [record.getMessage().split(" at broken, line ")[0] for record in caplog.records] == [
        "GET /api/project: ZeroDivisionError: never divide"
    ]
    assert not any(record.exc_info for record in caplog.records)
    assert client.get("/api/status").status_code == 200


def test_a_disk_that_is_full_is_said(
    client: httpx2.Client, project: ServedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(project.store), "set_labels", full)
    answer = client.put("/api/labels", json={"labels": ["cat"]})
    assert answer.status_code == 507
    assert "No space left on device" in answer.json()["detail"]


@pytest.mark.parametrize(
    "request_line", ["GET /../../../etc/passwd", "GET /assets/..%2f..%2f__init__.py", "GET //etc/passwd"]
)
def test_paths_as_no_browser_sends_them(client: httpx2.Client, request_line: str) -> None:
    place = urlsplit(str(client.base_url))
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(f"{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"root:" not in answer
