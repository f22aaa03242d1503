"""What is exported is what was made and what the screen showed, in every format; and it comes back."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import anymask.formats

from .browser import StudioPage, pixels_of
from .server import Server

COPIES = {"astronaut": 3, "coffee": 4}
# Outlines are painted along the border, half of their width on either side, and with soft edges.
BORDER = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))


def export(studio: StudioPage, format_name: str, place: Path, with_pictures: bool = False) -> Path:
    """Export everything by the dialog, and give back the file that the browser saved."""
    studio.press("Control+e")
    page = studio.page
    page.get_by_test_id("export-format").select_option(format_name)
    page.get_by_test_id("export-pictures").set_checked(with_pictures)
    with page.expect_download() as download:
        page.get_by_test_id("export-start").click()
    saved = place / download.value.suggested_filename
    download.value.save_as(saved)
    page.get_by_test_id("export-done").wait_for()
    studio.press("Escape")
    page.get_by_test_id("export-dialog").wait_for(state="hidden")
    return saved


def import_file(studio: StudioPage, file: Path) -> None:
    """Choose a file in the import dialog and begin."""
    studio.press("Control+i")
    studio.page.get_by_test_id("import-file").set_input_files(file)
    studio.page.get_by_test_id("import-start").click()


def annotate(studio: StudioPage) -> list[dict[str, Any]]:
    """Three objects on the photograph of a cup of coffee: by click, by clicks, by box."""
    studio.click(285, 170)
    studio.press("1", "Enter")
    studio.click(100, 230)
    studio.click(560, 60, button="right")
    studio.press("Enter")
    studio.tool("box")
    studio.drag((410, 90), (590, 340))
    studio.press("Enter")
    studio.wait_until_saved()
    return studio.objects


def masks_of(picture: str, content: dict[str, Any]) -> list[np.ndarray]:
    """Masks of one picture in a COCO file, decoded by pycocotools."""
    image = next(one for one in content["images"] if one["file_name"] == picture)
    mine = [one for one in content["annotations"] if one["image_id"] == image["id"]]
    return [pixels_of(one["segmentation"], image["height"], image["width"]) for one in mine]


def test_the_coco_file_holds_exactly_what_the_screen_showed(studio, coffee, tmp_path):
    fitted = studio.viewport()
    studio.press("Shift+1")
    studio.wait_for_viewport_after(fitted)
    studio.page.mouse.move(2, 2)
    scale, left, top = studio.viewport()
    assert scale == 1
    bare, free = studio.screenshot(), stage_is_free(studio, left, top)
    objects = annotate(studio)
    studio.page.mouse.move(2, 2)
    shown = studio.screenshot()
    free &= stage_is_free(studio, left, top)
    assert studio.viewport() == (scale, left, top)

    content = json.loads(export(studio, "coco", tmp_path).read_text())
    exported = masks_of(coffee, content)
    assert len(exported) == 3
    for mask, state in zip(exported, objects, strict=True):
        assert np.array_equal(mask, studio.mask(state))

    union = np.logical_or.reduce(exported)
    window = np.s_[round(top) : round(top) + 400, round(left) : round(left) + 600]
    painted = np.abs(bare[window].astype(int) - shown[window].astype(int)).max(axis=2) > 4
    inside = cv2.erode(union.astype(np.uint8), BORDER, borderValue=1).astype(bool)
    outside = ~cv2.dilate(union.astype(np.uint8), BORDER, borderValue=0).astype(bool)
    assert inside.sum() > 10_000
    assert outside.sum() > 10_000
    assert painted[inside & free].mean() > 0.999
    assert not painted[outside & free].any()


def stage_is_free(studio: StudioPage, left: float, top: float) -> np.ndarray:
    """Where nothing of the page lies over the picture, such as a notice."""
    free = np.ones((400, 600), dtype=bool)
    boxes = studio.page.evaluate(
        """() => {
            const stage = document.querySelector("[data-testid=stage]");
            const over = [...document.querySelectorAll("body *")].filter(
                (one) => !stage.contains(one) && !one.contains(stage));
            const inside = [...stage.querySelectorAll("button, [role=status], [data-testid]")];
            return [...over, ...inside].map((one) => one.getBoundingClientRect().toJSON());
        }"""
    )
    for box in boxes:
        x0, y0 = int(box["left"] - left), int(box["top"] - top)
        x1, y1 = int(box["right"] - left) + 1, int(box["bottom"] - top) + 1
        free[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = False
    assert free.mean() > 0.5
    return free


@pytest.mark.parametrize("format_name", ["yolo", "labelme", "label-map"])
def test_other_formats_read_back_as_the_same_objects(studio, server: Server, coffee, tmp_path, format_name):
    objects = annotate(studio)
    saved = export(studio, format_name, tmp_path, with_pictures=True)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    back = {image.name: image for image in anymask.formats.read(folder, format_name, pictures=server.pictures)}
    masks = back[coffee].masks
    assert len(masks) >= 1
    union = np.logical_or.reduce([studio.mask(one) for one in objects])
    found = np.logical_or.reduce(list(masks.decode()))
    assert (found & union).sum() / (found | union).sum() > 0.97


def test_what_was_exported_comes_back_by_import_once(studio, server: Server, astronaut, tmp_path):
    studio.click(225, 120)
    studio.press("Enter")
    studio.click(30, 250)
    studio.press("Enter")
    studio.wait_until_saved()
    made = studio.objects
    saved = export(studio, "coco", tmp_path)
    for state in made:
        studio.page.get_by_test_id("object-list").locator(f"[data-object='{state['id']}']").click()
        studio.press("Delete")
    studio.wait_until_saved()
    assert server.objects(astronaut) == []
    count = len(json.loads(saved.read_text())["annotations"])
    for said in ("2 masks came in", f"{count} were here before"):
        import_file(studio, saved)
        assert said in studio.page.get_by_test_id("import-done").inner_text()
        studio.press("Escape")
        studio.wait("state.objects.length === 2")
    assert [one["counts"] for one in studio.objects] == [one["counts"] for one in made]
    assert {one["source"] for one in studio.objects} == {"imported"}
    assert len(server.objects(astronaut)) == 2

    # An imported mask is refined by a click as any other is.
    studio.tool("segment")
    studio.page.get_by_test_id("object-list").locator(f"[data-object='{studio.objects[0]['id']}']").click()
    studio.click(120, 420)
    refined = studio.selected
    assert refined["prompts"]["base"] == made[0]["counts"]
    assert refined["counts"] != made[0]["counts"]
    studio.wait_until_saved()


@pytest.mark.usefixtures("astronaut")
def test_a_file_that_is_none_is_refused_in_a_sentence(studio, tmp_path):
    wrong = tmp_path / "holiday.json"
    wrong.write_text('{"hello": 1}')
    import_file(studio, wrong)
    refusal = studio.page.get_by_test_id("import-dialog").get_by_role("alert")
    assert "holiday.json" in refusal.inner_text()
    assert "Traceback" not in refusal.inner_text()
    studio.press("Escape")
    assert studio.objects == []
