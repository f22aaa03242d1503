"""What the studio's server and its page say to each other, beside objects and changes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from anymask.engine.annotation import Change, ChangeResult, ObjectState


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DecoderFiles(_Message):
    """Addresses of the ONNX files that the page decodes with (see docs/export.md).

    Attributes:
        image: what an embedding is turned into once a picture (part "studio-image").
        click: points and boxes without a mask, on that (part "studio").
        refine: points and boxes with the logits of the step before, on the embedding (part "studio-refine").
    """

    image: str
    click: str
    refine: str


class Decoder(_Message):
    """The decoder for the page.

    Attributes:
        state: "preparing" while the files are made, which happens once a model.
        files: where they are, once it is "ready".
        reason: why it "failed", in a sentence.
    """

    state: Literal["preparing", "ready", "failed"]
    files: DecoderFiles | None = None
    reason: str | None = None


class Model(_Message):
    """The model that the studio annotates with.

    Attributes:
        name: as in ``anymask.load(name)``.
        fingerprint: tells its weights from others.
        input_side: side of the square model input in pixels.
        logits_side: side of the low-resolution logits.
        embedding_shape: ``[1, C, g, g]``.
        mask_threshold: logit above which a pixel belongs to a mask.
    """

    name: str
    fingerprint: str
    input_side: int
    logits_side: int
    embedding_shape: tuple[int, int, int, int]
    mask_threshold: float


class Project(_Message):
    """What the page must know first.

    Attributes:
        id: tells this project from others that were served at the same address.
        name: of the folder.
        pictures: how many there are.
        unusable: how many files in the folder look like pictures and cannot be used; /api/unusable lists them.
        model: None while it is being loaded, which the page need not wait for; it is there before the decoder is ready.
        decoder: for the page.
        labels: in the order of their number keys.
        palette: colours of objects as #rrggbb.
    """

    id: str
    name: str
    pictures: int
    unusable: int
    model: Model | None
    decoder: Decoder
    labels: list[str]
    palette: list[str]


class UnusableFile(_Message):
    """A file in the folder that looks like a picture and cannot be used: its path there, and why, in a sentence."""

    name: str
    reason: str


class UnusableFiles(_Message):
    """How many files cannot be used, and the first of them."""

    total: int
    files: list[UnusableFile]


class Picture(_Message):
    """One picture in the list.

    Attributes:
        id: its number in this project.
        name: its path in the folder, with forward slashes.
        width: in pixels after EXIF rotation; None until it was opened.
        height: the same.
        objects: how many objects are present.
        error: why it cannot be opened, or None.
    """

    id: int
    name: str
    width: int | None
    height: int | None
    objects: int
    error: str | None


class PicturePage(_Message):
    """A part of the list of pictures."""

    total: int
    pictures: list[Picture]


class OpenPicture(_Message):
    """A picture with its objects, those rejected included; their order is that of ``order``."""

    picture: Picture
    objects: list[ObjectState]


class Changes(_Message):
    """Changes to the objects of one picture, in the order in which they were made."""

    changes: list[Change] = Field(min_length=1, max_length=1000)


class ChangeResults(_Message):
    """What became of each of them, in their order."""

    results: list[ChangeResult]


class Proposal(_Message):
    """A mask of everything mode.

    Attributes:
        id: the id that the object gets if it is accepted or rejected.
        counts: COCO's compressed run lengths at the picture's size.
        score: predicted IoU.
        stability: stability score.
        area: in pixels.
        point: (x, y) of the grid point that found it.
    """

    id: str
    counts: str
    score: float
    stability: float
    area: int
    point: tuple[float, float]


class Proposals(_Message):
    """All masks of a picture, or that they are still being computed."""

    state: Literal["waiting", "ready"]
    model: str
    masks: list[Proposal]


class Labels(_Message):
    """The labels of the project in the order of their number keys."""

    labels: list[str] = Field(max_length=10_000)


class NewLabels(_Message):
    """What the labels shall be.

    Attributes:
        labels: all of them, in their new order.
        renamed: from old names to names in ``labels``, on all objects that have them, in one transaction; if the new
            name was there before, the two become one. A renaming that was done already is no error.
    """

    labels: list[str] = Field(max_length=10_000)
    renamed: dict[str, str] = Field(default={}, max_length=10_000)


class FormatChoice(_Message):
    """A format to export in: its name, a line about it, and what the downloaded file is called."""

    name: str
    description: str
    is_folder: bool


class Imported(_Message):
    """What an import did: masks new here, those that were here before, and images that are not in this project."""

    masks: int
    known: int
    other_images: int
    reasons: list[str]


class ServerStatus(_Message):
    """What the server is doing.

    Attributes:
        project: its id, as in :class:`Project`.
        encoding: names of pictures being encoded.
        waiting: how many pictures wait to be encoded.
        encoded: how many of the project's pictures have an embedding in the cache.
        decoder: as in :class:`Project`.
    """

    project: str
    encoding: list[str]
    waiting: int
    encoded: int
    decoder: Decoder


class Problem(_Message):
    """An error: what was given, what is accepted and what to do, in one sentence."""

    detail: str
