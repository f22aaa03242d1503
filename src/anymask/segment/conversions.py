"""Masks from and to what other libraries use: arrays and tensors, COCO annotations, supervision, cut-outs."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from anymask.segment import rle
from anymask.segment.errors import MaskError, MissingPackageError
from anymask.segment.pixels import read_image

if TYPE_CHECKING:
    import supervision

    from anymask.segment.masks import Masks


def size_of(segmentation: Any) -> tuple[int, int]:
    """Return the (height, width) that an RLE from outside claims, or raise MaskError."""
    try:
        height, width = segmentation["size"]
        return int(height), int(width)
    except (TypeError, KeyError, ValueError) as error:
        raise MaskError("an RLE is a dict with 'size' (height, width) and 'counts'") from error


def from_coco(annotations: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> "Masks":
    """Read COCO annotations of one image; see `Masks.from_coco`."""
    from anymask.segment.masks import Masks

    rles = []
    for index, annotation in enumerate(annotations):
        name = f"annotation {annotation.get('id', index)}"
        if "segmentation" not in annotation:
            raise MaskError(f"{name} has no segmentation; COCO's box-only annotations hold no masks")
        try:
            rles.append(rle.from_coco(annotation["segmentation"], size))
        except MaskError as error:
            raise MaskError(f"{name}: {error}") from error
    columns: dict[str, Any] = {}
    for column, fields in _COCO_COLUMNS.items():
        for field in fields:
            if annotations and all(annotation.get(field) is not None for annotation in annotations):
                columns[column] = [annotation[field] for annotation in annotations]
                break
    if "points" in columns:
        # Meta's generator nests the one point of each mask in a list; several points have no column.
        points = [np.asarray(point, dtype=np.float32).reshape(-1, 2) for point in columns["points"]]
        if all(len(point) == 1 for point in points):
            columns["points"] = np.concatenate(points)
        else:
            del columns["points"]
    if "crops" in columns:
        crops = np.asarray(columns["crops"], dtype=np.float64).reshape(-1, 4)
        columns["crops"] = np.concatenate([crops[:, :2], crops[:, :2] + crops[:, 2:]], axis=1)
    if any(annotation.get("label") is not None for annotation in annotations):
        columns["labels"] = [annotation.get("label") for annotation in annotations]
    return Masks(rles, size, **columns)


def to_coco(
    masks: "Masks", image_id: int | str, category_id: int | Callable[[str | None], int], first_id: int
) -> list[dict[str, Any]]:
    """Return COCO annotations; see `Masks.to_coco`."""
    annotations = []
    for index, one in enumerate(masks.rles):
        x0, y0, x1, y1 = masks.boxes[index].tolist()
        label = None if masks.labels is None else masks.labels[index]
        annotation: dict[str, Any] = {
            "id": first_id + index,
            "image_id": image_id,
            "category_id": category_id(label) if callable(category_id) else category_id,
            "segmentation": {"size": list(one["size"]), "counts": one["counts"].decode("ascii")},
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": int(masks.areas[index]),
            "iscrowd": 0,
        }
        if masks.scores is not None:
            annotation["score"] = float(masks.scores[index])
        if masks.stability is not None:
            annotation["stability_score"] = float(masks.stability[index])
        if masks.points is not None:
            annotation["point_coords"] = [masks.points[index].tolist()]
        if masks.crops is not None:
            left, top, right, bottom = masks.crops[index].tolist()
            annotation["crop_box"] = [left, top, right - left, bottom - top]
        if label is not None:
            annotation["label"] = label
        annotations.append(annotation)
    return annotations


def to_supervision(masks: "Masks") -> "supervision.Detections":
    """Return a supervision.Detections; see `Masks.to_supervision`."""
    try:
        import supervision
    except ImportError as error:
        raise MissingPackageError(
            "to_supervision needs the package supervision; install it with `pip install supervision`"
        ) from error
    data: dict[str, Any] = {}
    for name in ("stability", "points", "prompt", "crops"):
        if getattr(masks, name) is not None:
            data[name] = getattr(masks, name)
    class_ids = None
    if masks.labels is not None:
        names = ["" if label is None else label for label in masks.labels]
        order = {name: number for number, name in enumerate(sorted(set(names)))}
        class_ids = np.array([order[name] for name in names], dtype=int)
        data["class_name"] = np.array(names, dtype=str)
    return supervision.Detections(
        xyxy=masks.boxes.copy(),
        mask=masks.decode(),
        confidence=None if masks.scores is None else masks.scores.copy(),
        class_id=class_ids,
        data=data,
    )


def from_supervision(detections: "supervision.Detections", size: tuple[int, int] | None) -> "Masks":
    """Read a supervision.Detections; see `Masks.from_supervision`."""
    from anymask.segment.masks import Masks

    if len(detections) == 0:
        if size is None and detections.mask is None:
            raise MaskError("there are no detections, so the image's size=(height, width) must be given")
        return Masks.empty(size or cast(tuple[int, int], np.asarray(detections.mask).shape[1:]))
    if detections.mask is None:
        raise MaskError("these detections have boxes only; use the boxes as prompts to get masks")
    columns: dict[str, Any] = {
        name: detections.data[name] for name in ("stability", "points", "prompt", "crops") if name in detections.data
    }
    if detections.confidence is not None:
        columns["scores"] = detections.confidence
    if "class_name" in detections.data:
        columns["labels"] = [str(name) or None for name in detections.data["class_name"]]
    masks = Masks.from_arrays(np.asarray(detections.mask), **columns)
    if size is not None and masks.size != tuple(size):
        raise MaskError(f"the detections' masks have the size {masks.size}, not {tuple(size)} (height, width)")
    return masks


def cut_out(masks: "Masks", image: Any, position: int, pad: int, crop: bool) -> NDArray[np.uint8]:
    """Cut one object out of an image; see `Masks.cut_out`."""
    if pad < 0:
        raise MaskError(f"pad is a number of pixels of at least 0, got {pad}")
    pixels = read_image(image)
    height, width = masks.size
    if pixels.shape[:2] != masks.size:
        raise MaskError(f"the image is {pixels.shape[1]} x {pixels.shape[0]}, the masks are of {width} x {height}")
    if not crop:
        x0, y0, x1, y1 = 0, 0, width, height
    elif masks.areas[position] == 0:
        raise MaskError(f"mask {position} is empty, so there is nothing to crop to; use crop=False")
    else:
        left, top, right, bottom = masks.boxes[position].astype(int).tolist()
        x0, y0 = max(0, left - pad), max(0, top - pad)
        x1, y1 = min(width, right + pad), min(height, bottom + pad)
    alpha = rle.decode_crop(masks.rles[position], (x0, y0, x1, y1)).astype(np.uint8) * np.uint8(255)
    return np.dstack([pixels[y0:y1, x0:x1], alpha])


_COCO_COLUMNS = {
    "scores": ("score", "predicted_iou"),
    "stability": ("stability_score",),
    "points": ("point_coords",),
    "crops": ("crop_box",),
}
