"""Masks out of a project and into it, in every format."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import httpx2
import numpy as np
import pytest
from PIL import Image

from anymask import formats
from anymask.engine.store import Store
from anymask.formats import FORMATS, AnnotatedImage, Feature
from anymask.segment.masks import Masks
from anymask.studio.exchange import safe_upload_name

from .changing import changes, counts_of, new_object

BOXES = {1: [(10, 10, 30, 25), (40, 30, 70, 50)], 3: [(5, 5, 20, 55)]}
LABELS = ["cat", "dog"]


@pytest.fixture
def annotated(client: httpx2.Client) -> httpx2.Client:
    """Picture 1 with a cat and a dog, picture 3 with a cat; one deleted and one rejected object are left out."""
    for picture, boxes in BOXES.items():
        states = [
            new_object(counts=counts_of(*box), label=label, order=float(place))
            for place, (box, label) in enumerate(zip(boxes, LABELS, strict=False))
        ]
        states += [new_object(status="deleted", order=8.0), new_object(status="rejected", order=9.0)]
        answer = client.post(f"/api/pictures/{picture}/changes", json=changes(*states)).json()
        assert {one["outcome"] for one in answer["results"]} == {"stored"}
    return client


def what_is_in(path: Path, name: str, pictures: Path) -> dict[str, list[tuple[np.ndarray, str | None]]]:
    """Each image's masks with their labels, as a format reads them."""
    read = {}
    for image in formats.read(path, name, pictures=pictures):
        labels = image.masks.labels or [None] * len(image.masks)
        read[image.name] = list(zip(image.masks.decode(), labels, strict=True))
    return read


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_what_the_store_has(
    annotated: httpx2.Client, store: Store, pictures: Path, tmp_path: Path, name: str
) -> None:
    answer = annotated.get(f"/api/export?format={name}")
    if name == "geojson-map":
        assert "is left out" in json.loads(answer.headers["x-anymask-losses"])[0]
        return
    assert answer.status_code == 200
    file_name = answer.headers["content-disposition"].split('"')[1]
    # Label Studio has a second file, the description of its labels.
    ending = (
        "zip" if FORMATS[name].is_folder or name == "label-studio" else (FORMATS[name].file_suffix or "").lstrip(".")
    )
    assert file_name == f"photos-{name}.{ending}"
    path = tmp_path / file_name
    path.write_bytes(answer.content)
    if ending == "zip":
        with zipfile.ZipFile(path) as packed:
            packed.extractall(tmp_path / "unpacked")
        path = tmp_path / "unpacked"
        if not FORMATS[name].is_folder:
            path /= f"photos-{name}.json"
    got = what_is_in(path, name, pictures)
    for image in store.annotated_images():
        found = got.pop(image.name, None) or got.pop(image.name.replace(".png", ".jpg"), [])
        assert len(found) == len(image.masks)
        for (mask, label), expected, its_label in zip(
            sorted(found, key=lambda one: int(one[0].argmax())),
            image.masks.decode(),
            image.masks.labels or [],
            strict=True,
        ):
            np.testing.assert_array_equal(mask, expected)
            if Feature.LABELS in FORMATS[name].carries:
                assert label == its_label
    assert got == {}
    losses = json.loads(answer.headers["x-anymask-losses"])
    told = any("labels" in loss for loss in losses)
    assert told == (Feature.LABELS not in FORMATS[name].carries)


def test_all_pictures_or_some_with_their_pixels(annotated: httpx2.Client, pictures: Path) -> None:
    whole = annotated.get("/api/export?format=coco").json()
    assert [one["file_name"] for one in whole["images"]] == ["1.png", "2.png", "3.png", "4.png"]
    assert len(whole["annotations"]) == 3
    some = annotated.get("/api/export?format=coco&picture=3&picture=2").json()
    assert sorted(one["file_name"] for one in some["images"]) == ["2.png", "3.png"]
    packed = annotated.get("/api/export?format=yolo&with_pictures=true&picture=1")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as opened:
        assert opened.read("images/1.png") == (pictures / "1.png").read_bytes()
        assert "labels/1.txt" in opened.namelist()
    # One file with pictures becomes an archive too.
    packed = annotated.get("/api/export?format=coco&with_pictures=true")
    assert 'filename="photos-coco.zip"' in packed.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(packed.content)) as opened:
        assert "photos-coco.json" in opened.namelist()
        assert any(name.endswith("3.png") for name in opened.namelist())
    wrong = annotated.get("/api/export?format=cocoa")
    assert wrong.status_code == 422
    assert "did you mean coco" in wrong.json()["detail"]
    assert annotated.get("/api/export").status_code == 422


