"""Masks from elsewhere become objects, once."""

from __future__ import annotations

import random

import numpy as np
import pytest

from anymask import formats
from anymask.draw.palette import PALETTE
from anymask.engine.annotation import Source, Status
from anymask.engine.importing import MOST_REASONS, ImportSummary
from anymask.engine.store import Store
from anymask.formats.annotated import AnnotatedImage
from anymask.segment.masks import Masks

from .changing import after, change, counts_of, new_object, random_counts


def image(name: str, *boxes: tuple[int, int, int, int], size: tuple[int, int] = (8, 12), **columns) -> AnnotatedImage:
    rles = [{"size": list(size), "counts": counts_of(box, size).encode()} for box in boxes]
    return AnnotatedImage(name, Masks(rles, size, **columns))


def told(summary: ImportSummary) -> tuple[int, int, int, list[str]]:
    return summary.masks, summary.known, summary.other_images, summary.reasons


def test_imported_masks_are_finished_objects(store, picture):
    given = image("img1.png", (0, 0, 2, 2), (3, 3, 9, 8), labels=[" car ", None], scores=[0.5, np.nan])
    assert told(store.import_images([given])) == (2, 0, 0, [])
    first, second = store.objects(picture)
    assert (first.counts, first.label, first.score) == (counts_of((0, 0, 2, 2)), "car", 0.5)
    assert (second.counts, second.label, second.score) == (counts_of((3, 3, 9, 8)), None, None)
    for one in (first, second):
        assert (one.version, one.status, one.source) == (1, Status.PRESENT, Source.IMPORTED)
        assert (one.finished, one.visible, one.prompts, one.model) == (True, True, None, None)
    assert first.order < second.order
    assert {first.color, second.color} == {0, 1}
    assert [event.action for event in store.events()] == ["import", "import"]
    assert store.labels() == ["car"]


def test_importing_twice_adds_nothing(store, picture):
    images = [image("img1.png", (0, 0, 2, 2), (3, 3, 9, 8), labels=["a", "b"]), image("img2.png", (0, 0, 1, 1))]
    assert told(store.import_images(images)) == (3, 0, 0, [])
    before = [store.objects(one) for one in store.picture_ids()]
    assert told(store.import_images(images)) == (0, 3, 0, [])
    assert [store.objects(one) for one in store.picture_ids()] == before
    # Not even what was changed or deleted since.
    first, second = store.objects(picture)
    store.apply(picture, [change(after(first, label="other")), change(after(second, status=Status.DELETED))])
    assert told(store.import_images(images)) == (0, 3, 0, [])
    assert len(store.objects(picture)) == 2


def test_the_same_mask_under_two_labels_is_two_objects_and_twice_one(store, picture):
    given = image("img1.png", *[(0, 0, 2, 2)] * 4, labels=["a", "b", "a", None])
    assert told(store.import_images([given])) == (3, 1, 0, [])
    assert [one.label for one in store.objects(picture)] == ["a", "b", None]


@pytest.mark.parametrize("name", ["coco", "parquet", "label-studio"])
def test_what_was_exported_is_known_when_it_comes_back(store, tmp_path, name):
    generator = random.Random(name)
    for picture in store.picture_ids():
        states = [
            new_object(counts=random_counts(generator), order=float(number), label=f"l{number}") for number in range(3)
        ]
        store.apply(picture, [change(state) for state in states])
    file = formats.write(tmp_path / f"out.{'parquet' if name == 'parquet' else 'json'}", store.annotated_images(), name)
    assert told(store.import_images(formats.read(file, name, pictures=store.folder))) == (0, 12, 0, [])
    with Store.open(store.folder, tmp_path / "other.db") as other:
        other.sync_pictures()
        assert told(other.import_images(formats.read(file, name, pictures=store.folder))) == (12, 0, 0, [])
        for picture in store.picture_ids():
            mine, theirs = store.objects(picture), other.objects(picture)
            assert [(one.counts, one.label) for one in theirs] == [(one.counts, one.label) for one in mine]


