"""Masks: the one currency of anymask, stored as columns, compressed, and decoded only when asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anymask.segment import conversions, rle
from anymask.segment.columns import COLUMN_SHAPES, checked_column, same_column, to_numpy
from anymask.segment.errors import MaskError
from anymask.segment.hierarchy import find_parents
from anymask.segment.polygons import Polygon, mask_to_polygons
from anymask.segment.registry import registered_method
from anymask.segment.rle import RLE

if TYPE_CHECKING:
    import supervision


class Masks:
    """N masks of one image: run lengths, and columns of facts about each mask.

    Coordinates are pixels of the original image, (x, y), origin at the top left corner.

    Attributes:
        rles: N COCO RLEs, {"size": [height, width], "counts": bytes}.
        size: (height, width) of the image in pixels.
        boxes: float32 [N, 4], tight (x0, y0, x1, y1), half-open; zeros for an empty mask.
        areas: int64 [N], foreground pixels.
        scores: float32 [N], the model's predicted IoU, or None.
        stability: float32 [N], the stability score, or None.
        points: float32 [N, 2], the (x, y) that each mask was asked with, or None.
        prompt: int64 [N], which prompt of a `segment_many` call each mask answers, or None.
        logits: float32 [N, g, g], low-resolution logits in the padded model frame, or None.
        crops: float32 [N, 4], the (x0, y0, x1, y1) crop in which each mask was found, or None.
        labels: N names (None where unknown), or None.

    A Masks is not changed in place: every method returns a new one that shares what it can. Its truth value
    is that of its length.
    """

    __slots__ = (*COLUMN_SHAPES, "labels", "rles", "size")

    rles: list[RLE]
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    areas: NDArray[np.int64]
    scores: NDArray[np.float32] | None
    stability: NDArray[np.float32] | None
    points: NDArray[np.float32] | None
    prompt: NDArray[np.int64] | None
    logits: NDArray[np.float32] | None
    crops: NDArray[np.float32] | None
    labels: list[str | None] | None

    def __init__(
        self,
        rles: Sequence[RLE],
        size: tuple[int, int],
        *,
        boxes: ArrayLike | None = None,
        areas: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        stability: ArrayLike | None = None,
        points: ArrayLike | None = None,
        prompt: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        crops: ArrayLike | None = None,
        labels: Sequence[str | None] | None = None,
    ) -> None:
        """Take RLEs that are known to be sound; boxes and areas are computed if not given.

        Raises MaskError if lengths or sizes disagree. For RLEs from outside, use `from_rles`.
        """
        self.rles = list(rles)
        self.size = (int(size[0]), int(size[1]))
        if min(self.size) < 1:
            raise MaskError(f"size is (height, width) of at least 1 pixel each, got {self.size}")
        for index, one in enumerate(self.rles):
            if tuple(one["size"]) != self.size:
                raise MaskError(
                    f"mask {index} has the size {list(one['size'])}, the others {list(self.size)} "
                    "(height, width); masks of different images go into different Masks"
                )
        given = {
            "boxes": rle.box(self.rles) if boxes is None else boxes,
            "areas": rle.area(self.rles) if areas is None else areas,
            "scores": scores,
            "stability": stability,
            "points": points,
            "prompt": prompt,
            "logits": logits,
            "crops": crops,
        }
        for name, values in given.items():
            setattr(self, name, None if values is None else checked_column(name, values, len(self.rles)))
        self.labels = None if labels is None else list(labels)
        if self.labels is not None and (isinstance(labels, str) or len(self.labels) != len(self.rles)):
            raise MaskError(f"labels must be one per mask: {len(self.labels)} given for {len(self.rles)} masks")

    @classmethod
    def empty(cls, size: tuple[int, int]) -> "Masks":
        """Return no masks, of an image of size (height, width)."""
        return cls([], size)

    @classmethod
    def from_arrays(cls, masks: ArrayLike, **columns: Any) -> "Masks":
        """Encode masks [N, H, W] (or one mask [H, W]); bool, or numbers where non-zero is foreground."""
        arrays = to_numpy(masks)
        if arrays.ndim == 2:
            arrays = arrays[None]
        if arrays.ndim != 3 or 0 in arrays.shape[1:]:
            raise MaskError(f"expected masks of shape [N, H, W] or [H, W], got {list(arrays.shape)}")
        return cls(rle.encode_masks(arrays), (arrays.shape[1], arrays.shape[2]), **columns)

    @classmethod
    def from_logits(cls, full_logits: ArrayLike, threshold: float = 0.0, **columns: Any) -> "Masks":
        """Encode where logits [N, H, W] (array or tensor, at the image's size) exceed the threshold.

        These are not kept; pass the low-resolution ones as the column `logits`.
        """
        arrays = to_numpy(full_logits)
        if arrays.ndim != 3 or 0 in arrays.shape[1:]:
            raise MaskError(f"expected logits of shape [N, H, W], got {list(arrays.shape)}")
        rles = [rle.encode_mask(logits > threshold) for logits in arrays]
        return cls(rles, (arrays.shape[1], arrays.shape[2]), **columns)

    @classmethod
    def from_rles(cls, rles: Sequence[Any], size: tuple[int, int] | None = None, **columns: Any) -> "Masks":
        """Take COCO RLEs from outside: counts may be str, bytes or a list of run lengths; all are checked.

        size (height, width) may be left out if there is at least one. Raises MaskError for unsound RLEs.
        """
        if size is None:
            if not rles:
                raise MaskError("without any RLE the image's size (height, width) must be given")
            size = conversions.size_of(rles[0])
        return cls([rle.from_coco(one, size) for one in rles], size, **columns)

    @classmethod
    def from_coco(cls, annotations: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> "Masks":
        """Read COCO annotations (polygons, compressed or uncompressed RLE) of one image of (height, width).

        The fields `score` or `predicted_iou`, `stability_score`, `point_coords` and `crop_box` become columns if
        every annotation has them, and `label` if any has it. Raises MaskError, naming the annotation, for a bad
        segmentation.
        """
        return conversions.from_coco(annotations, size)

    @classmethod
    def from_supervision(cls, detections: "supervision.Detections", size: tuple[int, int] | None = None) -> "Masks":
        """Read a supervision.Detections with masks; confidence, class_name and anymask's own data are kept.

        size (height, width) is needed only if there are no detections.
        """
        return conversions.from_supervision(detections, size)

    @classmethod
    def concatenate(cls, parts: Sequence["Masks"]) -> "Masks":
        """Join masks of one image. A column stays only if all parts that hold masks have it.

        Raises MaskError for no parts or different sizes.
        """
        if not parts:
            raise MaskError("concatenating needs at least one Masks; use Masks.empty(size) for none")
        sizes = {part.size for part in parts}
        if len(sizes) > 1:
            raise MaskError(f"masks of different image sizes cannot be joined: {sorted(sizes)}")
        filled = [part for part in parts if len(part)] or list(parts[:1])
        columns: dict[str, Any] = {}
        for name in COLUMN_SHAPES:
            values = [getattr(part, name) for part in filled]
            if all(value is not None for value in values):
                if name == "logits" and len({value.shape[1:] for value in values}) > 1:
                    continue
                columns[name] = np.concatenate(values)
        if all(part.labels is not None for part in filled):
            columns["labels"] = [label for part in filled for label in part.labels or []]
        return cls([one for part in filled for one in part.rles], parts[0].size, **columns)

    def __len__(self) -> int:
        return len(self.rles)

    def __iter__(self) -> Iterator["Masks"]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int | slice | ArrayLike) -> "Masks":
        """Select masks by position, slice, boolean array [N] or array of positions; always a Masks.

        Nothing is decoded.
        """
        positions = self._positions(index)
        columns: dict[str, Any] = {}
        for name in COLUMN_SHAPES:
            values = getattr(self, name)
            columns[name] = None if values is None else values[positions]
        if self.labels is not None:
            columns["labels"] = [self.labels[position] for position in positions]
        return Masks([self.rles[position] for position in positions], self.size, **columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Masks):
            return NotImplemented
        return (
            self.size == other.size
            and self.rles == other.rles
            and self.labels == other.labels
            and all(same_column(getattr(self, name), getattr(other, name)) for name in COLUMN_SHAPES)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        height, width = self.size
        noun = "mask" if len(self) == 1 else "masks"
        facts = [f"{len(self)} {noun} of a {width} x {height} image"]
        if len(self):
            low, high = int(self.areas.min()), int(self.areas.max())
            facts.append(f"area {low}" if low == high else f"areas {low} to {high}")
            if self.scores is not None:
                low_score, high_score = float(self.scores.min()), float(self.scores.max())
                facts.append(
                    f"score {low_score:.3f}" if len(self) == 1 else f"scores {low_score:.3f} to {high_score:.3f}"
                )
        optional = ("stability", "points", "prompt", "logits", "crops", "labels")
        others = [name for name in optional if getattr(self, name) is not None]
        if others:
            facts.append("with " + ", ".join(others))
        return f"<Masks: {'; '.join(facts)}>"

    def replace(self, **columns: Any) -> "Masks":
        """Return the same masks with some columns replaced; None removes a column (except boxes, areas)."""
        unknown = columns.keys() - {*COLUMN_SHAPES, "labels"}
        if unknown:
            raise MaskError(f"Masks has no column {sorted(unknown)}; it has {', '.join([*COLUMN_SHAPES, 'labels'])}")
        kept = {name: getattr(self, name) for name in (*COLUMN_SHAPES, "labels")}
        return Masks(self.rles, self.size, **{**kept, **columns})

    def sort(self, by: str = "scores", descending: bool = True) -> "Masks":
        """Sort by a column of one number a mask: scores, areas, stability or prompt. Ties keep order."""
        values = self._numbers(by)
        return self[np.argsort(-values if descending else values, kind="stable")]

    def filter(
        self,
        keep: ArrayLike | None = None,
        *,
        min_area: int | None = None,
        max_area: int | None = None,
        min_score: float | None = None,
        min_stability: float | None = None,
        label: str | None = None,
    ) -> "Masks":
        """Keep the masks that meet every condition given; bounds are inclusive, keep is boolean [N].

        Raises MaskError if a condition needs a column that is missing.
        """
        chosen = np.ones(len(self), dtype=np.bool_)
        if keep is not None:
            given = np.asarray(keep)
            if given.dtype != np.bool_ or given.shape != (len(self),):
                raise MaskError(f"keep must be boolean with {len(self)} entries, got {given.dtype} {given.shape}")
            chosen &= given
        if min_area is not None:
            chosen &= self.areas >= min_area
        if max_area is not None:
            chosen &= self.areas <= max_area
        if min_score is not None:
            chosen &= self._numbers("scores") >= min_score
        if min_stability is not None:
            chosen &= self._numbers("stability") >= min_stability
        if label is not None:
            if self.labels is None:
                raise MaskError("these masks have no labels to filter by")
            chosen &= np.array([one == label for one in self.labels], dtype=np.bool_)
        return self[chosen]

    def mask(self, index: int = 0) -> NDArray[np.bool_]:
        """Decode one mask to bool [H, W]."""
        return rle.decode(self.rles[self._positions(index)[0]])

    def decode(self) -> NDArray[np.bool_]:
        """Decode all masks to bool [N, H, W]: N * H * W bytes, so select first when there are many."""
        decoded = np.zeros((len(self), *self.size), dtype=np.bool_)
        for index in range(len(self)):
            x0, y0, x1, y1 = self.boxes[index].astype(int)
            decoded[index, y0:y1, x0:x1] = self.crop(index)
        return decoded

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Decode for NumPy: np.asarray(masks) is bool [N, H, W]."""
        if copy is False:
            raise ValueError("masks are stored compressed and cannot become an array without a copy")
        return self.decode() if dtype is None else self.decode().astype(dtype)

    def crop(self, index: int = 0) -> NDArray[np.bool_]:
        """Decode one mask within its own box: bool [y1 - y0, x1 - x0]."""
        position = self._positions(index)[0]
        return rle.decode_crop(self.rles[position], self.boxes[position].tolist())

    def iou(self, other: "Masks") -> NDArray[np.float64]:
        """Return the intersection over union of every pair, [N, M]. Raises MaskError for other sizes."""
        return rle.iou_matrix(self.rles, other.rles)

    def union(self) -> NDArray[np.bool_]:
        """Return where any mask is, bool [H, W]."""
        return rle.decode(rle.merge(self.rles)) if len(self) else np.zeros(self.size, dtype=np.bool_)

    def polygons(self, index: int = 0, tolerance: float = 0.0) -> list[Polygon]:
        """Trace one mask into polygons with holes, in pixel corners of the image; see `mask_to_polygons`."""
        offset = self.boxes[self._positions(index)[0], :2]
        return [
            Polygon(polygon.exterior + offset, [hole + offset for hole in polygon.holes])
            for polygon in mask_to_polygons(self.crop(index), tolerance)
        ]

    def label_map(self) -> NDArray[np.int32]:
        """Paint all masks into one int32 [H, W]: 0 is background, i + 1 mask i, smaller masks on top."""
        painted = np.zeros(self.size, dtype=np.int32)
        for index in np.argsort(-self.areas, kind="stable"):
            x0, y0, x1, y1 = self.boxes[index].astype(int)
            painted[y0:y1, x0:x1][self.crop(int(index))] = index + 1
        return painted

    def parents(self, inside: float = 0.9) -> NDArray[np.int64]:
        """Return for each mask the smallest larger one in which at least `inside` of it lies, or -1; int64 [N].

        Following parents leads from parts to wholes and ends: of equal masks, the first is the parent of the next.
        Empty masks have no parents. Raises MaskError unless `inside` is above 0.5 and at most 1.
        """
        return find_parents(self.rles, self.areas, inside)

    def cut_out(self, image: Any, index: int = 0, pad: int = 0, crop: bool = True) -> NDArray[np.uint8]:
        """Cut one object out of the image: RGBA uint8 [h, w, 4], alpha 255 on the mask and 0 elsewhere.

        image is anything that `read_image` takes, at the masks' size. With crop, the result is the mask's
        box widened by pad pixels on each side, as far as the image goes. Raises MaskError if the image has
        another size, the mask is empty while cropping, or pad is negative.
        """
        return conversions.cut_out(self, image, self._positions(index)[0], pad, crop)

    def to_coco(
        self, image_id: int | str = 0, category_id: int | Callable[[str | None], int] = 1, first_id: int = 1
    ) -> list[dict[str, Any]]:
        """Return COCO annotations that `json.dumps` takes: RLE with counts as str, bbox as (x, y, w, h).

        category_id is one number, or a function from a mask's label to its number. `score`,
        `stability_score`, `point_coords`, `crop_box` and `label` are added where the column exists.
        """
        return conversions.to_coco(self, image_id, category_id, first_id)

    def to_supervision(self) -> "supervision.Detections":
        """Return a supervision.Detections with dense masks. Raises MissingPackageError without supervision.

        Boxes keep anymask's half-open corners; labels become `class_name` and numbered class ids.
        """
        return conversions.to_supervision(self)

    def draw(self, *arguments: Any, **options: Any) -> Any:
        """Draw the masks on an image; see `anymask.draw`."""
        return registered_method("Masks.draw")(self, *arguments, **options)

    def save(self, *arguments: Any, **options: Any) -> Any:
        """Write the masks to a file; see `anymask.formats.save_masks`."""
        return registered_method("Masks.save")(self, *arguments, **options)

    def label(self, *arguments: Any, **options: Any) -> Any:
        """Name the masks from words; see `anymask.language`."""
        return registered_method("Masks.label")(self, *arguments, **options)

    def _positions(self, index: Any) -> NDArray[np.intp]:
        count = len(self)
        if isinstance(index, slice):
            return np.arange(count)[index]
        chosen = np.asarray(index)
        if chosen.size == 0 and chosen.ndim == 1 and chosen.dtype != np.bool_:
            return np.zeros(0, dtype=np.intp)
        if chosen.dtype == np.bool_ and chosen.shape == (count,):
            return np.flatnonzero(chosen)
        if not np.issubdtype(chosen.dtype, np.integer) or chosen.ndim > 1:
            raise IndexError(
                f"select masks with a position, a slice, {count} booleans or a list of positions, "
                f"got {type(index).__name__} of type {chosen.dtype} and shape {chosen.shape}"
            )
        positions = np.atleast_1d(chosen).astype(np.intp)
        if ((positions < -count) | (positions >= count)).any():
            raise IndexError(f"no mask at position {index}: there are {count}, counted from 0")
        return positions % count if count else positions

    def _numbers(self, name: str) -> NDArray[Any]:
        numeric = [column for column, (_, shape) in COLUMN_SHAPES.items() if shape == ()]
        if name not in numeric:
            raise MaskError(f"{name!r} is not a column of one number a mask; those are {', '.join(numeric)}")
        values = getattr(self, name)
        if values is None:
            raise MaskError(f"these masks have no {name}")
        return cast(NDArray[Any], values)
