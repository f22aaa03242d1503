"""Faster than the machine, and carelessly: nothing is lost, nothing is mixed up."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from .browser import StudioPage
from .server import Server

COPIES = {"astronaut": 7, "coffee": 7}


def fast_click(studio: StudioPage, x: float, y: float, button: str = "left") -> None:
    """Click without waiting for an answer."""
    studio.page.mouse.click(*studio.on_screen(x, y), button=button)  # type: ignore[arg-type]


def stored_as_shown(studio: StudioPage, server: Server, picture: str) -> None:
    studio.wait_until_saved()
    assert server.objects(picture) == studio.objects


def test_sixty_quick_clicks(studio: StudioPage, server: Server, astronaut):
    generator = random.Random(0)
    scale, left, top = studio.viewport()
    for number in range(60):
        x, y = left + scale * generator.uniform(5, 507), top + scale * generator.uniform(5, 507)
        studio.page.mouse.click(x, y)
        if number % 5 == 4:
            studio.press("Enter")
    studio.wait_until_decoded()
    stored_as_shown(studio, server, astronaut)
    objects = studio.objects
    # A click on a point takes it back, so there may be a few fewer.
    assert 10 <= len(objects) <= 12
    assert sum(len(one["prompts"]["clicks"]) for one in objects) >= 50
    assert all(studio.mask(one).any() for one in objects)


def test_double_clicks(studio: StudioPage, server: Server, coffee):
    studio.page.mouse.dblclick(*studio.on_screen(285, 170))
    studio.wait_until_decoded()
    stored_as_shown(studio, server, coffee)
    assert len(studio.objects) <= 1
    studio.press("Enter")
    studio.page.mouse.dblclick(*studio.on_screen(100, 230))
    studio.wait_until_decoded()
    stored_as_shown(studio, server, coffee)


def test_clicks_while_the_picture_changes_stay_with_their_picture(studio: StudioPage, server: Server, coffee, copies):
    neighbour = next(copies["coffee"]).name
    fast_click(studio, 285, 170)
    studio.press("d")
    studio.wait(f"state.picture.name === {neighbour!r}")
    fast_click(studio, 300, 200)
    studio.press("a")
    studio.wait(f"state.picture.name === {coffee!r}")
    studio.wait_until_ready()
    studio.wait_until_saved()
    studio.wait("state.objects.length === 1")
    (mine,) = studio.objects
    assert mine["prompts"]["clicks"][0]["x"] == pytest.approx(285, abs=1)
    assert studio.mask(mine).any()
    stored_as_shown(studio, server, coffee)
    studio.go_to(neighbour)
    studio.wait_until_saved()
    stored_as_shown(studio, server, neighbour)
    assert all(one["prompts"]["clicks"][0]["x"] == pytest.approx(300, abs=1) for one in studio.objects)


def test_running_through_the_pictures_and_back(studio: StudioPage, server: Server, pictures: Path):
    names = sorted(one.name for one in pictures.glob("*.png"))
    for key in "d" * 10 + "a" * 10:
        studio.press(key)
    studio.go_to(names[-4])
    studio.press(*"d" * 9)
    studio.wait(f"state.picture.name === {names[-1]!r}")
    studio.wait_until_ready()
    studio.click(256, 200)
    studio.press("Enter")
    assert len(studio.objects) == 1
    stored_as_shown(studio, server, names[-1])


def test_undo_and_redo_while_it_decodes(studio: StudioPage, server: Server, astronaut):
    for x in (100, 200, 300, 400):
        fast_click(studio, x, 250)
        studio.press("Control+z", "Control+y")
    studio.wait_until_decoded()
    stored_as_shown(studio, server, astronaut)
    for _ in range(12):
        studio.press("Control+z")
    studio.wait_until_decoded()
    assert studio.objects == []
    stored_as_shown(studio, server, astronaut)
    for _ in range(12):
        studio.press("Control+y")
    studio.wait_until_decoded()
    assert sum(len(one["prompts"]["clicks"]) for one in studio.objects) == 4
    stored_as_shown(studio, server, astronaut)


def test_a_box_dragged_out_of_the_window_ends_at_the_picture(studio: StudioPage, server: Server, coffee):
    studio.tool("box")
    studio.move(300, 200)
    studio.page.mouse.down()
    studio.page.mouse.move(1270, 790, steps=4)
    studio.page.mouse.move(4000, 4000, steps=2)
    studio.page.mouse.up()
    studio.wait_until_decoded()
    assert np.allclose(studio.selected["prompts"]["box"], (300, 200, 600, 400), atol=1)
    stored_as_shown(studio, server, coffee)
    studio.press("Enter")
    studio.drag((50, 50), (150, 150))
    assert len(studio.objects) == 2


def test_a_drag_is_given_up_by_escape(studio: StudioPage, server: Server, coffee):
    studio.tool("box")
    studio.move(100, 100)
    studio.page.mouse.down()
    studio.move(300, 300, steps=4)
    studio.press("Escape")
    studio.page.mouse.up()
    studio.wait_until_decoded()
    assert studio.objects == []
    stored_as_shown(studio, server, coffee)


def test_delete_while_it_decodes_and_clicks_beside_the_picture(studio: StudioPage, server: Server, astronaut):
    fast_click(studio, 225, 120)
    studio.press("Delete")
    studio.wait_until_decoded()
    assert studio.objects == []
    _, left, top = studio.viewport()
    stage = studio.stage_box()
    if left - stage["x"] > 6:
        studio.page.mouse.click(stage["x"] + 3, stage["y"] + stage["height"] / 2)
    elif top - stage["y"] > 6:
        studio.page.mouse.click(stage["x"] + stage["width"] / 2, stage["y"] + 3)
    studio.wait_until_decoded()
    assert studio.objects == []
    stored_as_shown(studio, server, astronaut)


def test_zoomed_and_panned_a_click_is_where_the_pointer_is(studio: StudioPage, server: Server, astronaut):
    before = studio.viewport()
    # Browsers give mice whole pixels.
    x, y = (round(value) for value in studio.on_screen(400, 100))
    under = (x - before[1]) / before[0], (y - before[2]) / before[0]
    studio.page.mouse.move(x, y)
    for _ in range(4):
        studio.page.mouse.wheel(0, -240)
    studio.wait_for_viewport_after(before)
    zoomed = studio.viewport()
    assert zoomed[0] > 1.5 * before[0]
    assert studio.on_screen(*under) == pytest.approx((x, y), abs=1)
    studio.page.keyboard.down("Space")
    studio.page.mouse.down()
    studio.page.mouse.move(x - 90, y + 60, steps=5)
    studio.page.mouse.up()
    studio.page.keyboard.up("Space")
    studio.wait_for_viewport_after(zoomed)
    assert studio.on_screen(*under) == pytest.approx((x - 90, y + 60), abs=1)
    assert studio.objects == []
    studio.click(380, 90)
    click = studio.selected["prompts"]["clicks"][0]
    assert (click["x"], click["y"]) == pytest.approx((380, 90), abs=1)
    stored_as_shown(studio, server, astronaut)


def test_typing_a_label_is_no_command(studio: StudioPage, server: Server, astronaut):
    studio.click(225, 120)
    studio.press("l")
    studio.page.get_by_test_id("label-input").wait_for(state="visible")
    studio.page.keyboard.type("dbsxnm 12?")
    studio.press("Enter")
    assert [one["label"] for one in studio.objects] == ["dbsxnm 12?"]
    assert studio.state("picture")["name"] == astronaut
    studio.press("l", "Escape")
    assert [one["label"] for one in studio.objects] == ["dbsxnm 12?"]
    stored_as_shown(studio, server, astronaut)


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_done_the_store_has_what_the_page_shows(studio: StudioPage, server: Server, astronaut, seed: int):
    generator = random.Random(seed)
    stage = studio.stage_box()
    mouse, keys = studio.page.mouse, studio.page.keyboard

    def place() -> tuple[float, float]:
        return stage["x"] + generator.uniform(0, stage["width"]), stage["y"] + generator.uniform(0, stage["height"])

    def drag() -> None:
        mouse.move(*place())
        mouse.down()
        mouse.move(*place(), steps=3)
        if generator.random() < 0.3:
            keys.press(generator.choice(["Escape", "Control+z", "Delete", "Enter", "b"]))
        mouse.up()

    def alt_click() -> None:
        keys.down("Alt")
        mouse.click(*place())
        keys.up("Alt")

    def press() -> None:
        # The letters but those that open a dialog, go to another picture, or copy.
        often = ["Control+z", "Control+z", "Control+y", "Enter", "Delete", "g"]
        keys.press(generator.choice([*often, *"sbrevhxmjkf+-12390n", "Escape", "Shift+G", "Shift+1"]))

    actions = [
        lambda: mouse.click(*place()),
        lambda: mouse.click(*place(), button="right"),
        lambda: mouse.dblclick(*place()),
        lambda: (mouse.move(*place()), mouse.wheel(0, generator.choice([-200, 200]))),
        drag,
        alt_click,
        press,
    ]
    for _ in range(4):
        for _ in range(20):
            generator.choices(actions, [6, 3, 1, 1, 3, 1, 9])[0]()
        stored_as_shown(studio, server, astronaut)
    while studio.state("canUndo"):
        studio.press("Control+z")
    stored_as_shown(studio, server, astronaut)
    assert studio.objects == []
