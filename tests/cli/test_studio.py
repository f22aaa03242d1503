"""``anymask studio``, as it is typed; the server itself is tested in tests/studio."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anymask import formats
from anymask.cli import app
from anymask.engine.store import Store
from anymask.errors import AnymaskError
from anymask.formats import AnnotatedImage
from anymask.segment.masks import Masks
from anymask.studio import server, starting
from anymask.studio.starting import parse_size


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["studio", *map(str, arguments)], catch_exceptions=False)


def masks(*labels: str) -> Masks:
    arrays = np.zeros((len(labels), 30, 40), bool)
    for place in range(len(labels)):
        arrays[place, 3 : 12 + place, 4:15] = True
    return Masks.from_arrays(arrays, labels=labels)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two ``photos``, and ``masks.json`` for them and another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYMASK_HOME", str(tmp_path / "home"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no picture")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / "photos" / name)
    images = [
        AnnotatedImage("a.png", masks("cat", "dog")),
        AnnotatedImage("b.png", masks("cat")),
        AnnotatedImage("c.png", masks("cat")),
    ]
    formats.write("masks.json", images, "coco")
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be served, instead of serving it until Ctrl-C."""
    calls: list[dict[str, Any]] = []

    def serve(project: Any, listening: socket.socket, say: object, page: str | None) -> None:
        del say
        calls.append({"page": page, "pictures": project.store.picture_count(), "model": project.model.name})
        project.close()
        project.store.close()
        listening.close()

    monkeypatch.setattr(server, "serve", serve)
    return calls


def test_files_that_cannot_be_used_are_said(folder: Path, served: list[dict[str, Any]]) -> None:
    (folder / "photos" / "c\n.heic").write_bytes(b"?")
    one = run("photos", "--port", 0)
    assert "1 file cannot be used: c?.heic: .heic files are not read: convert it" in one.output
    (folder / "photos" / "d.nef").write_bytes(b"?")
    more = run("photos", "--port", 0)
    assert "2 files cannot be used: c?.heic: .heic files are not read" in more.output
    assert "the page lists them all" in more.output
    assert len(served) == 2


def test_a_folder_or_one_picture_of_it(folder: Path, served: list[dict[str, Any]]) -> None:
    assert run("photos", "--port", 0).exit_code == 0
    assert run("photos/b.png", "--port", 0, "--no-browser").exit_code == 0
    assert run("photos/b.png", "--port", 0, "--project", "elsewhere.db").exit_code == 0
    assert [(one["pictures"], one["model"]) for one in served] == [(2, "pocket")] * 3
    assert served[0]["page"].startswith("http://127.0.0.1:")
    assert served[0]["page"].endswith("/")
    assert served[1]["page"] is None
    assert served[2]["page"].endswith("/?picture=2")
    assert (folder / "photos" / ".anymask" / "studio.db").is_file()
    assert (folder / "elsewhere.db").is_file()


@pytest.mark.usefixtures("folder")
def test_masks_in_and_out(served: list[dict[str, Any]]) -> None:
    done = run("photos", "--port", 0, "--import", "masks.json")
    assert done.exit_code == 0, done.output
    assert done.stdout == "3 masks taken from masks.json, 1 image is not in this folder\n"
    assert run("photos", "--port", 0, "--import", "masks.json").stdout.startswith(
        "0 masks taken from masks.json, 3 were here before"
    )
    assert len(served) == 2
    done = run("photos", "--export", "out/all.json", "--format", "coco")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "3 masks written to out/all.json\n"
    content = json.loads(Path("out/all.json").read_text())
    assert [one["file_name"] for one in content["images"]] == ["a.png", "b.png"]
    assert sorted(one["name"] for one in content["categories"]) == ["cat", "dog"]
    done = run("photos", "--export", "yolo", "--format", "yolo", "--with-pictures")
    assert done.exit_code == 0
    assert Path("yolo/images/a.png").read_bytes() == Path("photos/a.png").read_bytes()
    assert "anymask: " in run("photos", "--export", "maps", "--format", "label-map").stderr
    assert len(served) == 2


def test_export_while_a_studio_runs(folder: Path) -> None:
    with Store.open(folder / "photos") as store:
        store.sync_pictures()
        store.import_images(formats.read("masks.json"))
        assert run("photos", "--export", "all.parquet").stderr == "3 masks written to all.parquet\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no folder nowhere: give a folder of pictures"),
        (("notes.txt",), r"notes\.txt is no folder and no picture \(\.jpg"),
        (("empty",), "there are no pictures in .*empty, nor below it"),
        (("photos", "--host", "0.0.0.0"), r"--host 0\.0\.0\.0: .* until logins exist"),
        (("photos", "--cache-size", "lots"), "--cache-size lots: write it like 500MB"),
        (("photos", "--cache-size", "1MB"), "--cache-size 1MB is too small: at least 64MB"),
        (("photos", "--model", "pockets"), "unknown model 'pockets'"),
        (("photos", "--model", "vit_b"), "the weights of vit_b are not here: run `anymask models get vit_b`"),
        (("photos", "--device", "gpu"), "unknown device 'gpu'"),
        (("photos", "--precision", "half"), "unknown precision 'half'"),
        (("photos", "--import", "gone.json"), r"there is nothing at gone\.json"),
        (("photos", "--import", "notes.txt"), "in no format that anymask recognises"),
        (("photos", "--import", "a", "--export", "b"), "--import and --export are two things"),
        (("photos", "--format", "coco"), "--format is that of --import or --export"),
        (("photos", "--with-pictures"), "--with-pictures belongs to --export"),
        (("photos", "--export", "all.json"), r"nothing has been annotated here: .*--project FILE"),
    ],
)
def test_mistakes(folder: Path, served: list[dict[str, Any]], arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnymaskError, match=message):
        run(*arguments)
    assert served == []
    if "--import" not in arguments:
        assert not list(folder.rglob("studio.db"))


@pytest.mark.usefixtures("folder")
def test_a_port_that_is_taken(served: list[dict[str, Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AnymaskError, match=f"port {port} of 127.0.0.1 is taken"):
            run("photos", "--port", port)
    assert served == []


@pytest.mark.usefixtures("folder")
def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_PACKAGES", ("fastapi", "no_such_package_here"))
    with pytest.raises(AnymaskError, match=r"needs no_such_package_here: pip install 'anymask\[studio\]'"):
        run("photos")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2_000_000_000),
        ("500 mb", 500_000_000),
        ("1.5g", 1_500_000_000),
        ("64000000", 64_000_000),
        ("1TiB", 10**12),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size
