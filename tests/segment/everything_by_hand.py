"""Everything mode a second time, plainly: full-size logits of every mask, crop by crop, and all pairs of boxes."""

import math

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from anymask.segment.frame import Frame


def naive_suppression(boxes, scores, threshold):
    """Positions of the boxes that stay, best first; two boxes without area have no overlap."""
    boxes = np.asarray(boxes, dtype=np.float32)
    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        ax0, ay0, ax1, ay1 = boxes[index]
        for other in kept:
            bx0, by0, bx1, by1 = boxes[other]
            width, height = min(ax1, bx1) - max(ax0, bx0), min(ay1, by1) - max(ay0, by0)
            shared = max(width, np.float32(0)) * max(height, np.float32(0))
            union = (bx1 - bx0) * (by1 - by0) + (ax1 - ax0) * (ay1 - ay0) - shared
            if union > 0 and float(shared / union) > threshold:
                break
        else:
            kept.append(index)
    return kept


def last_pixel_box(mask):
    """(x0, y0, x1, y1) of the first and last column and row; zeros for an empty mask."""
    if not mask.any():
        return [0, 0, 0, 0]
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return [columns[0], rows[0], columns[-1], rows[-1]]


def crops_by_hand(height, width, layers, ratio):
    yield (0, 0, width, height), 0
    for layer in range(layers):
        count = 2 ** (layer + 1)
        overlap = int(ratio * min(height, width) * (2 / count))
        crop_width = math.ceil((overlap * (count - 1) + width) / count)
        crop_height = math.ceil((overlap * (count - 1) + height) / count)
        for i in range(count):
            for j in range(count):
                x, y = i * (crop_width - overlap), j * (crop_height - overlap)
                yield (x, y, min(x + crop_width, width), min(y + crop_height, height)), layer + 1


def clean_by_hand(mask, least, fill):
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((mask ^ fill).astype(np.uint8), connectivity=8)
    areas = {label: statistics[label, cv2.CC_STAT_AREA] for label in range(1, count)}
    small = [label for label, area in areas.items() if area < least]
    if not small:
        return mask, False
    if fill:
        return mask | np.isin(labels, small), True
    large = [label for label in areas if label not in small] or [max(areas, key=areas.get)]
    return np.isin(labels, large), True


@torch.no_grad()
def everything_by_hand(
    network,
    image,
    points_per_side=32,
    pred_iou_thresh=0.88,
    stability_score_thresh=0.95,
    stability_score_offset=1.0,
    box_nms_thresh=0.7,
    crop_n_layers=0,
    crop_nms_thresh=0.7,
    crop_overlap_ratio=512 / 1500,
    crop_n_points_downscale_factor=1,
    min_mask_region_area=0,
    points_per_batch=8,
):
    """Records (mask, box to the last pixels, predicted IoU, stability, point, crop), in the published order."""
    height, width = image.shape[:2]
    side = network.input_side
    found, crops = [], list(crops_by_hand(height, width, crop_n_layers, crop_overlap_ratio))
    for (x0, y0, x1, y1), layer in crops:
        crop = np.ascontiguousarray(image[y0:y1, x0:x1])
        frame = Frame(y1 - y0, x1 - x0, side)
        pixels = torch.from_numpy(frame.resize_image(crop)).permute(2, 0, 1).float()
        embedding = network.image_encoder(network.preprocess(pixels[None]))
        count = int(points_per_side / crop_n_points_downscale_factor**layer)
        along = [(i + 0.5) / count for i in range(count)]
        grid = [(x * (x1 - x0), y * (y1 - y0)) for y in along for x in along]
        in_crop = []
        for start in range(0, len(grid), points_per_batch):
            points = grid[start : start + points_per_batch]
            asked = torch.from_numpy(frame.to_model(points))[:, None]
            sparse, dense = network.prompt_encoder((asked, torch.ones(len(points), 1)), None, None)
            positions = network.prompt_encoder.get_dense_pe()
            low_res, scores = network.mask_decoder(embedding, positions, sparse, dense, True)
            for point, maps, its_scores in zip(points, low_res, scores, strict=True):
                full = F.interpolate(maps[None], (side, side), mode="bilinear", align_corners=False)
                full = full[..., : frame.input_height, : frame.input_width]
                full = F.interpolate(full, (y1 - y0, x1 - x0), mode="bilinear", align_corners=False)[0]
                for logits, score in zip(full.numpy(), its_scores.tolist(), strict=True):
                    if pred_iou_thresh > 0 and not score > pred_iou_thresh:
                        continue
                    above = np.float32((logits > stability_score_offset).sum())
                    below = np.float32((logits > -stability_score_offset).sum())
                    stability = above / below if below else np.nan
                    if stability_score_thresh > 0 and not stability >= stability_score_thresh:
                        continue
                    whole = np.zeros((height, width), dtype=bool)
                    whole[y0:y1, x0:x1] = logits > 0
                    box = last_pixel_box(logits > 0)
                    box = [box[0] + x0, box[1] + y0, box[2] + x0, box[3] + y0]
                    near_crop = np.abs(np.subtract(box, (x0, y0, x1, y1))) <= 20
                    near_image = np.abs(np.subtract(box, (0, 0, width, height))) <= 20
                    if (near_crop & ~near_image).any():
                        continue
                    at = (point[0] + x0, point[1] + y0)
                    in_crop.append((whole, box, score, stability, at, (x0, y0, x1, y1)))
        chosen = naive_suppression([one[1] for one in in_crop], [one[2] for one in in_crop], box_nms_thresh)
        found += [in_crop[index] for index in chosen]
    if len(crops) > 1:
        areas = [(one[5][2] - one[5][0]) * (one[5][3] - one[5][1]) for one in found]
        chosen = naive_suppression([one[1] for one in found], [1 / area for area in areas], crop_nms_thresh)
        found = [found[index] for index in chosen]
    if min_mask_region_area > 0:
        cleaned, unchanged = [], []
        for mask, box, *others in found:
            filled, holes = clean_by_hand(mask, min_mask_region_area, True)
            mask, islands = clean_by_hand(filled, min_mask_region_area, False)
            changed = holes or islands
            cleaned.append((mask, last_pixel_box(mask) if changed else box, *others))
            unchanged.append(float(not changed))
        threshold = max(box_nms_thresh, crop_nms_thresh)
        chosen = naive_suppression([one[1] for one in cleaned], unchanged, threshold)
        found = [cleaned[index] for index in chosen]
    return found
