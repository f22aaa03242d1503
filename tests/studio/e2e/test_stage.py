"""The stage: what it paints lies where the mask is, and wheel, keys and fingers move it."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import pytest

from .browser import StudioPage

COPIES = {"astronaut": 13}
ON_IT = (225, 120)

LAYER = """name => {
    const canvas = document.querySelector(`[data-testid=stage] canvas[data-layer=${name}]`);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (let i = 3; i < data.length; i += 4) text += String.fromCharCode(data[i]);
    return [canvas.width, canvas.height, btoa(text)];
}"""
TRANSFORM = "() => document.querySelector('[data-testid=stage] canvas[data-layer=objects]').style.transform"


def alpha(studio: StudioPage, layer: str) -> np.ndarray:
    """How opaque the pixels of a layer are."""
    width, height, values = studio.page.evaluate(LAYER, layer)
    return np.frombuffer(base64.b64decode(values), np.uint8).reshape(height, width)


def seen_pixels(studio: StudioPage, layer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The picture's pixels whose middles the stage shows, as rows and columns, and whether the layer covers these."""
    painted = alpha(studio, layer)
    scale, left, top = studio.viewport()
    box = studio.stage_box()
    x = np.floor((np.arange(512) + 0.5) * scale + left - box["x"]).astype(int)
    y = np.floor((np.arange(512) + 0.5) * scale + top - box["y"]).astype(int)
    columns = np.flatnonzero((x >= 0) & (x < painted.shape[1]))
    rows = np.flatnonzero((y >= 0) & (y < painted.shape[0]))
    return rows, columns, painted[np.ix_(y[rows], x[columns])] > 0


def rest(studio: StudioPage) -> None:
    """Until the viewport has come to rest and all is painted for it."""
    studio.wait_for_viewport(lambda: studio.page.evaluate(TRANSFORM) == "")


def make_object(studio: StudioPage, place: tuple[float, float] = ON_IT) -> dict[str, Any]:
    """A finished object."""
    studio.click(*place)
    made = studio.selected
    studio.press("Enter")
    studio.wait("state.selected === null")
    return made


def in_picture(studio: StudioPage, screen: tuple[float, float]) -> tuple[float, float]:
    scale, left, top = studio.viewport()
    return (screen[0] - left) / scale, (screen[1] - top) / scale


def edge_of(mask: np.ndarray) -> tuple[float, float]:
    """A place on the border of a mask, x and y."""
    rows, columns = np.nonzero(mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0))
    nearest = int(np.argmin(np.hypot(rows - 256, columns - 256)))
    return float(columns[nearest]), float(rows[nearest])


@pytest.mark.usefixtures("astronaut")
def test_near_by_the_objects_layer_covers_the_masks_pixels_and_no_other(studio):
    mask = studio.mask(make_object(studio))
    studio.move(*edge_of(mask))
    for _ in range(12):
        studio.page.mouse.wheel(0, -150)
    rest(studio)
    assert studio.viewport()[0] > 6
    rows, columns, covered = seen_pixels(studio, "objects")
    expected = mask[np.ix_(rows, columns)]
    assert 0 < expected.sum() < expected.size
    assert np.array_equal(covered, expected)


@pytest.mark.usefixtures("astronaut")
def test_at_full_size_the_objects_layer_differs_from_the_mask_only_at_its_border(studio):
    mask = studio.mask(make_object(studio))
    studio.press("Shift+Digit1")
    rest(studio)
    assert studio.viewport()[0] == 1
    rows, columns, covered = seen_pixels(studio, "objects")
    border = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    within = np.ix_(rows, columns)
    assert np.array_equal(covered[~border[within]], mask[within][~border[within]])


@pytest.mark.usefixtures("astronaut")
def test_the_picture_lies_exactly_under_the_objects(studio):
    for steps in (0, 14):
        for _ in range(steps):
            studio.page.mouse.wheel(0, -150)
        rest(studio)
        picture = studio.page.locator("[data-testid=stage] [data-shows]").bounding_box()
        scale, left, top = studio.viewport()
        assert (picture["x"], picture["y"]) == pytest.approx((left, top), abs=0.01)
        assert picture["width"] == pytest.approx(512 * scale, abs=0.1)
        studio.move(300, 300)


@pytest.mark.usefixtures("astronaut")
@pytest.mark.parametrize("modifier", [None, "Control"])
def test_the_wheel_zooms_to_the_pointer(studio, modifier):
    studio.move(400, 100)
    at = studio.on_screen(400, 100)
    before = studio.viewport()
    if modifier:
        studio.page.keyboard.down(modifier)
    for _ in range(3):
        studio.page.mouse.wheel(0, -120)
    if modifier:
        studio.page.keyboard.up(modifier)
    studio.wait_for_viewport_after(before)
    assert studio.viewport()[0] > 1.4 * before[0]
    assert in_picture(studio, at) == pytest.approx((400, 100), abs=1)
    near = studio.viewport()
    studio.press("f")
    studio.wait_for_viewport_after(near)
    assert studio.viewport() == pytest.approx(before)


