"""What goes out of the store is what is in it."""

from __future__ import annotations

import tracemalloc

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from anymask import formats
from anymask.engine.annotation import Status
from anymask.engine.store import Store

from .changing import after, change, counts_of, new_object


def test_present_objects_in_their_order_with_labels_and_scores(store, picture, folder):
    boxes = [(0, 0, 2, 2), (1, 1, 5, 5), (6, 3, 12, 8), (0, 7, 1, 8)]
    objects = [
        new_object(counts=counts_of(box), order=float(-number), label=label, score=number / 8)
        for number, (box, label) in enumerate(zip(boxes, ["a", None, "b", "c"], strict=True))
    ]
    store.apply(picture, [change(one) for one in objects])
    store.apply(picture, [change(after(objects[0], status=Status.DELETED))])
    store.apply(picture, [change(after(objects[3], status=Status.REJECTED))])
    images = list(store.annotated_images())
    assert [image.name for image in images] == ["img1.png", "img2.png", "img10.png", "trip/img1.png"]
    assert [image.picture for image in images] == [folder / image.name for image in images]
    first = images[0].masks
    assert [one["counts"].decode() for one in first.rles] == [objects[2].counts, objects[1].counts]
    assert first.labels == ["b", None]
    assert first.scores is not None
    assert first.scores.tolist() == [0.25, 0.125]
    assert first.size == (8, 12)
    assert [len(image.masks) for image in images] == [2, 0, 0, 0]
    assert all(image.masks.labels is None for image in images[1:])


def test_scores_only_where_all_have_one_and_labels_where_any_has(store, picture):
    store.apply(picture, [change(new_object(score=None, order=1.0)), change(new_object(label="car", order=2.0))])
    masks = next(store.annotated_images([picture])).masks
    assert masks.scores is None
    assert masks.labels == [None, "car"]


def test_some_pictures_in_the_order_asked_for(store):
    ids = store.picture_ids()
    assert [image.name for image in store.annotated_images([ids[3], ids[0]])] == ["trip/img1.png", "img1.png"]
    assert list(store.annotated_images([])) == []


def test_pictures_that_cannot_be_read_are_named(store, folder, picture, paint):
    one = new_object()
    store.apply(picture, [change(one)])
    (folder / "img1.png").unlink()
    (folder / "img2.png").write_bytes(b"broken")
    failed = []
    images = list(store.annotated_images(failed=failed.append))
    assert [image.name for image in images] == ["img1.png", "img10.png", "trip/img1.png"]
    # Its objects are written all the same; where its pixels are is not known.
    assert images[0].masks.rles[0]["counts"].decode() == one.counts
    assert images[0].picture is None
    assert [(found.name, found.error is not None) for found in failed] == [("img2.png", True)]
    paint(folder / "img1.png", (9, 9))
    replaced = next(store.annotated_images([picture]))
    assert (replaced.masks.size, replaced.picture) == ((8, 12), None)


def test_a_coco_file_holds_exactly_what_the_store_holds(store, tmp_path):
    expected = []
    for number, picture in enumerate(store.picture_ids()):
        states = [
            new_object(counts=counts_of((one, number, 12, 8)), order=float(one), label=f"kind {one}")
            for one in range(3)
        ]
        store.apply(picture, [change(state) for state in states])
        expected.append((store.picture(picture).name, [(state.counts, state.label) for state in states]))
    formats.write(tmp_path / "out.json", store.annotated_images(), "coco")
    coco = COCO(tmp_path / "out.json")
    found = [
        (
            image["file_name"],
            [
                (one["segmentation"]["counts"], coco.cats[one["category_id"]]["name"])
                for one in coco.imgToAnns[image["id"]]
            ],
        )
        for image in coco.dataset["images"]
    ]
    assert found == expected


def test_memory_does_not_grow_with_the_pictures(tmp_path, paint):
    for number in range(120):
        paint(tmp_path / f"{number}.png", (256, 256))
    generator = np.random.default_rng(0)
    with Store.open(tmp_path) as store:
        store.sync_pictures()
        ids = store.picture_ids()
        for picture in ids:
            noise = np.asfortranarray(generator.integers(0, 2, (256, 256), dtype=np.uint8))
            counts = coco_mask.encode(noise)["counts"].decode()
            store.apply(picture, [change(new_object(counts=counts, prompts=None))])

        def peak(pictures):
            tracemalloc.start()
            sizes = [len(image.masks) for image in store.annotated_images(pictures)]
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert sizes == [1] * len(pictures)
            return used

        peak(ids[:40])
        assert peak(ids) < 1.5 * peak(ids[:40])
