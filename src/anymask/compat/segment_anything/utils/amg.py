"""What the published mask generator is made of, by its names, for code that builds its own out of it.

Boxes are (x0, y0, x1, y1) of the first and the last column and row, as in the published package.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anymask.compat.segment_anything.errors import ArgumentError
from anymask.segment import rle as compressed
from anymask.segment.grids import crop_boxes, layer_point_grids, point_grid
from anymask.segment.regions import drop_small_islands, fill_small_holes


class MaskData:
    """Columns of facts about masks, each a list, an array or a tensor with one row a mask.

    Raises:
        ArgumentError: a column is something else (an AssertionError).
    """

    def __init__(self, **kwargs: Any) -> None:
        self._stats: dict[str, Any] = {}
        for key, value in kwargs.items():
            self[key] = value

    def __setitem__(self, key: str, item: Any) -> None:
        if not isinstance(item, list | np.ndarray | Tensor):
            raise ArgumentError(f"MaskData takes lists, arrays and tensors; {key} is a {type(item).__name__}")
        self._stats[key] = item

    def __delitem__(self, key: str) -> None:
        del self._stats[key]

    def __getitem__(self, key: str) -> Any:
        return self._stats[key]

    def items(self) -> ItemsView[str, Any]:
        """Names and columns."""
        return self._stats.items()

    def filter(self, keep: Tensor) -> None:
        """Keep the rows that a boolean tensor ``[N]`` marks, or that a tensor of positions names, in its order."""
        for key, column in self._stats.items():
            if isinstance(column, Tensor):
                self._stats[key] = column[keep.to(column.device)]
            elif isinstance(column, np.ndarray):
                self._stats[key] = column[keep.detach().cpu().numpy()]
            elif isinstance(column, list):
                positions = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
                self._stats[key] = [column[position] for position in positions.tolist()]

    def cat(self, new_stats: MaskData) -> None:
        """Append the rows of another MaskData; columns that are not here yet are copied."""
        for key, column in new_stats.items():
            here = self._stats.get(key)
            if here is None:
                self._stats[key] = deepcopy(column)
            elif isinstance(column, Tensor):
                self._stats[key] = torch.cat([here, column])
            elif isinstance(column, np.ndarray):
                self._stats[key] = np.concatenate([here, column])
            else:
                self._stats[key] = here + deepcopy(column)

    def to_numpy(self) -> None:
        """Turn tensors into arrays."""
        for key, column in self._stats.items():
            if isinstance(column, Tensor):
                self._stats[key] = column.detach().cpu().numpy()


def is_box_near_crop_edge(boxes: Tensor, crop_box: list[int], orig_box: list[int], atol: float = 20.0) -> Tensor:
    """Say which boxes ``[N, 4]`` of a crop come within ``atol`` of its edges, but not of the image's; bool ``[N]``."""
    in_image = uncrop_boxes_xyxy(boxes, crop_box).float()
    near_crop = (in_image - torch.tensor(crop_box, device=boxes.device)).abs() <= atol
    near_image = (in_image - torch.tensor(orig_box, device=boxes.device)).abs() <= atol
    return (near_crop & ~near_image).any(dim=1)


def box_xyxy_to_xywh(box_xyxy: Any) -> Any:
    """Turn one box (x0, y0, x1, y1), tensor, array or list, into a new (x, y, x1 - x0, y1 - y0)."""
    box = deepcopy(box_xyxy)
    box[2] = box[2] - box[0]
    box[3] = box[3] - box[1]
    return box


def batch_iterator(batch_size: int, *args: Any) -> Iterator[list[Any]]:
    """Yield successive batches of sequences of equal length, together.

    Raises:
        ArgumentError: there are no sequences, or of different lengths (an AssertionError).
    """
    if not args or len({len(sequence) for sequence in args}) > 1:
        raise ArgumentError(f"batches need sequences of one length, not of {[len(sequence) for sequence in args]}")
    for start in range(0, len(args[0]), batch_size):
        yield [sequence[start : start + batch_size] for sequence in args]


def mask_to_rle_pytorch(tensor: Tensor) -> list[dict[str, Any]]:
    """Encode boolean masks ``[N, H, W]`` as uncompressed COCO RLEs: down the columns, background first."""
    return [uncompressed_rle(compressed.encode_mask(mask)) for mask in tensor.detach().cpu().numpy()]


def uncompressed_rle(rle: compressed.RLE) -> dict[str, Any]:
    """Turn a compressed RLE into one whose counts are a list of numbers."""
    return {"size": list(rle["size"]), "counts": compressed.decode_counts(rle).tolist()}


