"""Whatever is killed, cut off or closed: what was made is there afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Error, Playwright

from anymask.segment.pixels import read_image

from .browser import ARGUMENTS, StudioPage, chromium
from .server import Server

COPIES = {"astronaut": 10, "coffee": 1}
ON_IT, ALSO_ON_IT, NOT_ON_IT = (225, 120), (200, 380), (430, 150)


@pytest.fixture
def running(server: Server) -> Iterator[Server]:
    """The server, which runs again after the test."""
    yield server
    if server.process is None:
        server.start()


def launch(playwright: Playwright, profile: Path) -> BrowserContext:
    """A browser with a profile on disk, as people have."""
    return playwright.chromium.launch_persistent_context(
        profile, executable_path=chromium(), args=ARGUMENTS, viewport={"width": 1280, "height": 800}
    )


def kill_browser(profile: Path) -> None:
    """End the browser of a profile as a power cut would."""
    found = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"--user-data-dir={profile}".encode() in arguments and not any(
                argument.startswith(b"--type=") for argument in arguments
            ):
                os.kill(int(process.name), signal.SIGKILL)
                found += 1
    assert found == 1


def test_the_server_is_killed_between_click_and_save(studio: StudioPage, running: Server, astronaut):
    studio.click(*ON_IT)
    studio.wait_until_saved()
    running.kill()
    studio.click(*ALSO_ON_IT)
    studio.press("Enter")
    studio.click(60, 60)
    studio.press("Enter")
    studio.wait("state.unsaved >= 2 && state.serverLost && state.saving === 'offline'")
    made = studio.objects
    assert len(made) == 2
    running.start()
    studio.wait_until_saved()
    assert running.objects(astronaut) == studio.objects == made


def test_the_server_is_killed_again_and_again_while_somebody_works(studio: StudioPage, running: Server, astronaut):
    for step in range(2):
        studio.click(150 + 150 * step, 120 + 200 * step)
        running.kill()
        studio.press("Enter")
        running.start()
    studio.wait_until_saved()
    made = studio.objects
    assert len(made) == 2
    assert running.objects(astronaut) == made
    running.kill()
    running.start()
    assert running.objects(astronaut) == made


def test_the_browser_is_killed_while_the_server_is_down(
    playwright: Playwright, running: Server, copies: dict[str, Iterator[Path]], tmp_path: Path
):
    picture = next(copies["astronaut"]).name
    profile = tmp_path / "profile"
    before = launch(playwright, profile)
    studio = StudioPage(before.pages[0], running.address)
    studio.open(picture)
    running.kill()
    studio.click(*ON_IT)
    studio.press("Enter")
    studio.wait("state.unsaved >= 1 && !state.decoding && state.saving === 'offline'")
    made = [(one["id"], one["counts"]) for one in studio.objects]
    assert len(made) == 1
    kill_browser(profile)
    with suppress(Error):  # it may be known by now that the browser is gone
        before.close()

    running.start()
    assert running.objects(picture) == []
    after = launch(playwright, profile)
    studio = StudioPage(after.pages[0], running.address)
    studio.open(picture)
    studio.wait_until_saved()
    assert [(one["id"], one["counts"]) for one in studio.objects] == made
    assert [(one["id"], one["counts"]) for one in running.objects(picture)] == made
    after.close()


def test_reloading_in_the_middle_of_an_object_and_going_on(studio: StudioPage, server: Server, astronaut):
    studio.click(*ON_IT)
    studio.click(*ALSO_ON_IT)
    before = studio.selected
    studio.click(*NOT_ON_IT, button="right")
    third = studio.selected
    studio.press("Control+z")
    studio.wait_until_saved()
    studio.reload()
    studio.wait("state.selected !== null")
    studio.wait_until_ready()
    assert studio.state("picture")["name"] == astronaut
    assert [studio.selected[key] for key in ("id", "counts", "prompts")] == [
        before[key] for key in ("id", "counts", "prompts")
    ]
    studio.click(*NOT_ON_IT, button="right")
    again = studio.selected
    assert [one["positive"] for one in again["prompts"]["clicks"]] == [True, True, False]
    # The decoder begins anew, and comes to the same from the same clicks; the last one is a part of a pixel elsewhere.
    here, there = studio.mask(again), studio.mask(third)
    assert (here & there).sum() / (here | there).sum() > 0.95
    studio.click(*NOT_ON_IT)
    assert studio.selected["prompts"] == before["prompts"]
    assert studio.selected["counts"] == before["counts"]
    studio.wait_until_saved()
    assert server.objects(astronaut) == studio.objects


def test_the_page_is_closed_right_after_a_click(context: BrowserContext, server: Server, copies):
    picture = next(copies["astronaut"]).name
    studio = StudioPage(context.new_page(), server.address)
    studio.open(picture)
    studio.click(*ON_IT)
    studio.wait("state.objects.length === 1")
    made = studio.objects[0]["id"]
    studio.page.close()
    again = StudioPage(context.new_page(), server.address)
    again.open(picture)
    again.wait_until_saved()
    assert [one["id"] for one in again.objects] == [made]
    assert [one["id"] for one in server.objects(picture)] == [made]
    again.page.close()


def test_going_on_to_the_next_picture_without_the_server(studio: StudioPage, running: Server, copies):
    first, following = (next(copies["astronaut"]).name for _ in range(2))
    studio.go_to(first)
    number = next(one["id"] for one in studio.state("pictures") if one["name"] == following)
    # What is fetched ahead: how large it is, the pixels, and what the decoder needs.
    studio.wait(f"state.pictures.some((one) => one.name === {following!r} && one.width !== null)")
    studio.until(f"window.anymaskStudio.session.hasPixels({number})")
    fetched = """path => performance.getEntriesByType("resource").some(
        (one) => one.responseStatus === 200 && new URL(one.name).pathname === path)"""
    studio.until(fetched, f"/api/pictures/{number}/embedding")
    running.kill()
    studio.press("d")
    studio.wait(f"state.picture.name === {following!r}")
    studio.wait_until_ready()
    studio.page.mouse.move(1, 1)
    scale, left, top = studio.viewport()
    window = np.s_[round(top) : round(top + scale * 512), round(left) : round(left + scale * 512)]
    shown = cv2.resize(studio.screenshot()[window], (512, 512), interpolation=cv2.INTER_AREA)
    expected = read_image(running.pictures / following)
    # Enlarged and made small again; the thumbnail in its place would be 9 off.
    assert np.abs(shown.astype(int) - expected).mean() < 7
    studio.click(*ON_IT)
    studio.press("Enter")
    studio.wait("state.unsaved >= 1 && !state.decoding && state.saving === 'offline' && state.serverLost")
    made = [(one["id"], one["counts"]) for one in studio.objects]
    assert len(made) == 1
    running.start()
    studio.wait_until_saved()
    assert [(one["id"], one["counts"]) for one in running.objects(following)] == made
    assert [(one["id"], one["counts"]) for one in studio.objects] == made


def test_working_on_without_a_network(studio: StudioPage, context: BrowserContext, server: Server, astronaut):
    studio.click(*ON_IT)
    studio.press("Enter")
    studio.wait_until_saved()
    context.set_offline(True)
    try:
        studio.click(60, 60)
        studio.press("Enter")
        first = studio.objects[0]["id"]
        row = studio.page.get_by_test_id("object-list").locator(f"[data-object='{first}']")
        row.click()
        studio.press("Delete", "Control+z")
        row.click()
        studio.press("Delete")
        studio.wait("state.unsaved >= 1 && state.saving === 'offline'")
        assert len(server.objects(astronaut)) == 1
    finally:
        context.set_offline(False)
    studio.wait_until_saved()
    assert [one["id"] for one in server.objects(astronaut)] == [one["id"] for one in studio.objects]
    assert first not in [one["id"] for one in studio.objects]


def test_two_tabs_on_one_picture(context: BrowserContext, server: Server, copies):
    picture = next(copies["astronaut"]).name
    one, other = (StudioPage(context.new_page(), server.address) for _ in range(2))
    for studio in (one, other):
        studio.open(picture)
    one.page.bring_to_front()
    one.click(*ON_IT)
    one.press("Enter")
    one.wait_until_saved()
    other.page.bring_to_front()
    other.tool("segment")
    other.click(60, 60)
    other.press("Enter")
    other.wait_until_saved()
    stored = server.objects(picture)
    assert len(stored) == 2
    for studio in (one, other):
        studio.reload()
        studio.wait("state.objects.length === 2")
        assert studio.objects == stored
        studio.page.close()