def test_new_objects_come_on_top_of_the_old_in_other_colours(store, picture):
    old = new_object(order=7.25, color=0)
    store.apply(picture, [change(old)])
    store.import_images([image("img1.png", *[(0, one // 8, one % 8 + 1, 8) for one in range(len(PALETTE))])])
    objects = store.objects(picture)
    assert objects[0] == old
    assert [one.order for one in objects[1:4]] == [8.0, 9.0, 10.0]
    assert [one.color for one in objects[1:]] == [*range(1, len(PALETTE)), 0]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("img2.png", "img2.png"),
        ("trip/img1.png", "trip/img1.png"),
        ("elsewhere/img10.png", "img10.png"),
        ("img10.jpg", "img10.png"),
        ("elsewhere/img2.jpg", "img2.png"),
        ("elsewhere/img1.png", None),
        ("elsewhere/img1.jpg", None),
        ("trip/img1.jpg", "trip/img1.png"),
        ("IMG2.png", None),
        ("img3.png", None),
    ],
)
def test_pictures_are_found_by_path_or_by_a_name_that_only_one_has(store, name, found):
    summary = store.import_images([image(name, (0, 0, 2, 2))])
    assert told(summary) == ((0, 0, 1, []) if found is None else (1, 0, 0, []))
    assert [one.name for one in store.pictures() if one.objects] == ([] if found is None else [found])


def test_masks_of_another_size_are_refused_with_a_reason(store, picture, folder):
    (folder / "img2.png").write_bytes(b"broken")
    summary = store.import_images(
        [
            image("img1.png", (0, 0, 2, 2), size=(8, 13)),
            image("img2.png", (0, 0, 2, 2)),
            image("img10.png", (0, 0, 1, 1)),
        ]
    )
    assert told(summary)[:3] == (1, 0, 0)
    assert summary.reasons[0] == "img1.png: its masks are for 13 x 8 pixels, the picture has 12 x 8"
    assert summary.reasons[1].startswith("img2.png: img2.png cannot be read")
    assert store.objects(picture) == []


def test_masks_without_a_pixel_and_long_labels(store, picture):
    given = image("img1.png", (0, 0, 0, 0), (0, 0, 2, 2), (1, 1, 1, 1), labels=["a", "b" * 300, "c"])
    assert told(store.import_images([given])) == (
        1,
        0,
        0,
        [
            f"img1.png: a label of more than 200 characters was cut to {'b' * 200!r}",
            "img1.png: 2 masks without a pixel were left out",
        ],
    )
    assert [one.label for one in store.objects(picture)] == ["b" * 200]


def test_text_that_no_file_can_hold(store, picture):
    images = [
        image("img1.png", (0, 0, 1, 1), labels=["\ud83d"]),
        image("trip/\ud83d/img1.png", (0, 0, 1, 1), size=(9, 9)),
    ]
    images.append(image("img2\ud83d/img2.png", (0, 0, 1, 1), size=(9, 9)))
    summary = store.import_images(images)
    assert told(summary)[:3] == (1, 0, 1)
    assert summary.reasons == ["img2?/img2.png: its masks are for 9 x 9 pixels, the picture has 12 x 8"]
    assert [one.label for one in store.objects(picture)] == ["\N{REPLACEMENT CHARACTER}"]


def test_reasons_do_not_fill_the_screen(store):
    summary = store.import_images(image("img1.png", (0, 0, 1, 1), size=(9, 9)) for _ in range(1234))
    assert len(summary.reasons) == MOST_REASONS + 1
    assert summary.reasons[-1] == "and 1,134 more"


def test_a_file_that_breaks_off_leaves_what_was_read(store, picture):
    whole = [image("img1.png", (0, 0, number + 1, 8)) for number in range(12)]

    def broken():
        yield from whole[:7]
        raise formats.DatasetError("the file breaks off")

    with pytest.raises(formats.DatasetError, match="breaks off"):
        store.import_images(broken())
    assert len(store.objects(picture)) == 7
    assert told(store.import_images(whole)) == (5, 7, 0, [])


def test_parts_of_an_import_are_as_one(store, picture, monkeypatch):
    monkeypatch.setattr("anymask.engine.store._IMPORTED_MASKS_AT_A_TIME", 20)
    generator = random.Random(0)
    given = sorted({random_counts(generator) for _ in range(200)})
    rles = [{"size": [8, 12], "counts": counts.encode()} for counts in given]
    images = (AnnotatedImage("img1.png", Masks([one] * 2, (8, 12))) for one in rles)
    assert told(store.import_images(images)) == (len(given), len(given), 0, [])
    objects = store.objects(picture)
    assert [one.counts for one in objects] == given
    assert [one.order for one in objects] == [float(number + 1) for number in range(len(given))]
    assert len({event.stored_at for event in store.events()}) > 5