def rle_to_mask(rle: dict[str, Any]) -> NDArray[np.bool_]:
    """Decode an uncompressed RLE to bool ``[H, W]``."""
    height, width = rle["size"]
    counts = np.asarray(rle["counts"], dtype=np.int64)
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def area_from_rle(rle: dict[str, Any]) -> int:
    """Count the foreground pixels of an uncompressed RLE."""
    return int(sum(rle["counts"][1::2]))


def calculate_stability_score(masks: Tensor, mask_threshold: float, threshold_offset: float) -> Tensor:
    """Score how little masks depend on the threshold of their logits ``[..., H, W]``; ``[...]``, NaN for nothing."""
    inner = (masks > mask_threshold + threshold_offset).flatten(-2).sum(-1, dtype=torch.int32)
    outer = (masks > mask_threshold - threshold_offset).flatten(-2).sum(-1, dtype=torch.int32)
    return inner / outer


def build_point_grid(n_per_side: int) -> NDArray[np.float64]:
    """Return n × n evenly spaced points (x, y) in 0..1, float64 ``[n², 2]``, row by row."""
    return point_grid(n_per_side)


def build_all_layer_point_grids(n_per_side: int, n_layers: int, scale_per_layer: int) -> list[NDArray[np.float64]]:
    """Return the grid of the image and of each layer of crops, each thinner by the scale."""
    return layer_point_grids(n_per_side, n_layers, scale_per_layer)


def generate_crop_boxes(
    im_size: tuple[int, ...], n_layers: int, overlap_ratio: float
) -> tuple[list[list[int]], list[int]]:
    """Lay out an image of (height, width) and its crops: boxes [x0, y0, x1, y1], and the layer of each."""
    return crop_boxes((im_size[0], im_size[1]), n_layers, overlap_ratio)


def uncrop_boxes_xyxy(boxes: Tensor, crop_box: list[int]) -> Tensor:
    """Move boxes ``[..., 4]`` from a crop to the image."""
    return boxes + torch.tensor([*crop_box[:2], *crop_box[:2]], device=boxes.device)


def uncrop_points(points: Tensor, crop_box: list[int]) -> Tensor:
    """Move points ``[..., 2]`` from a crop to the image."""
    return points + torch.tensor(crop_box[:2], device=points.device)


def uncrop_masks(masks: Tensor, crop_box: list[int], orig_h: int, orig_w: int) -> Tensor:
    """Put masks ``[N, h, w]`` of a crop on background of the image's size; the masks themselves if that is theirs."""
    x0, y0, x1, y1 = crop_box
    if (x0, y0, x1, y1) == (0, 0, orig_w, orig_h):
        return masks
    return F.pad(masks, (x0, orig_w - x1, y0, orig_h - y1), value=0)


def remove_small_regions(mask: NDArray[np.bool_], area_thresh: float, mode: str) -> tuple[NDArray[np.bool_], bool]:
    """Fill small holes of a mask, or drop small islands (not the largest), and say whether there were any.

    Raises:
        ArgumentError: the mode is neither "holes" nor "islands" (an AssertionError).
    """
    if mode not in ("holes", "islands"):
        raise ArgumentError(f"mode is 'holes' or 'islands', not {mode!r}")
    given = np.asarray(mask, dtype=np.bool_)
    cleaned = (fill_small_holes if mode == "holes" else drop_small_islands)(given, area_thresh)
    return (mask, False) if cleaned is given else (cleaned, True)


def coco_encode_rle(uncompressed_rle: dict[str, Any]) -> dict[str, Any]:
    """Compress an uncompressed RLE, with its counts as str, which JSON takes."""
    height, width = uncompressed_rle["size"]
    rle = compressed.encode_counts(uncompressed_rle["counts"], (height, width))
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """Return the box of each mask ``[..., H, W]`` as ``[..., 4]``; zeros for an empty mask."""
    if masks.numel() == 0:
        return torch.zeros(*masks.shape[:-2], 4, device=masks.device)
    there = masks != 0
    edges = []
    for filled in (there.any(dim=-2), there.any(dim=-1)):
        places = torch.arange(filled.shape[-1], device=masks.device)
        first = torch.where(filled, places, filled.shape[-1]).amin(dim=-1)
        edges.append((first, torch.where(filled, places, -1).amax(dim=-1)))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top, right, bottom], dim=-1) * there.flatten(-2).any(dim=-1, keepdim=True)