def test_nothing_temporary_is_left(annotated: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    exported = annotated.get("/api/export?format=sa1b")
    assert annotated.get("/api/export?format=nothing").status_code == 422
    assert annotated.post("/api/import?name=a.zip", content=exported.content).status_code == 200
    assert annotated.post("/api/import?name=a.zip", content=b"no archive").status_code == 422
    assert list(place.iterdir()) == []


def test_a_picture_that_cannot_be_read_is_told(annotated: httpx2.Client, pictures: Path) -> None:
    (pictures / "4.png").write_text("no picture")
    answer = annotated.get("/api/export?format=coco")
    assert [one["file_name"] for one in answer.json()["images"]] == ["1.png", "2.png", "3.png"]
    (loss,) = json.loads(answer.headers["x-anymask-losses"])
    assert loss.startswith("4.png is left out: ")


def test_every_format_can_be_chosen(client: httpx2.Client) -> None:
    listed = client.get("/api/formats").json()
    assert [one["name"] for one in listed] == list(FORMATS)
    assert all(set(one) == {"name", "description", "is_folder"} for one in listed)


@pytest.mark.parametrize("name", ["coco", "yolo", "labelme", "voc", "label-map", "sa1b", "parquet"])
def test_what_was_exported_comes_in_again(annotated: httpx2.Client, pictures: Path, tmp_path: Path, name: str) -> None:
    exported = annotated.get(f"/api/export?format={name}")
    file_name = exported.headers["content-disposition"].split('"')[1]
    with Store.open(pictures, tmp_path / "other.db") as other:
        other.sync_pictures()
        from anymask.studio.exchange import import_file

        (tmp_path / file_name).write_bytes(exported.content)
        (tmp_path / "work").mkdir()
        done = import_file(other, tmp_path / file_name, None, tmp_path / "work")
        assert (done.masks, done.known, done.other_images) == (3, 0, 0)
        boxes = {
            image.name: sorted(image.masks.boxes.astype(int).tolist())
            for image in other.annotated_images()
            if len(image.masks)
        }
        assert boxes == {f"{number}.png": sorted(map(list, found)) for number, found in BOXES.items()}


def test_importing_twice_adds_nothing(annotated: httpx2.Client) -> None:
    masks = Masks.from_arrays(np.pad(np.ones((20, 20), bool), ((0, 40), (0, 60)))[None], labels=["bird"])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        record = formats.to_record("2.png", masks, model="other")
        packed.writestr("some folder/2.json", json.dumps(record))
        packed.writestr("some folder/9.json", json.dumps(formats.to_record("9.png", masks, model="other")))
    url = f"/api/import?name={quote('my masks.zip')}&format=anymask"
    first = annotated.post(url, content=written.getvalue())
    assert first.json() == {"masks": 1, "known": 0, "other_images": 1, "reasons": []}
    assert annotated.post(url, content=written.getvalue()).json()["known"] == 1
    (state,) = annotated.get("/api/pictures/2").json()["objects"]
    assert (state["source"], state["label"], state["finished"]) == ("imported", "bird", True)


def test_one_file_among_pictures_in_an_archive(annotated: httpx2.Client, pictures: Path) -> None:
    content = annotated.get("/api/export?format=coco").content
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        packed.writestr("project/annotations/instances.json", content)
        packed.write(pictures / "1.png", "project/images/1.png")
    for url in ("/api/import?name=a.zip", "/api/import?name=a.zip&format=coco"):
        assert annotated.post(url, content=written.getvalue()).json()["known"] == 3
    with zipfile.ZipFile(written, "a") as packed:
        packed.writestr("project/annotations/more.json", content)
    answer = annotated.post("/api/import?name=a.zip&format=coco", content=written.getvalue())
    assert "holds 2 files of the format coco, not one" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("url", "content", "message"),
    [
        ("/api/import?name=a.json", b"", "a.json is empty"),
        ("/api/import?name=a.json", b"{}", "in no format that anymask recognises"),
        ("/api/import?name=a.zip", b"{}", "broken or of an unusual kind"),
        ("/api/import?name=a.json&format=cocoa", b"{}", "unknown format 'cocoa'"),
        ("/api/import?name=a.json&format=coco", b'{"images": [', "a.json"),
        ("/api/import", b"{}", "query.name"),
    ],
)
def test_what_cannot_be_imported(client: httpx2.Client, url: str, content: bytes, message: str) -> None:
    answer = client.post(url, content=content)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert "/tmp" not in answer.json()["detail"]


def test_masks_of_another_size_are_refused_with_a_reason(client: httpx2.Client, tmp_path: Path) -> None:
    masks = Masks.from_arrays(np.ones((1, 10, 10), bool))
    formats.write(tmp_path / "a.json", [AnnotatedImage("1.png", masks)], "coco")
    done = client.post("/api/import?name=a.json", content=(tmp_path / "a.json").read_bytes()).json()
    assert done["masks"] == 0
    assert "10 x 10 pixels, the picture has 80 x 60" in done["reasons"][0]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a.json", "a.json"),
        ("../../a.json", "a.json"),
        ("C:\\masks\\a b.zip", "a-b.zip"),
        ("...", "upload"),
        ("", "upload"),
        ("x" * 300 + ".json", "x" * 95 + ".json"),
        ("\0/etc/pass\nwd", "pass-wd"),
    ],
)
def test_names_of_files_that_come_in(given: str, kept: str) -> None:
    assert safe_upload_name(given) == kept


def test_pictures_in_subfolders_keep_their_paths(client: httpx2.Client, pictures: Path, store: Store) -> None:
    (pictures / "trip").mkdir()
    Image.new("RGB", (80, 60)).save(pictures / "trip" / "1.png")
    store.sync_pictures()
    found = store.find_picture("trip/1.png")
    assert found is not None
    names = [one["file_name"] for one in client.get("/api/export?format=coco").json()["images"]]
    assert "trip/1.png" in names
