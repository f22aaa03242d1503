"""The pictures of a folder, as they come, go, and are put in each other's place."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace

import pytest

from anymask.engine.annotation import Status
from anymask.engine.errors import FolderError, UnknownPictureError, UnreadablePictureError
from anymask.engine.pictures import Picture, PictureSync, UnusableFile
from anymask.engine.store import Store

from .changing import after, change, counts_of, new_object

NAMES = ["img1.png", "img2.png", "img10.png", "trip/img1.png"]


def names(store: Store) -> list[str]:
    return [picture.name for picture in store.pictures()]


def test_all_pictures_below_the_folder_in_natural_order(folder, paint):
    (folder / "notes.txt").write_text("no picture")
    paint(folder / ".thumbnails/img3.png")
    with Store.open(folder) as store:
        paint(folder / ".anymask/img4.png")
        assert store.pictures() == []
        assert store.sync_pictures() == PictureSync(4, 4, 0, 0, [])
        assert names(store) == NAMES
        assert store.picture_count() == 4
        assert store.picture_ids() == [picture.id for picture in store.pictures()]
        assert store.sync_pictures() == PictureSync(4, 0, 0, 0, [])


def test_the_list_in_pages(store):
    whole = store.pictures()
    assert store.pictures(1, 2) == whole[1:3]
    assert store.pictures(3, 5) == whole[3:]
    assert store.pictures(9, 5) == []
    assert store.pictures(2, None) == whole[2:]


def test_ids_stay_when_pictures_come_and_go(store, folder, paint):
    before = {picture.name: picture.id for picture in store.pictures()}
    paint(folder / "img0.png")
    (folder / "img2.png").unlink()
    assert store.sync_pictures() == PictureSync(4, 1, 1, 0, [])
    assert names(store) == ["img0.png", "img1.png", "img10.png", "trip/img1.png"]
    paint(folder / "img2.png")
    assert store.sync_pictures() == PictureSync(5, 0, 0, 1, [])
    after_all = {picture.name: picture.id for picture in store.pictures()}
    assert {name: after_all[name] for name in NAMES} == before
    assert after_all["img0.png"] not in before.values()


def test_a_missing_picture_keeps_its_objects_and_its_place(store, folder, picture):
    one = new_object()
    store.apply(picture, [change(one)])
    (folder / "img1.png").unlink()
    (folder / "img2.png").unlink()
    assert store.sync_pictures().missing == 2
    assert names(store) == ["img1.png", "img10.png", "trip/img1.png"]
    assert store.picture_count() == 3
    opened, objects = store.open_picture(picture)
    assert opened.error == "img1.png is no longer in the folder; its objects are kept: put it back to go on with it"
    assert (opened.width, opened.height, opened.objects, objects) == (12, 8, 1, [one])
    gone = after(one, status=Status.DELETED)
    assert store.apply(picture, [change(gone)])[0].outcome == "stored"
    assert names(store) == ["img10.png", "trip/img1.png"]
    assert store.objects(picture) == [gone]


def test_a_picture_that_goes_and_returns_without_a_look_through_the_folder(store, folder, picture):
    store.open_picture(picture)
    (folder / "img1.png").rename(folder / "aside")
    opened, _ = store.open_picture(picture)
    assert opened.error is not None
    (folder / "aside").rename(folder / "img1.png")
    assert store.open_picture(picture)[0] == Picture(picture, "img1.png", 12, 8, 0, None)


def test_a_folder_that_is_gone_takes_nothing_with_it(store, folder):
    shutil.rmtree(folder)
    with pytest.raises(FolderError, match=r"cannot list .*photos: No such file"):
        store.sync_pictures()
    assert names(store) == NAMES


@pytest.mark.skipif(sys.platform != "linux", reason="names are not bytes there")
def test_a_name_that_cannot_be_said_is_reported(store, folder):
    (folder / "img2.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    found = store.sync_pictures()
    assert (found.pictures, found.missing) == (3, 1)
    reason = "its name, or that of a folder, is not in UTF-8: rename it"
    assert found.unusable == [UnusableFile("caf\N{REPLACEMENT CHARACTER}.png", reason)]


def test_pictures_of_other_kinds_are_reported(store, folder):
    (folder / "IMG 1.HEIC").write_bytes(b"?")
    (folder / "notes.txt").write_text("no picture")
    found = store.sync_pictures()
    assert found.pictures == len(NAMES)
    assert found.unusable == [UnusableFile("IMG 1.HEIC", ".heic files are not read: convert it to JPEG, PNG or TIFF")]


def test_unusual_names(tmp_path, paint):
    unusual = ["a b%20c?.png", "'quote\".png", "new\nline.png", "写真/é.PNG", "-x.png"]
    for name in unusual:
        paint(tmp_path / name)
    with Store.open(tmp_path) as store:
        store.sync_pictures()
        assert sorted(names(store)) == sorted(unusual)
        for name in unusual:
            found = store.find_picture(name)
            assert found is not None
            assert store.open_picture(found.id)[0].size == (8, 12)


def test_a_size_is_read_when_a_picture_is_opened(store, picture, monkeypatch):
    assert store.picture(picture).size is None
    assert store.open_picture(picture)[0] == Picture(picture, "img1.png", 12, 8, 0, None)
    assert store.picture(picture).size == (8, 12)
    # A file that has not changed is not opened again.
    monkeypatch.setattr("anymask.engine.store.measure", None)
    assert store.open_picture(picture)[0].size == (8, 12)


def test_a_broken_picture_says_why_until_it_is_mended(store, folder, paint):
    found = store.find_picture("trip/img1.png")
    assert found is not None
    (folder / "trip/img1.png").write_bytes(b"broken")
    opened, objects = store.open_picture(found.id)
    assert opened.error is not None
    assert opened.error.startswith("trip/img1.png cannot be read: not an image of a known format")
    assert (opened.size, objects) == (None, [])
    with pytest.raises(UnreadablePictureError, match=r"trip/img1.png cannot be read"):
        store.apply(found.id, [change(new_object())])
    paint(folder / "trip/img1.png", (5, 6))
    assert store.open_picture(found.id)[0] == replace(found, width=6, height=5)


def test_a_bomb_is_not_opened(store, folder, picture):
    width, height = (65500).to_bytes(2, "big"), (65500).to_bytes(2, "big")
    frame = b"\xff\xc0\x00\x11\x08" + height + width + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    (folder / "img1.png").write_bytes(b"\xff\xd8" + frame + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00")
    opened, _ = store.open_picture(picture)
    assert opened.error is not None
    assert "65500 x 65500 pixels, over the limit" in opened.error


def test_a_link_out_of_the_folder_is_not_followed(store, folder, paint, tmp_path):
    paint(tmp_path / "private/secret.png")
    (folder / "link.png").symlink_to(tmp_path / "private/secret.png")
    (folder / "inside.png").symlink_to(folder / "img1.png")
    store.sync_pictures()
    link, inside = store.find_picture("link.png"), store.find_picture("inside.png")
    assert link is not None
    assert inside is not None
    opened, _ = store.open_picture(link.id)
    assert opened.error == "link.png is a link to a file outside the folder, which is not followed: copy it into it"
    assert opened.size is None
    assert store.open_picture(inside.id)[0].size == (8, 12)


def test_another_size_without_objects_is_taken_over(store, folder, picture, paint):
    store.open_picture(picture)
    paint(folder / "img1.png", (20, 30))
    assert store.open_picture(picture)[0] == Picture(picture, "img1.png", 30, 20, 0, None)
    assert store.apply(picture, [change(new_object(counts=counts_of(size=(20, 30))))])[0].outcome == "stored"


def test_another_size_with_objects_is_an_error_and_never_a_stretch(store, folder, picture, paint):
    one = new_object()
    store.apply(picture, [change(one)])
    paint(folder / "img1.png", (20, 30))
    opened, objects = store.open_picture(picture)
    assert (opened.width, opened.height, objects) == (12, 8, [one])
    assert opened.error == (
        "the file has 30 x 20 pixels now, but its objects were made on 12 x 8: "
        "put the first file back, or add this one under another name"
    )
    assert store.pictures()[0] == opened
    assert store.apply(picture, [change(new_object(counts=counts_of(size=(20, 30))))])[0].outcome == "refused"
    paint(folder / "img1.png", (8, 12))
    assert store.open_picture(picture) == (Picture(picture, "img1.png", 12, 8, 1, None), [one])


def test_sizes_and_errors_that_are_told(store, picture):
    store.set_size(picture, 12, 8)
    store.set_error(picture, "no memory")
    assert store.picture(picture) == Picture(picture, "img1.png", 12, 8, 0, "no memory")
    store.set_error(picture, None)
    assert store.picture(picture).error is None


def test_objects_are_counted_while_they_are_present(store, picture):
    other = store.pictures()[3].id
    first, second, third = (new_object(order=float(number)) for number in range(3))
    store.apply(picture, [change(first), change(second), change(third)])
    store.apply(other, [change(new_object())])
    assert [one.objects for one in store.pictures()] == [3, 0, 0, 1]
    store.apply(picture, [change(after(first, status=Status.DELETED)), change(after(second, status=Status.REJECTED))])
    assert [one.objects for one in store.pictures()] == [1, 0, 0, 1]
    assert store.open_picture(picture)[0].objects == 1


@pytest.mark.parametrize("unknown", [0, -1, 99, 2**62, 10**30, -(10**30)])
def test_a_picture_that_is_not_in_the_project(store, unknown):
    for ask in (
        store.picture,
        store.path,
        store.open_picture,
        store.objects,
        lambda one: store.set_size(one, 1, 1),
        lambda one: store.set_error(one, "none"),
        lambda one: store.apply(one, [change(new_object())]),
        lambda one: list(store.annotated_images([one])),
    ):
        with pytest.raises(UnknownPictureError, match=f"no picture {unknown}"):
            ask(unknown)
    assert store.find_picture("nothing.png") is None
