"""The project: what the page must know first, labels, export and import, and the decoder's files."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from anymask.studio.answers import FOR_THIS_PROJECT, PROBLEMS, Served
from anymask.studio.errors import NotHereError, StudioError
from anymask.studio.exchange import export_to_download, format_choices, import_upload, safe_upload_name
from anymask.studio.messages import (
    FormatChoice,
    Imported,
    Labels,
    NewLabels,
    Project,
    ServerStatus,
    UnusableFile,
    UnusableFiles,
)

router = APIRouter(prefix="/api", responses=PROBLEMS)

_FILE = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_UPLOAD = {"requestBody": {"required": True, **_FILE}}


@router.get("/project")
def get_project(project: Served) -> Project:
    """Get what the page must know first; looks for new pictures in the folder."""
    project.look_for_pictures()
    return project.project()


@router.get("/status")
def get_status(project: Served) -> ServerStatus:
    """Get what the server is doing."""
    return project.status()


@router.get("/unusable")
def list_unusable_files(
    project: Served, limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many.")] = 1000
) -> UnusableFiles:
    """List files in the folder that look like pictures and cannot be used, and why."""
    files = project.unusable
    some = [UnusableFile(name=file.name, reason=file.reason) for file in files[:limit]]
    return UnusableFiles(total=len(files), files=some)


@router.put("/labels", dependencies=FOR_THIS_PROJECT)
def set_labels(labels: NewLabels, project: Served) -> Labels:
    """Set the labels, in the order of their number keys; those that objects have can be renamed, but not left out."""
    return Labels(labels=project.store.set_labels(labels.labels, labels.renamed))


@router.get("/formats")
def list_formats() -> list[FormatChoice]:
    """List the formats to export in."""
    return format_choices()


@router.get("/export", response_class=FileResponse, responses={200: _FILE})
def export_masks(
    project: Served,
    format: Annotated[str, Query(description="A name from /api/formats.")],
    with_pictures: Annotated[bool, Query(description="Put the pictures into it too.")] = False,
    picture: Annotated[list[int] | None, Query(description="Only these pictures.")] = None,
) -> FileResponse:
    """Download all masks, or those of some pictures; a format that is a folder comes as a ZIP file.

    The header X-Anymask-Losses says, as a JSON list of sentences, what the format cannot hold.
    """
    for one in picture or ():
        project.name(one)
    folder = Path(tempfile.mkdtemp(prefix="anymask-"))
    try:
        export = export_to_download(project.store, folder, format, with_pictures=with_pictures, pictures=picture)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        export.path,
        media_type="application/octet-stream",
        filename=export.name,
        headers={"x-anymask-losses": json.dumps(export.losses), "cache-control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


@router.post("/import", dependencies=FOR_THIS_PROJECT, openapi_extra=_UPLOAD)
async def import_masks(
    request: Request,
    project: Served,
    name: Annotated[str, Query(description="The file's name, whose ending tells much about it.")],
    format: Annotated[str | None, Query(description="A name from /api/formats; recognised if left out.")] = None,
) -> Imported:
    """Take masks from a file in any format, or a ZIP file of a folder, which is the body of the request."""
    folder = Path(await run_in_threadpool(tempfile.mkdtemp, prefix="anymask-"))
    try:
        path = folder / safe_upload_name(name)
        with path.open("wb") as written:
            async for piece in request.stream():
                await run_in_threadpool(written.write, piece)
        if path.stat().st_size == 0:
            raise StudioError(f"{name} is empty: choose another file")
        (folder / "unpacked").mkdir()
        return await run_in_threadpool(import_upload, project.store, path, format, folder / "unpacked")
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


@router.get("/decoder/{fingerprint}/{name}", response_class=FileResponse, responses={200: _FILE})
def get_decoder(fingerprint: str, name: str, project: Served) -> Response:
    """Get one of the decoder's ONNX files, at an address from the project."""
    path = project.decoder.path(fingerprint, name.removesuffix(".onnx")) if name.endswith(".onnx") else None
    if path is None:
        raise NotHereError(f"there is no decoder {fingerprint}/{name}: reload the page")
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)
