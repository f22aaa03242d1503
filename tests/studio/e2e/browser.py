"""The studio's page in Chromium, used as a person uses it: by mouse and keys."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from playwright.sync_api import FloatRect, Page, expect
from pycocotools import mask as coco_mask

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Much longer than anything takes, as all processors may be busy with other tests.
PATIENCE = 60.0
expect.set_options(timeout=1000 * PATIENCE)
# As many looks, 100 ms apart, must be the same for something to be at rest: a busy computer leaves frames out.
LOOKS_AT_REST = 4


def chromium() -> str | None:
    """Path of a browser, if there is one."""
    return os.environ.get("ANYMASK_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def pixels_of(state: dict[str, Any], height: int, width: int) -> np.ndarray:
    """An object's mask, decoded by pycocotools."""
    decoded: np.ndarray = coco_mask.decode({"size": [height, width], "counts": state["counts"].encode()})
    return decoded.astype(bool)


class StudioPage:
    """One tab with the studio; coordinates are pixels of the picture."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.faults: list[str] = []
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def open(self, picture: str | None = None) -> None:
        """Load the page, go to a picture by name, and wait until it can be segmented; else only for the first one."""
        self.page.goto(self.address)
        self.wait("state.picture !== null")
        if picture is not None:
            self.go_to(picture)

    def reload(self) -> None:
        self.page.reload()
        self.wait("state.picture !== null")

    def go_to(self, picture: str) -> None:
        """Open a picture from the list and wait until it can be segmented."""
        self.wait(f"state.pictures.some((one) => one.name === {picture!r})")
        number = next(one["id"] for one in self.state("pictures") if one["name"] == picture)
        self.page.evaluate("number => window.anymaskStudio.session.openPicture(number)", number)
        self.wait(f"state.picture?.name === {picture!r}")
        self.wait_until_ready()

    def until(self, expression: str, argument: Any = None, seconds: float = PATIENCE) -> None:
        """Until a JavaScript expression, or function of an argument, gives something true.

        Playwright's own ``wait_for_function`` needs ``eval`` in the page, which its security policy forbids.
        """
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression, argument):
            if time.monotonic() > end:
                raise AssertionError(f"in vain waited for {expression} ({argument}); {self.summary()}")
            self.page.wait_for_timeout(20)

    def until_so(self, condition: Callable[[], object]) -> None:
        """Until something holds that is looked at from here, such as what the screen shows."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"it never came to be so; {self.summary()}")
            self.page.wait_for_timeout(50)

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression about ``state`` holds."""
        state = "const state = window.anymaskStudio?.session.state.getState();"
        self.until(f"(() => {{ {state} return Boolean(state && ({condition})); }})()")

    def summary(self) -> str:
        """The session's state without what is long, for messages."""
        return str(
            self.page.evaluate(
                """() => {
                    const { pictures, project, objects, proposals, readings, ...rest } =
                        window.anymaskStudio?.session.state.getState() ?? {};
                    const cut = (key, value) => (key === "counts" || key === "rings" ? undefined : value);
                    return JSON.stringify({ ...rest, objects, proposals: proposals?.length }, cut);
                }"""
            )
        )

    def wait_until_ready(self) -> None:
        """Until a click would be answered, and the picture is on the stage."""
        self.wait("state.embedding === 'ready' && state.decoder === 'ready'")
        picture = self.state("picture")["id"]
        expect(self.page.get_by_test_id("stage")).to_have_attribute("data-picture", str(picture))
        shown = f"[data-testid=stage] [data-state=shown][data-shows='{picture}']"
        self.page.locator(shown).wait_for()

    def wait_until_saved(self) -> None:
        """Until all that was done is answered by the decoder and confirmed by the server."""
        self.wait_until_decoded()
        self.wait("!state.decoding && state.unsaved === 0 && state.saving === 'saved'")

    def wait_until_decoded(self) -> None:
        """Until nothing that was asked waits for an answer."""
        self.wait("!state.decoding && state.waiting.length === 0")

    def state(self, name: str) -> Any:
        """A part of the session's state."""
        return self.page.evaluate(
            "name => JSON.parse(JSON.stringify(window.anymaskStudio.session.state.getState()[name]))", name
        )

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The picture's objects in the page."""
        return self.state("objects")  # type: ignore[no-any-return]

    @property
    def selected(self) -> dict[str, Any]:
        """The selected object; there must be one."""
        chosen = self.state("selected")
        return next(one for one in self.objects if one["id"] == chosen)

    def mask(self, state: dict[str, Any]) -> np.ndarray:
        picture = self.state("picture")
        return pixels_of(state, picture["height"], picture["width"])

    def stage_box(self) -> FloatRect:
        box = self.page.get_by_test_id("stage").bounding_box()
        assert box is not None
        return box

    def viewport(self) -> tuple[float, float, float]:
        """Scale, and where the picture's corner is in the window."""
        stage, box = self.page.get_by_test_id("stage"), self.stage_box()
        scale, x, y = (
            float(stage.get_attribute(f"data-{name}") or "nan") for name in ("scale", "offset-x", "offset-y")
        )
        return scale, box["x"] + x, box["y"] + y

    def wait_for_viewport_after(self, before: tuple[float, float, float]) -> None:
        """Until the picture has moved from there and come to rest."""
        self.until_so(lambda: self.viewport() != before)
        self.wait_for_viewport()

    def wait_for_viewport(self, is_still: Callable[[], object] = lambda: True) -> None:
        """Until the picture has come to rest, while something else holds too."""
        looks: list[tuple[float, float, float]] = []

        def is_at_rest() -> bool:
            self.page.wait_for_timeout(100)
            now = self.viewport()
            if not is_still() or looks[-1:] != [now]:
                looks.clear()
            looks.append(now)
            return len(looks) >= LOOKS_AT_REST

        self.until_so(is_at_rest)

    def on_screen(self, x: float, y: float) -> tuple[float, float]:
        scale, left, top = self.viewport()
        return left + scale * x, top + scale * y

    def move(self, x: float, y: float, steps: int = 1) -> None:
        self.page.mouse.move(*self.on_screen(x, y), steps=steps)

    def click(self, x: float, y: float, button: str = "left", modifier: str | None = None) -> None:
        """Click, and wait until it is answered."""
        self.move(x, y)
        if modifier:
            self.page.keyboard.down(modifier)
        self.page.mouse.down(button=button)  # type: ignore[arg-type]
        self.page.mouse.up(button=button)  # type: ignore[arg-type]
        if modifier:
            self.page.keyboard.up(modifier)
        self.wait_until_decoded()

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], on_the_way: Callable[[], None] | None = None
    ) -> None:
        """Drag with the left button; ``on_the_way`` is called before it is let go."""
        self.move(*start)
        self.page.mouse.down()
        self.move(*end, steps=8)
        if on_the_way:
            on_the_way()
        self.page.mouse.up()
        self.wait_until_decoded()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tool(self, name: str) -> None:
        """Choose a tool by its button."""
        button = self.page.get_by_test_id(f"tool-{name}")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")

    def rows(self) -> list[str]:
        """Ids of the objects in the list, as it shows them."""
        shown = self.page.get_by_test_id("object-list").get_by_test_id("object-row")
        return shown.evaluate_all("rows => rows.map(row => row.dataset.object)")  # type: ignore[no-any-return]

    def screenshot(self) -> np.ndarray:
        """The window's pixels, RGB."""
        import cv2

        encoded = np.frombuffer(self.page.screenshot(animations="disabled"), np.uint8)
        return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])
