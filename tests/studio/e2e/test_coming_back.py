"""What a person meets who comes back to a page, and what the page says of what did not work."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from .browser import StudioPage
from .server import Server

COPIES = {"astronaut": 6}
ON_IT, ALSO_ON_IT = (225, 120), (200, 380)


@pytest.fixture(scope="module")
def pictures(pictures: Path) -> Path:
    """Two files more, of which none can be used."""
    (pictures / "raw.NEF").write_bytes(b"?")
    name = os.fsdecode(b"caf\xe9.png") if sys.platform == "linux" else "other.heic"
    (pictures / name).write_bytes(b"?")
    return pictures


def number_of(server: Server, picture: str) -> int:
    listed = server.get("/api/pictures?limit=5000")["pictures"]
    return int(next(one["id"] for one in listed if one["name"] == picture))


def reload(studio: StudioPage) -> None:
    studio.reload()
    studio.wait("state.objectsState === 'loaded'")
    studio.wait_until_ready()


def rename(page: Page, label: str, name: str) -> None:
    page.get_by_label(f"Rename {label}", exact=True).click()
    field = page.get_by_test_id("rename-label")
    field.fill(name)
    field.press("Enter")


def test_what_the_server_refuses_is_listed_and_can_be_tried_again(
    studio: StudioPage, server: Server, pictures: Path, astronaut: str, tmp_path: Path
):
    page, number = studio.page, number_of(server, astronaut)
    kept = (pictures / astronaut).read_bytes()
    with Image.open(pictures / astronaut) as photograph:
        photograph.resize((256, 256)).save(pictures / astronaut)
    assert server.get(f"/api/pictures/{number}")["picture"]["width"] == 256
    studio.click(*ON_IT)
    studio.press("Enter")
    studio.wait("state.aside.length > 0 && state.unsaved === 0")
    assert server.objects(astronaut) == []
    expect(page.get_by_test_id("set-aside-notice")).to_have_text("1 set aside")

    reload(studio)
    studio.press("u")
    row = page.get_by_test_id("set-aside-row")
    expect(row).to_contain_text(astronaut)
    expect(row).to_contain_text("256")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as JSON").click()
    download.value.save_as(tmp_path / "set-aside.json")
    [*_, last] = json.loads((tmp_path / "set-aside.json").read_text())["changes"]
    assert (last["picture"], last["name"]) == (number, astronaut)

    (pictures / astronaut).write_bytes(kept)
    assert server.get(f"/api/pictures/{number}")["picture"]["width"] == 512
    row.get_by_role("button", name="Try again").click()
    expect(row).to_have_count(0)
    expect(page.get_by_test_id("set-aside-notice")).to_have_count(0)
    page.keyboard.press("Escape")
    studio.wait_until_saved()
    [stored] = server.objects(astronaut)
    assert (stored["id"], stored["counts"]) == (last["change"]["state"]["id"], last["change"]["state"]["counts"])
    reload(studio)
    assert studio.objects == [stored]


def test_files_that_cannot_be_used_are_told(studio: StudioPage, server: Server):
    assert "2 files cannot be used:" in server.log.read_text()
    line = studio.page.get_by_test_id("unusable-files")
    expect(line).to_have_text("2 files cannot be used")
    line.click()
    expect(studio.page.get_by_test_id("unusable-file")).to_have_count(2)
    expect(studio.page.get_by_test_id("unusable-dialog")).to_contain_text("raw.NEF.nef files are not read")
    studio.page.keyboard.press("Escape")
    expect(studio.page.get_by_test_id("unusable-dialog")).to_have_count(0)


def test_an_object_and_its_row_are_shown_together(studio: StudioPage, astronaut: str):
    del astronaut
    studio.click(*ON_IT)
    studio.press("Enter")
    studio.wait_until_saved()
    page, row = studio.page, studio.page.get_by_test_id("object-row")
    studio.tool("select")
    expect(row).to_have_attribute("data-marked", "false")
    studio.move(*ON_IT)
    expect(row).to_have_attribute("data-marked", "true")
    page.mouse.move(1, 1)
    expect(row).to_have_attribute("data-marked", "false")
    stage = page.get_by_test_id("stage")
    studio.wait_for_viewport()
    before = stage.screenshot()
    row.hover()
    studio.until_so(lambda: stage.screenshot() != before)
    studio.wait_for_viewport()
    marked = stage.screenshot()
    # Straight from the stage, which the pointer leaves as it comes to the row.
    studio.move(*ON_IT)
    row.hover()
    studio.wait_for_viewport()
    studio.until_so(lambda: stage.screenshot() == marked)
    expect(row).to_have_attribute("data-marked", "true")
    page.mouse.move(1, 1)
    studio.until_so(lambda: stage.screenshot() == before)


def test_labels_are_renamed_with_all_their_objects(studio: StudioPage, server: Server, astronaut: str):
    page = studio.page
    for point, label in ((ON_IT, "person"), ((60, 60), "flag")):
        studio.click(*point)
        studio.press("l")
        expect(page.get_by_test_id("label-input")).to_be_focused()
        page.keyboard.type(label)
        studio.press("Enter", "Enter")
    studio.wait_until_saved()
    before = studio.objects
    assert [one["label"] for one in before] == ["person", "flag"]
    studio.press("Shift+L")
    page.get_by_label("Rename flag", exact=True).click()
    page.get_by_test_id("rename-label").press("Escape")
    expect(page.get_by_test_id("labels-dialog")).to_be_visible()
    rename(page, "person", "astronaut")
    page.get_by_test_id("labels-save").click()
    expect(page.get_by_test_id("labels-dialog")).to_have_count(0)
    assert [one["label"] for one in server.objects(astronaut)] == ["astronaut", "flag"]
    assert studio.objects == server.objects(astronaut)
    studio.press("Control+z")
    studio.wait_until_saved()
    assert studio.objects == server.objects(astronaut)
    studio.press("Control+Shift+z")
    studio.press("Shift+L")
    rename(page, "flag", "astronaut")
    page.get_by_test_id("labels-save").click()
    expect(page.get_by_test_id("labels-dialog")).to_have_count(0)
    studio.wait_until_saved()
    stored = server.objects(astronaut)
    assert [one["label"] for one in stored] == ["astronaut", "astronaut"]
    assert [one["counts"] for one in stored] == [one["counts"] for one in before]
    assert studio.state("aside") == []


def test_undo_and_redo_go_on_after_a_reload(studio: StudioPage, server: Server, astronaut: str):
    studio.click(*ON_IT)
    first = studio.selected["counts"]
    studio.click(*ALSO_ON_IT)
    second = studio.selected["counts"]
    studio.press("Enter")
    studio.wait_until_saved()
    reload(studio)
    studio.wait("state.canUndo")
    studio.press("Control+z")
    studio.wait(f"state.objects[0]?.counts === {first!r}")
    studio.press("Control+Shift+z")
    studio.wait(f"state.objects[0]?.counts === {second!r}")
    studio.press("Control+z", "Control+z")
    studio.wait("state.objects.length === 0")
    studio.wait_until_saved()
    assert server.objects(astronaut) == []


def test_clicks_that_wait_for_a_picture_outlive_a_reload(studio: StudioPage, server: Server, pictures: Path):
    last = sorted(pictures.glob("astronaut-*"))[-1].name
    embeddings = "**/embedding?*"
    studio.page.route(embeddings, lambda route: route.abort())
    # The embedding that is here already goes with the page.
    studio.page.evaluate("number => window.anymaskStudio.session.openPicture(number)", number_of(server, last))
    studio.wait(f"state.picture?.name === {last!r}")
    studio.reload()
    studio.wait(f"state.picture?.name === {last!r} && state.objectsState === 'loaded'")
    expect(studio.page.locator("[data-state=shown]").first).to_be_visible()
    for point in (ON_IT, ALSO_ON_IT):
        studio.move(*point)
        studio.page.mouse.down()
        studio.page.mouse.up()
    studio.wait("state.waiting.length === 2")
    clicks = studio.state("waiting")
    studio.reload()
    studio.wait("state.waiting.length === 2")
    assert studio.state("waiting") == clicks
    studio.wait("state.selected !== null")
    studio.page.unroute(embeddings)
    studio.wait_until_saved()
    [stored] = server.objects(last)
    assert stored["id"] == clicks[0]["object"]
    assert stored["prompts"]["clicks"] == [one["click"] for one in clicks]
    assert studio.selected == stored
