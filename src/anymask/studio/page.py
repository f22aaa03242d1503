"""The built page: static files, from one folder of the package and nowhere else."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>anymask studio: not built</title></head><body>
<h1>The page is not built yet</h1>
<p>The server runs, and its <a href="/docs">API</a> answers; only the page is missing. It is in every wheel of anymask.
In a clone of the repository, build it once, with Node 20 or newer:</p>
<pre>cd web
npm ci
npm run build</pre>
<p>or run <code>./scripts/demo</code>, which does that. Then reload this page.</p>
</body></html>
"""


def static_folder() -> Path:
    """Where the built page is."""
    return Path(str(files("anymask.studio"))) / "static"


def serve_page(request: Request, folder: Path) -> Response:
    """Answer a request for a file of the page.

    Args:
        request: its path is relative to the folder; "/" is ``index.html``.
        folder: of the built page.
    """
    path = request.url.path
    if path == "/" and request.url.hostname == "localhost":
        # What a browser keeps belongs to one address. Unsent changes must be found again, whichever was typed.
        return RedirectResponse(request.url.replace(hostname="127.0.0.1"), status_code=307)
    file = _find(folder, "index.html" if path == "/" else path.lstrip("/"))
    if file is None:
        if path == "/" and not (folder / "index.html").is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503, headers={"cache-control": "no-store"})
        return JSONResponse({"detail": f"there is nothing at {path}"}, status_code=404)
    # Files below assets/ have their content's hash in their names.
    lasting = path.startswith("/assets/")
    caching = "public, max-age=31536000, immutable" if lasting else "no-cache"
    return FileResponse(file, media_type=MEDIA_TYPES[file.suffix], headers={"cache-control": caching})


def _find(folder: Path, name: str) -> Path | None:
    """Find a file in the folder; None where there is none, or it is outside, or of a type that the page has not."""
    if "\0" in name:
        return None
    try:
        file = (folder / name).resolve()
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
    except OSError:
        return None
    return file if inside and file.suffix in MEDIA_TYPES else None
