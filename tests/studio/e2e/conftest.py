"""A studio for each file of tests: real pictures, a server in a process of its own, Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext
from skimage import data

import anymask.studio
from anymask.segment.pixels import read_image

from .browser import StudioPage, chromium
from .server import Server


def pytest_runtest_setup() -> None:
    if not (Path(anymask.studio.__file__).parent / "static" / "index.html").is_file():
        pytest.skip("the studio's page is not built: scripts/page builds it")
    if chromium() is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or set ANYMASK_CHROMIUM to the path of one")


@pytest.fixture(scope="module")
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scikit-image's photographs, as many copies of each as the file's ``COPIES`` says.

    A test takes one that no other has touched.
    """
    folder = tmp_path_factory.mktemp("pictures")
    for name, count in request.module.COPIES.items():
        photograph = Image.fromarray(read_image(getattr(data, name)()))
        for copy in range(count):
            photograph.save(folder / f"{name}-{copy}.png", compress_level=1)
    return folder


@pytest.fixture(scope="module")
def server(pictures: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(pictures, home, tmp_path_factory.mktemp("log") / "server.log")
    server.start()
    # Made once in a test run; on a busy computer that takes a while.
    while server.get("/api/status")["decoder"]["state"] == "preparing":
        time.sleep(0.2)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture(scope="module")
def open_page(context: BrowserContext, server: Server) -> StudioPage:
    """The page that the tests of a file share."""
    studio = StudioPage(context.new_page(), server.address)
    # Browsers forget what they have fetched after 250 files.
    studio.page.add_init_script("performance.setResourceTimingBufferSize(100000)")
    studio.open()
    return studio


@pytest.fixture
def studio(open_page: StudioPage) -> Iterator[StudioPage]:
    """The page with the segment tool and nothing selected; at the end nothing may have gone wrong in it."""
    open_page.faults.clear()
    before = [notice["id"] for notice in open_page.state("notices")]
    open_page.page.mouse.move(1, 1)
    open_page.press("Escape")
    open_page.tool("segment")
    yield open_page
    assert open_page.faults == []
    new = [notice for notice in open_page.state("notices") if notice["id"] not in before]
    assert [notice["text"] for notice in new if notice["kind"] == "error"] == []


@pytest.fixture(scope="module")
def copies(pictures: Path) -> dict[str, Iterator[Path]]:
    """The copies of each photograph, in their order."""
    return {name: iter(sorted(pictures.glob(f"{name}-*"))) for name in ("astronaut", "coffee")}


@pytest.fixture
def astronaut(studio: StudioPage, copies: dict[str, Iterator[Path]]) -> str:
    """Name of a photograph of an astronaut, 512 x 512, open, that nobody has touched."""
    return open_copy(studio, copies["astronaut"])


@pytest.fixture
def coffee(studio: StudioPage, copies: dict[str, Iterator[Path]]) -> str:
    """Name of a photograph of a cup of coffee, 600 x 400, open, that nobody has touched."""
    return open_copy(studio, copies["coffee"])


def open_copy(studio: StudioPage, copies: Iterator[Path]) -> str:
    picture = next(copies, None)
    assert picture is not None, "more tests than copies: raise COPIES"
    studio.go_to(picture.name)
    return picture.name
