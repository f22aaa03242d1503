"""Pictures: the list, their pixels, embeddings and proposals, and changes to their objects."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response

from anymask.studio.agenda import Work
from anymask.studio.answers import FOR_THIS_PROJECT, PROBLEMS, Served, caching, known_already, not_modified, problem
from anymask.studio.errors import ModelUnavailableError
from anymask.studio.messages import ChangeResults, Changes, OpenPicture, PicturePage, Proposals
from anymask.studio.picture_files import PictureFile
from anymask.studio.project import ServedProject

router = APIRouter(prefix="/api/pictures", responses=PROBLEMS)

_SECONDS_BETWEEN_LOOKS = 0.5
_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_IMAGE = {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}


@router.get("")
def list_pictures(
    project: Served,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> PicturePage:
    """List a part of the pictures, in the natural order of their names."""
    return PicturePage(total=project.store.picture_count(), pictures=project.pictures(offset, limit))


@router.get("/{picture}")
def open_picture(picture: int, project: Served) -> OpenPicture:
    """Open a picture: its size and its objects. It becomes the one that is encoded first."""
    return project.open(picture)


@router.get("/{picture}/image", response_class=Response, responses={200: _IMAGE, 304: {}})
def get_image(picture: int, request: Request, project: Served) -> Response:
    """Get a picture's pixels: the file itself where browsers show it as the model sees it, else converted to PNG."""
    file, media_type = project.image(picture)
    etag = file.key("image")
    if known_already(request, etag):
        return not_modified(etag)
    if media_type is None:
        return Response(project.converted(file), media_type="image/png", headers=caching(etag))
    return FileResponse(file.path, media_type=media_type, headers=caching(etag))


@router.get("/{picture}/thumbnail", response_class=Response, responses={200: _IMAGE, 304: {}})
def get_thumbnail(picture: int, request: Request, project: Served) -> Response:
    """Get a picture at a long side of 192 pixels at most, as JPEG."""
    file: PictureFile = project.file(picture)
    etag = file.key("thumbnail")
    if known_already(request, etag):
        return not_modified(etag)
    return Response(project.thumbnail(file), media_type="image/jpeg", headers=caching(etag))


@router.get("/{picture}/embedding", response_class=Response, responses={200: _BYTES, 304: {}})
async def get_embedding(
    picture: int,
    request: Request,
    project: Served,
    priority: Annotated[
        Literal["current", "next"], Query(description="Is it the picture being looked at, or one of the next?")
    ] = "current",
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for it.")] = 20.0,
) -> Response:
    """Get a picture's embedding: float16, little-endian, ``[1, C, g, g]``.

    503 with Retry-After says that it is still being computed.
    """
    found = await _wait_for(request, project, picture, Work.EMBEDDING, priority == "current", wait)
    if found is None:
        return problem(503, "the picture is still being encoded: ask again", {"retry-after": "1"})
    etag, data = found
    if known_already(request, etag):
        return not_modified(etag)
    model = project.model.message()
    headers = {**caching(etag), "x-anymask-model": "" if model is None else model.fingerprint}
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/{picture}/proposals")
async def get_proposals(
    picture: int,
    request: Request,
    project: Served,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for them.")] = 0.0,
) -> Proposals:
    """Get all masks that the model finds in a picture by itself."""
    found = await _wait_for(request, project, picture, Work.PROPOSALS, True, wait)
    return await run_in_threadpool(project.proposals, picture, None if found is None else found[1])


@router.post("/{picture}/changes", dependencies=FOR_THIS_PROJECT)
def store_changes(picture: int, changes: Changes, project: Served) -> ChangeResults:
    """Store changes to a picture's objects; what is answered as stored outlives a power failure."""
    project.name(picture)
    return ChangeResults(results=project.store.apply(picture, changes.changes))


async def _wait_for(
    request: Request, project: ServedProject, picture: int, work: Work, urgent: bool, seconds: float
) -> tuple[str, bytes] | None:
    """Wait until something is computed; None where it is not after so many seconds, or nobody waits any more."""
    project.name(picture)
    encoder, deadline = project.encoder, time.monotonic() + seconds
    future = await run_in_threadpool(encoder.ask, picture, work, urgent)
    try:
        while True:
            found = await run_in_threadpool(project.ask, picture, work)
            if project.model.reason is not None:
                raise ModelUnavailableError(project.model.reason)
            left = deadline - time.monotonic()
            if found is not None or left <= 0 or project.is_closing or await request.is_disconnected():
                return found
            if future.done():
                # It was damaged, or has gone from the cache since.
                encoder.give_up(picture, work, urgent, future)
                future = await run_in_threadpool(encoder.ask, picture, work, urgent)
            await asyncio.wait([asyncio.wrap_future(future)], timeout=min(left, _SECONDS_BETWEEN_LOOKS))
    finally:
        encoder.give_up(picture, work, urgent, future)
