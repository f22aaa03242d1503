"""What the routes share: the project that is served, errors as answers, and answers that a browser may keep."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from anymask.engine.errors import (
    FolderError,
    LabelInUseError,
    StorageError,
    StoreBusyError,
    UnknownPictureError,
)
from anymask.errors import AnymaskError
from anymask.segment.errors import MissingPackageError
from anymask.studio.errors import ModelUnavailableError, NotHereError, RequestRefusedError, TooLargeError
from anymask.studio.messages import Problem
from anymask.studio.project import ServedProject

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "The project has no such thing."},
    409: {"model": Problem, "description": "The request is for another project, or does not fit what is stored."},
    422: {"model": Problem, "description": "The request cannot be carried out as it is."},
    500: {"model": Problem, "description": "It cannot be done here: the model is missing, or the server is at fault."},
    503: {"model": Problem, "description": "Not yet, or not now."},
}
"""What any route may answer beside its result, for the API's description."""

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotHereError, 404),
    (UnknownPictureError, 404),
    (RequestRefusedError, 409),
    (LabelInUseError, 409),
    (TooLargeError, 413),
    (StoreBusyError, 503),
    (ModelUnavailableError, 500),
    (StorageError, 507),
    (FolderError, 500),
    (MissingPackageError, 501),
    (AnymaskError, 422),
)


def _served(request: Request) -> ServedProject:
    project: ServedProject = request.app.state.project
    return project


def _check_project(
    project: Annotated[ServedProject, Depends(_served)],
    x_anymask_project: Annotated[
        str | None, Header(description="Id of the project that the request is meant for; another one's is refused.")
    ] = None,
) -> None:
    """Refuse what a page sends that was opened when another project was served at this address."""
    if x_anymask_project is not None and x_anymask_project != project.store.project_id:
        raise RequestRefusedError(
            f"another project, {project.store.folder.name}, is served at this address now, and nothing was stored: "
            "start the studio on the folder that this page belongs to, or reload the page"
        )


Served = Annotated[ServedProject, Depends(_served)]
"""The project, as an argument of a route."""

FOR_THIS_PROJECT = [Depends(_check_project)]
"""For routes that change something."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Answer with an error in a sentence."""
    return JSONResponse({"detail": " ".join(detail.split())}, status_code=status, headers=headers)


def explain(_: Request, error: Exception) -> JSONResponse:
    """Answer with an error that a user can cause."""
    if isinstance(error, HTTPException):
        return problem(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        return problem(422, _first_mistake(error))
    if isinstance(error, OSError) and not isinstance(error, AnymaskError):
        return problem(507, f"the server cannot read or write a file: {error.strerror or error}")
    return problem(next(status for kind, status in _STATUSES if isinstance(error, kind)), str(error))


def _first_mistake(error: RequestValidationError) -> str:
    mistakes = error.errors()
    first = mistakes[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return f"{place}: {first['msg']}{more}"


def known_already(request: Request, etag: str) -> bool:
    """Tell whether the browser has what an ETag, without its quotation marks, stands for."""
    given = request.headers.get("if-none-match", "")
    return any(one.strip().removeprefix("W/").strip('"') == etag for one in given.split(",")) or given.strip() == "*"


def not_modified(etag: str) -> Response:
    """Answer that the browser has it."""
    return Response(status_code=304, headers=caching(etag))


def caching(etag: str) -> dict[str, str]:
    """Let a browser keep an answer, and ask each time whether it is still right."""
    return {"etag": f'"{etag}"', "cache-control": "private, no-cache"}
