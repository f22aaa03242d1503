"""One project being served: its store, its model, and what is computed of its pictures in the background."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid5

from anymask.draw.palette import PALETTE
from anymask.engine.errors import StoreError
from anymask.engine.pictures import UnusableFile
from anymask.engine.store import Store
from anymask.errors import AnymaskError
from anymask.models.locations import weights_folder
from anymask.segment.errors import ImageError
from anymask.studio.agenda import Work
from anymask.studio.decoder_files import DecoderFiles
from anymask.studio.disk_cache import DiskCache
from anymask.studio.encoding import BackgroundEncoder
from anymask.studio.errors import NotHereError, PictureError
from anymask.studio.messages import OpenPicture, Picture, Project, Proposal, Proposals, ServerStatus
from anymask.studio.model import StudioModel
from anymask.studio.picture_files import PictureFile, find_picture, shown_as_it_is, to_png, to_thumbnail

_log = logging.getLogger(__name__)

DEFAULT_CACHE_BYTES = 2_000_000_000
_SECONDS_BETWEEN_LOOKS = 5.0
_LONGEST_LOOK = 2.0
"""A folder that takes longer to go through is looked at once, when the server starts."""


def studio_cache_folder() -> Path:
    """Where the studio keeps what it can make again: below ``$ANYMASK_HOME``, else ``~/.cache/anymask``."""
    return weights_folder() / "studio"


class ServedProject:
    """A project with all that its server needs. The page, the list and the pictures are there before the model is.

    Args:
        store: the project; its owner closes it.
        model: not loaded yet.
        cache_bytes: most bytes of embeddings, proposals and pictures made for the browser.
        cache_folder: where they are kept; by default :func:`studio_cache_folder`.
        unusable: files that were found in the folder and cannot be pictures.
    """

    def __init__(
        self,
        store: Store,
        model: StudioModel,
        *,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        cache_folder: Path | None = None,
        unusable: Sequence[UnusableFile] = (),
    ) -> None:
        home = cache_folder or studio_cache_folder()
        self.store, self.model, self.is_closing = store, model, False
        self.unusable = list(unusable)
        self.cache = DiskCache(home / "pictures", cache_bytes)
        self.decoder = DecoderFiles(model.name, home / "decoders")
        self.encoder = BackgroundEncoder(self.file, self.cache, self._take_size)
        self._loader = threading.Thread(target=self._load, name="model", daemon=True)
        self._names: dict[int, str] = {}
        self._order: list[int] = []
        self._looking = threading.Lock()
        self._looked = time.monotonic()
        self._look_took = 0.0
        self._read_names()

    def start(self) -> None:
        """Load the model and begin to work in the background; returns at once."""
        self._loader.start()

    def close(self, timeout: float = 2.0) -> bool:
        """End the work in the background; tells whether it has ended before so many seconds had passed."""
        self.is_closing = True
        self.decoder.close()
        started = time.monotonic()
        ended = self.encoder.close(timeout)
        if self._loader.is_alive():
            self._loader.join(max(0.0, timeout - (time.monotonic() - started)))
        return ended and not self._loader.is_alive()

    def _load(self) -> None:
        try:
            segmenter = self.model.load()
        except AnymaskError as error:
            self.decoder.fail(str(error))
            return
        if self.is_closing:
            return
        # Without a decoder the page can do nothing, so that it comes before what nobody waits for.
        self.encoder.hold(True)
        self.decoder.prepare(segmenter, lambda: self.encoder.hold(False))
        self.encoder.start(segmenter)

    def look_for_pictures(self) -> None:
        """Go through the folder again, unless that was just done or takes long."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            started = time.monotonic()
            if started - self._looked > _SECONDS_BETWEEN_LOOKS and self._look_took < _LONGEST_LOOK:
                self.unusable = self.store.sync_pictures().unusable
                self._read_names()
                self._looked = time.monotonic()
                self._look_took = self._looked - started
        finally:
            self._looking.release()

    def _read_names(self) -> None:
        self._order = self.store.picture_ids()
        names: dict[int, str] = {}
        while len(page := self.store.pictures(len(names), 5000)) > 0:
            names.update({one.id: one.name for one in page})
        self._names = names
        self.encoder.set_pictures(self._order)

    def _take_size(self, picture: int, width: int, height: int) -> None:
        """Note the size of a picture that was never opened, so that the page can prepare it."""
        try:
            if self.store.picture(picture).size is None:
                self.store.set_size(picture, width, height)
        except StoreError as error:
            # Opening it will find the size as well.
            _log.warning("the size of %s is not noted: %s", self._names.get(picture, picture), error)

    def file(self, picture: int) -> PictureFile:
        """Find a picture's file.

        Raises:
            PictureError: it cannot be opened.
            NotHereError: the project has no such picture.
        """
        return find_picture(self.store.folder, self.name(picture))

    def name(self, picture: int) -> str:
        """Give a picture's name in the folder.

        Raises:
            NotHereError: the project has no such picture.
        """
        try:
            return self._names[picture]
        except KeyError:
            raise NotHereError(f"there is no picture {picture} in this project: reload the list") from None

    def project(self) -> Project:
        """Say what the page must know first."""
        return Project(
            id=self.store.project_id,
            name=self.store.folder.name,
            pictures=self.store.picture_count(),
            unusable=len(self.unusable),
            model=self.model.message(),
            decoder=self.decoder.message(),
            labels=self.store.labels(),
            palette=["#{:02x}{:02x}{:02x}".format(*color) for color in PALETTE.tolist()],
        )

    def status(self) -> ServerStatus:
        """Say what the server is doing."""
        return ServerStatus(
            project=self.store.project_id,
            encoding=[self._names[picture] for picture in self.encoder.encoding() if picture in self._names],
            waiting=self.encoder.waiting(),
            encoded=self.encoder.encoded(self._order),
            decoder=self.decoder.message(),
        )

    def pictures(self, offset: int, limit: int) -> list[Picture]:
        """List a part of the pictures."""
        return [
            Picture(id=one.id, name=one.name, width=one.width, height=one.height, objects=one.objects, error=one.error)
            for one in self.store.pictures(offset, limit)
        ]

    def open(self, picture: int) -> OpenPicture:
        """Open a picture, which makes it the one that is encoded first.

        Raises:
            NotHereError: the project has no such picture.
        """
        name, error = self.name(picture), None
        try:
            self.file(picture)
        except PictureError as problem:
            error = str(problem)
        else:
            self.encoder.open(picture)
        opened, objects = self.store.open_picture(picture)
        shown = Picture(
            id=picture,
            name=name,
            width=opened.width,
            height=opened.height,
            objects=opened.objects,
            error=error or opened.error,
        )
        return OpenPicture(picture=shown, objects=objects)

    def image(self, picture: int) -> tuple[PictureFile, str | None]:
        """Find what a browser gets of a picture: its file and the media type, None where it must be converted.

        Raises:
            PictureError: it cannot be opened.
            NotHereError: the project has no such picture.
        """
        file = self.file(picture)
        try:
            return file, shown_as_it_is(file)
        except ImageError as error:
            raise PictureError(self._without_folder(error)) from error

    def converted(self, file: PictureFile) -> bytes:
        """Convert a picture to PNG, or take it from the cache.

        Raises:
            PictureError: it cannot be read.
        """
        return self._made(file, "png", to_png)

    def thumbnail(self, file: PictureFile) -> bytes:
        """Make a picture small, as JPEG, or take it from the cache.

        Raises:
            PictureError: it cannot be read.
        """
        return self._made(file, "thumbnail", to_thumbnail)

    def _made(self, file: PictureFile, kind: str, make: Callable[[Path], bytes]) -> bytes:
        name = f"{file.key(kind, 1)}.{kind}"
        data = self.cache.get(name)
        if data is None:
            try:
                data = make(file.path)
            except ImageError as error:
                raise PictureError(self._without_folder(error)) from error
            self.cache.put(name, data)
        return data

    def proposals(self, picture: int, found: bytes | None) -> Proposals:
        """Put proposals into a message; waiting where there are none yet."""
        model = self.model.message()
        fingerprint = "" if model is None else model.fingerprint
        if found is None:
            return Proposals(state="waiting", model=fingerprint, masks=[])
        project = UUID(self.store.project_id)
        # The same mask has the same id whenever it is computed, so that a rejected one is known again.
        masks = [Proposal(id=str(uuid5(project, f"{picture}/{one['counts']}")), **one) for one in json.loads(found)]
        return Proposals(state="ready", model=fingerprint, masks=masks)

    def ask(self, picture: int, work: Work) -> tuple[str, bytes] | None:
        """Return an embedding or proposals, with a name that tells it from any other; None where it is not there yet.

        Raises:
            PictureError: it cannot be computed.
        """
        try:
            return self.encoder.result(picture, work)
        except PictureError as error:
            raise PictureError(self._without_folder(error)) from error

    def _without_folder(self, error: Exception) -> str:
        """Say an error with the picture's name in the folder, not with the whole path."""
        return " ".join(str(error).split()).replace(f"{self.store.folder}/", "")
