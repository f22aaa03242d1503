"""The studio's web application: API, page and guard around a project."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from anymask.errors import AnymaskError
from anymask.studio import picture_routes, project_routes
from anymask.studio.answers import explain
from anymask.studio.api_page import STYLE, api_page
from anymask.studio.guard import Guard
from anymask.studio.page import serve_page, static_folder
from anymask.studio.project import ServedProject


def create_api(project: ServedProject | None) -> FastAPI:
    """Make the application; without a project it can only be described."""
    api = FastAPI(
        title="anymask studio",
        version=version("anymask"),
        description="The server behind the studio's page. It answers programs on this machine too.",
        docs_url=None,
        redoc_url=None,
        # Messages have one form, whichever way they go.
        separate_input_output_schemas=False,
    )
    api.state.project = project
    for kind in (AnymaskError, OSError, RequestValidationError, HTTPException):
        api.add_exception_handler(kind, explain)
    # Outside of what turns errors into answers, so that whatever else is raised comes to it.
    api.add_middleware(Guard)
    api.include_router(project_routes.router)
    api.include_router(picture_routes.router)
    described = api.openapi

    def describe() -> dict[str, Any]:
        description = described()
        # The page sends every field, and gets every field. Defaults are for those who write messages in Python.
        for schema in description["components"]["schemas"].values():
            if "properties" in schema:
                schema["required"] = list(schema["properties"])
        return description

    api.openapi = describe  # type: ignore[method-assign]
    return api


def create_app(project: ServedProject, static: Path | None = None) -> FastAPI:
    """Make all that answers a browser.

    Args:
        project: what is served.
        static: folder of the built page; by default that of the package.
    """
    api = create_api(project)
    folder = static or static_folder()

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(api_page(api.openapi()))

    @api.get("/docs.css", include_in_schema=False)
    def docs_style() -> Response:
        return Response(STYLE, media_type="text/css")

    @api.api_route("/api/{path:path}", methods=["GET", "POST", "PUT", "DELETE", "PATCH"], include_in_schema=False)
    def unknown(path: str) -> JSONResponse:
        return JSONResponse({"detail": f"the API has no /api/{path}: /docs lists what it has"}, status_code=404)

    @api.get("/{path:path}", include_in_schema=False)
    def page(request: Request) -> Response:
        return serve_page(request, folder)

    return api
