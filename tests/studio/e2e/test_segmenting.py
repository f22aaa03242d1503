"""Hover, click, refine, box, readings, undo: what an annotator does all day."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anymask

from .browser import StudioPage
from .server import Server

ON_IT, ALSO_ON_IT, NOT_ON_IT = (225, 120), (200, 380), (430, 150)
"""Places in the photograph of the astronaut."""
COPIES = {"astronaut": 8, "coffee": 3}


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(before.astype(int) - after.astype(int)).max(axis=2) > 8


def clicks_of(state: dict[str, Any]) -> list[tuple[int, int, bool]]:
    return [(round(one["x"]), round(one["y"]), one["positive"]) for one in state["prompts"]["clicks"]]


def watch_previews(studio: StudioPage) -> None:
    studio.page.evaluate(
        "() => { window.previews = []; window.anymaskStudio.session.onPreview(one => window.previews.push(one)); }"
    )


def painted(studio: StudioPage, name: str) -> int:
    """How often the stage has painted an answer of one kind."""
    return studio.page.evaluate("name => performance.getEntriesByName(name).length", name)  # type: ignore[no-any-return]


@pytest.mark.usefixtures("astronaut")
def test_hovering_shows_the_mask_under_the_pointer_and_leaving_takes_it_away(studio):
    watch_previews(studio)
    bare, paintings = studio.screenshot(), painted(studio, "anymask:pointer-to-mask")
    studio.move(*ON_IT)
    studio.until("window.previews.at(-1) != null")
    studio.until("paintings => performance.getEntriesByName('anymask:pointer-to-mask').length > paintings", paintings)
    x, y = (round(value) for value in studio.on_screen(*ON_IT))
    studio.until_so(lambda: changed(bare, studio.screenshot())[y - 3 : y + 4, x - 3 : x + 4].all())
    assert studio.objects == []

    studio.page.mouse.move(2, 2)
    studio.until("window.previews.at(-1) === null")
    scale, left, top = studio.viewport()
    inside = np.s_[round(top) : round(top + 512 * scale), round(left) : round(left + 512 * scale)]
    studio.until_so(lambda: not changed(bare, studio.screenshot())[inside].any())


def test_a_click_makes_a_saved_object_as_anymask_itself_answers_it(studio, server: Server, astronaut):
    studio.click(*ON_IT)
    studio.wait_until_saved()
    state = studio.selected
    assert studio.rows() == [state["id"]]
    assert server.objects(astronaut) == studio.objects
    assert clicks_of(state) == [(*ON_IT, True)]
    photo = anymask.load().encode(server.pictures / astronaut)
    click = state["prompts"]["clicks"][0]
    expected = photo.segment(points=[(click["x"], click["y"])])[0]
    assert state["score"] == pytest.approx(float(expected.scores[0]), abs=0.02)
    here = anymask.Masks.from_rles([{"size": [512, 512], "counts": state["counts"]}])
    assert expected.iou(here) > 0.97


def test_two_more_clicks_refine_it_and_undo_and_redo_walk_over_all_of_it(studio, server: Server, astronaut):
    studio.click(*ON_IT)
    first = studio.selected
    studio.click(*ALSO_ON_IT)
    second = studio.selected
    studio.click(*NOT_ON_IT, button="right")
    third = studio.selected
    assert len({first["id"], second["id"], third["id"]}) == 1
    assert len({first["counts"], second["counts"], third["counts"]}) == 3
    assert clicks_of(third) == [(*ON_IT, True), (*ALSO_ON_IT, True), (*NOT_ON_IT, False)]
    assert studio.mask(second)[ALSO_ON_IT[::-1]]
    assert not studio.mask(third)[NOT_ON_IT[::-1]]

    studio.tool("box")
    studio.drag((30, 5), (440, 511))
    box = studio.selected
    assert np.allclose(box["prompts"]["box"], (30, 5, 440, 511), atol=1)
    studio.wait_until_saved()

    studio.press("Control+z")
    assert [one["counts"] for one in studio.objects] == [third["counts"]]
    counts = []
    for _ in range(10):
        if not studio.objects:
            break
        counts.append(studio.objects[0]["counts"])
        studio.press("Control+z")
    assert list(dict.fromkeys(counts)) == [third["counts"], second["counts"], first["counts"]]
    studio.wait_until_saved()
    assert server.objects(astronaut) == []

    for _ in range(10):
        studio.press("Control+Shift+z")
    studio.wait_until_saved()
    assert [one["counts"] for one in studio.objects] == [third["counts"], box["counts"]]
    assert server.objects(astronaut) == studio.objects


@pytest.mark.usefixtures("astronaut")
@pytest.mark.parametrize("way", ["right button", "Alt", "remove tool"])
def test_three_ways_to_take_away(studio, way):
    studio.click(*ON_IT)
    before = studio.selected
    if way == "right button":
        studio.click(*NOT_ON_IT, button="right")
    elif way == "Alt":
        studio.click(*NOT_ON_IT, modifier="Alt")
    else:
        studio.tool("remove")
        studio.click(*NOT_ON_IT)
    after = studio.selected
    assert after["id"] == before["id"]
    assert clicks_of(after) == [(*ON_IT, True), (*NOT_ON_IT, False)]
    studio.press("Delete")
    assert studio.objects == []


def test_clicking_a_point_takes_it_back(studio, server: Server, coffee):
    studio.click(285, 170)
    first = studio.selected
    studio.click(100, 230)
    studio.click(560, 60, button="right")
    studio.click(100, 230)
    assert clicks_of(studio.selected) == [(285, 170, True), (560, 60, False)]
    studio.click(560, 60)
    again = studio.selected
    assert (clicks_of(again), again["counts"]) == ([(285, 170, True)], first["counts"])
    studio.click(285, 170)
    assert studio.objects == []
    studio.press("Control+z")
    assert studio.objects[0]["counts"] == first["counts"]
    studio.wait_until_saved()
    assert [one["counts"] for one in server.objects(coffee)] == [first["counts"]]


@pytest.mark.usefixtures("astronaut")
def test_the_three_readings_of_a_click(studio):
    studio.click(*ON_IT)
    readings = studio.state("readings")
    assert [one["area"] for one in readings["candidates"]] == sorted(one["area"] for one in readings["candidates"])
    assert len({one["counts"] for one in readings["candidates"]}) == 3
    best = max(range(3), key=lambda index: readings["candidates"][index]["score"])
    assert readings["chosen"] == best
    for step in range(1, 4):
        studio.press("g")
        studio.wait_until_decoded()
        chosen = (best + step) % 3
        assert studio.state("readings")["chosen"] == chosen
        assert studio.page.get_by_test_id("readings").get_attribute("data-chosen") == str(chosen)
        assert studio.selected["counts"] == readings["candidates"][chosen]["counts"]
    studio.press("Shift+G")
    assert studio.state("readings")["chosen"] == (best - 1) % 3
    # What is refined is the reading that was taken.
    studio.click(*ALSO_ON_IT)
    assert studio.state("readings") is None
    assert studio.selected["prompts"]["choice"] == (best - 1) % 3


@pytest.mark.usefixtures("coffee")
def test_a_box_is_decoded_while_it_is_dragged_and_clicks_in_it_refine(studio):
    watch_previews(studio)
    studio.tool("box")

    def previewed() -> None:
        studio.until("window.previews.filter(one => one != null).length > 0")
        assert studio.objects == []

    studio.drag((70, 10), (485, 385), previewed)
    box = studio.selected
    assert np.allclose(box["prompts"]["box"], (70, 10, 485, 385), atol=1)
    studio.click(285, 170)
    refined = studio.selected
    assert refined["id"] == box["id"]
    assert (refined["prompts"]["box"], clicks_of(refined)) == (box["prompts"]["box"], [(285, 170, True)])
    # From the lower right to the upper left is the same box, of another object.
    studio.drag((485, 385), (70, 10))
    assert len(studio.objects) == 2
    assert np.allclose(studio.selected["prompts"]["box"], (70, 10, 485, 385), atol=1)


def test_keys_do_everything_but_point(studio, server: Server, astronaut):
    studio.press("b")
    studio.drag((30, 5), (440, 511))
    studio.press("Enter", "s")
    studio.click(*ON_IT)
    studio.press("g", "n", "?")
    help_sheet = studio.page.get_by_test_id("help-sheet")
    help_sheet.wait_for(state="visible")
    studio.press("Escape")
    help_sheet.wait_for(state="hidden")
    assert studio.state("selected") is None
    assert len(studio.objects) == 2
    studio.press("k")
    last = studio.selected
    studio.press("l")
    studio.page.get_by_test_id("label-input").wait_for(state="visible")
    studio.page.keyboard.type("face d")
    studio.press("Enter")
    assert studio.selected["label"] == "face d"
    studio.press("x")
    assert studio.selected["visible"] is False
    studio.press("x", "Delete")
    assert last["id"] not in [one["id"] for one in studio.objects]
    studio.press("Control+z", "d")
    studio.wait(f"state.picture.name !== {astronaut!r}")
    studio.press("a")
    studio.wait(f"state.picture.name === {astronaut!r} && state.objects.length === 2")
    studio.wait_until_ready()
    studio.wait_until_saved()
    assert [one["label"] for one in server.objects(astronaut)] == [None, "face d"]


@pytest.mark.usefixtures("coffee")
def test_hidden_masks_are_not_painted(studio):
    bare = studio.screenshot()
    studio.click(285, 170)
    studio.press("Enter")
    studio.page.mouse.move(2, 2)
    studio.wait_for_viewport()
    shown = studio.screenshot()
    scale, left, top = studio.viewport()
    inside = np.s_[round(top) : round(top + 400 * scale), round(left) : round(left + 600 * scale)]
    assert changed(bare, shown)[inside].any()
    studio.press("m")
    studio.until_so(lambda: not changed(bare, studio.screenshot())[inside].any())
    studio.press("m")
    studio.until_so(lambda: not changed(shown, studio.screenshot())[inside].any())