@pytest.mark.usefixtures("astronaut")
def test_space_and_the_middle_button_move_the_picture_in_any_tool(studio):
    for tool in ("segment", "box"):
        studio.tool(tool)
        for button, key in (("left", "Space"), ("middle", None)):
            before = studio.viewport()
            studio.move(200, 200)
            start = studio.on_screen(200, 200)
            if key:
                studio.page.keyboard.down(key)
            studio.page.mouse.down(button=button)
            studio.page.mouse.move(start[0] + 30, start[1] + 20, steps=3)
            studio.page.mouse.up(button=button)
            if key:
                studio.page.keyboard.up(key)
            studio.wait_for_viewport_after(before)
            after = studio.viewport()
            assert (after[0], after[1] - before[1], after[2] - before[2]) == pytest.approx((before[0], 30, 20), abs=1)
    assert studio.objects == []


@pytest.mark.usefixtures("astronaut")
def test_space_does_not_press_the_button_that_was_clicked_last(studio):
    studio.tool("box")
    studio.page.get_by_test_id("tool-segment").click()
    studio.page.evaluate("() => document.querySelector('[data-testid=tool-box]').focus()")
    studio.move(200, 200)
    studio.press("Space")
    assert studio.state("tool") == "segment"


@pytest.mark.usefixtures("astronaut")
def test_a_double_click_takes_up_the_object_under_it_and_makes_none(studio):
    made = make_object(studio)
    studio.page.mouse.dblclick(*studio.on_screen(*ON_IT))
    studio.wait(f"state.selected === '{made['id']}' && !state.decoding")
    assert [(one["id"], one["counts"]) for one in studio.objects] == [(made["id"], made["counts"])]
    assert studio.selected["prompts"] == made["prompts"]


@pytest.mark.usefixtures("astronaut")
def test_a_double_click_on_nothing_is_one_click(studio):
    studio.page.mouse.dblclick(*studio.on_screen(*ON_IT))
    studio.wait("state.objects.length === 1 && !state.decoding")
    assert len(studio.selected["prompts"]["clicks"]) == 1


@pytest.mark.usefixtures("astronaut")
def test_escape_gives_up_a_box_that_is_dragged(studio):
    studio.tool("box")
    studio.move(100, 100)
    studio.page.mouse.down()
    studio.move(300, 300, steps=4)
    studio.press("Escape")
    studio.page.mouse.up()
    studio.until_so(lambda: not alpha(studio, "interaction").any())
    studio.wait_for_viewport()
    assert not alpha(studio, "interaction").any()
    assert studio.objects == []
    assert studio.state("waiting") == []


@pytest.mark.usefixtures("astronaut")
def test_two_fingers_zoom_and_move_without_a_click(studio):
    before = studio.viewport()
    fingers = studio.page.context.new_cdp_session(studio.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        listed = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": listed})

    x, y = studio.on_screen(256, 256)
    touch("touchStart", (x - 50, y))
    touch("touchStart", (x - 50, y), (x + 50, y))
    for spread in (60, 80, 100):
        touch("touchMove", (x - spread, y), (x + spread, y))
    touch("touchEnd", (x - 100, y))
    touch("touchEnd")
    studio.wait_for_viewport_after(before)
    fingers.detach()
    assert studio.viewport()[0] == pytest.approx(2 * before[0], rel=0.01)
    assert in_picture(studio, (x, y)) == pytest.approx((256, 256), abs=1)
    assert studio.objects == []
    assert studio.state("waiting") == []


@pytest.mark.usefixtures("astronaut")
def test_the_picture_stays_fitted_when_the_window_changes(studio):
    rest(studio)
    before = studio.viewport()
    studio.page.set_viewport_size({"width": 1000, "height": 600})
    studio.wait_for_viewport_after(before)
    scale, left, top = studio.viewport()
    box = studio.stage_box()
    assert left + 256 * scale == pytest.approx(box["x"] + box["width"] / 2, abs=1)
    assert top + 256 * scale == pytest.approx(box["y"] + box["height"] / 2, abs=1)
    assert 512 * scale < min(box["width"], box["height"])
    studio.page.set_viewport_size({"width": 1280, "height": 800})
    studio.wait_for_viewport_after((scale, left, top))
    assert studio.viewport() == pytest.approx(before)
