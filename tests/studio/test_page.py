"""The built page, and what comes in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from anymask.studio.app import create_app
from anymask.studio.project import ServedProject


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>here</title>")
    (folder / "assets" / "main-1a2b.js").write_text("export {};")
    (folder / "assets" / "ort.wasm").write_bytes(b"\0asm")
    (folder / "assets" / "ort.mjs").write_text("export {};")
    (folder / "secret.py").write_text("password = 1")
    (tmp_path / "outside.html").write_text("outside")
    (folder / "link.html").symlink_to(tmp_path / "outside.html")
    return folder


@pytest.fixture
def page(project: ServedProject, static: Path) -> Iterator[httpx2.Client]:
    with TestClient(create_app(project, static), base_url="http://127.0.0.1:8765") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "media_type", "caching"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/?picture=3", "text/html; charset=utf-8", "no-cache"),
        ("/assets/main-1a2b.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/ort.mjs", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/ort.wasm", "application/wasm", "public, max-age=31536000, immutable"),
    ],
)
def test_files_of_the_page(page: httpx2.Client, path: str, media_type: str, caching: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == caching
    etag = answer.headers["etag"]
    assert page.get(path, headers={"if-none-match": etag}).status_code in (200, 304)


@pytest.mark.parametrize(
    "path",
    ["/link.html", "/secret.py", "/assets", "/assets/", "/missing.js", "/%00", "/..%2foutside.html", "/assets/%2e%2e"],
)
def test_nothing_else(page: httpx2.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail"}


def test_one_address_for_what_the_browser_keeps(page: httpx2.Client) -> None:
    answer = page.get("http://localhost:8765/?picture=3", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://127.0.0.1:8765/?picture=3"
    assert page.get("http://localhost:8765/api/status", follow_redirects=False).status_code == 200


def test_a_page_that_is_not_built_says_how(project: ServedProject, tmp_path: Path) -> None:
    with TestClient(create_app(project, tmp_path / "nowhere"), base_url="http://127.0.0.1:8765") as client:
        answer = client.get("/")
        assert answer.status_code == 503
        for line in ("npm ci", "npm run build", "./scripts/demo"):
            assert line in answer.text
        assert client.get("/api/project").status_code == 200


def test_the_api_page_needs_nothing_from_elsewhere(page: httpx2.Client) -> None:
    answer = page.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    description = page.get("/openapi.json").json()
    for path in description["paths"]:
        assert path in answer.text
    for name in description["components"]["schemas"]:
        assert f'id="{name}"' in answer.text
    assert "<script" not in answer.text
    assert "http" not in answer.text.replace("HTTP", "")
    assert page.get("/docs.css").headers["content-type"].startswith("text/css")
