import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from anymask.formats.annotated import AnnotatedImage, Losses
from anymask.formats.registry import find_format
from anymask.runs.errors import PromptFileError
from anymask.runs.prompt_files import read_prompt_file
from anymask.segment.masks import Masks

BOX, OTHER = [1, 2, 30, 40], [5.5, 6, 7, 8.25]


def written(tmp_path, content, name="prompts.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path):
    found = read_prompt_file(path)
    return {name: list(found.prompts(name)) for name in found.entries}


def coco(**changes):
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "d/b.jpg"}, {"id": 9, "file_name": "c.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 8, "bbox": [10, 20, 5, 6], "category_id": 3, "segmentation": []},
            {"id": 2, "image_id": 7, "bbox": [0, 0, 2.5, 4], "category_id": 4},
            {"id": 3, "image_id": 8, "bbox": [1, 2, 3, 4], "category_id": 99},
        ],
        "categories": [{"id": 3, "name": "car"}, {"id": 4, "name": "dog"}],
    }
    return {**content, **changes}


def test_an_object_with_an_entry_for_each_image(tmp_path):
    path = written(tmp_path, {"a.jpg": [BOX], "./d\\b.jpg": {"points": [[3, 4]], "label": "ä"}, "empty.jpg": []})
    assert read(path) == {"a.jpg": [{"box": BOX}], "d/b.jpg": [{"points": [[3, 4]], "label": "ä"}]}
    found = read_prompt_file(path)
    assert len(found) == 2
    assert found.prompts("empty.jpg") == found.prompts("nowhere") == ()


@pytest.mark.parametrize("key", ["image", "file_name", "path", "name"])
def test_a_list_whose_entries_name_their_images(tmp_path, key):
    entries = [{key: "a.jpg", "boxes": [BOX]}, {key: "b.jpg", "point": [3, 4]}, {key: "a.jpg", "box": OTHER}]
    expected = {"a.jpg": [{"box": BOX}, {"box": OTHER}], "b.jpg": [{"points": [[3, 4]]}]}
    assert read(written(tmp_path, entries)) == expected
    lines = "\n".join(json.dumps(entry) for entry in entries)
    assert read(written(tmp_path, "\ufeff" + lines + "\n\n", "x.jsonl")) == expected
    assert read(written(tmp_path, lines.replace("\n", "\r\n"), "x.ndjson")) == expected


def test_a_single_entry(tmp_path):
    assert read(written(tmp_path, {"image": "a.jpg", "boxes": [BOX]})) == {"a.jpg": [{"box": BOX}]}


def test_images_without_an_ending(tmp_path):
    assert read(written(tmp_path, {"a": [BOX], "image": [OTHER]})) == {"a": [{"box": BOX}], "image": [{"box": OTHER}]}


@pytest.mark.parametrize("order", [list, reversed])
def test_coco(tmp_path, order):
    content = coco()
    path = written(tmp_path, {key: content[key] for key in order(list(content))})
    assert read(path) == {
        "d/b.jpg": [{"box": [10, 20, 15, 26], "label": "car"}, {"box": [1, 2, 4, 6]}],
        "a.jpg": [{"box": [0, 0, 2.5, 4], "label": "dog"}],
    }


def test_coco_as_its_own_reader_sees_it(tiny_coco, capsys):
    theirs = COCO(tiny_coco / "annotations.json")
    capsys.readouterr()
    found = read_prompt_file(tiny_coco / "annotations.json")
    assert len(found) == 6
    for image in theirs.loadImgs(theirs.getImgIds()):
        annotations = theirs.loadAnns(theirs.getAnnIds(image["id"]))
        boxes = np.array([one["box"] for one in found.prompts(image["file_name"])])
        boxes[:, 2:] -= boxes[:, :2]
        np.testing.assert_array_equal(boxes, [one["bbox"] for one in annotations])
        labels = [one["label"] for one in found.prompts(image["file_name"])]
        assert labels == [theirs.cats[one["category_id"]]["name"] for one in annotations]


def test_what_coco_holds_besides_is_counted(tmp_path):
    annotations = [
        *coco()["annotations"],
        {"image_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"image_id": 7, "bbox": [0, 0, 0, 9]},
        {"image_id": 7, "bbox": []},
        {"image_id": 7},
        {"image_id": 1000, "bbox": [0, 0, 1, 1]},
    ]
    found = read_prompt_file(written(tmp_path, coco(annotations=annotations)))
    assert [len(found.prompts(name)) for name in ("a.jpg", "d/b.jpg")] == [1, 2]
    assert [line.partition(": ")[2] for line in found.left_out_lines()] == [
        "left out crowds, which are no objects (1)",
        "left out boxes without an area (1)",
        "left out annotations without a bbox (2)",
        "left out annotations of images that the file does not list (1)",
    ]


def test_coco_results(tmp_path):
    results = [
        {"image_id": "a.jpg", "category_id": 3, "bbox": [10, 20, 5, 6], "score": 0.5},
        {"image_id": "a.jpg", "category_name": "car", "bbox": [0, 0, 1, 1], "score": 0.25},
        {"image_id": "b.jpg", "bbox": [0, 0, 0, 1]},
    ]
    path = written(tmp_path, results)
    assert read(path) == {"a.jpg": [{"box": [10, 20, 15, 26], "label": "3"}, {"box": [0, 0, 1, 1], "label": "car"}]}
    results[0]["image_id"] = 42
    with pytest.raises(PromptFileError, match="entry 0: image_id is 42, and only an instances file says which image"):
        read_prompt_file(written(tmp_path, results))


@pytest.mark.parametrize("name", ["sa1b", "labelme", "coco", "parquet"])
def test_masks_of_any_format_are_boxes(tmp_path, name):
    layout = find_format(name)
    arrays = np.zeros((2, 20, 30), bool)
    arrays[0, 3:8, 10:25] = arrays[1, 0:20, 5:9] = True
    images = {
        "a.jpg": Masks.from_arrays(arrays, labels=["car", "dog"]),
        "d/b.jpg": Masks.from_arrays(arrays[1:], labels=["dog"]),
        "c.jpg": Masks.empty((20, 30)),
    }
    path = tmp_path / ("out" if layout.is_folder else f"out{layout.file_suffix}")
    with layout.open_writer(path, Losses()) as writer:
        for image, masks in images.items():
            writer.write(AnnotatedImage(image, masks))
    assert read(path) == {
        "a.jpg": [{"box": [10, 3, 25, 8], "label": "car"}, {"box": [5, 0, 9, 20], "label": "dog"}],
        "d/b.jpg": [{"box": [5, 0, 9, 20], "label": "dog"}],
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", "", r"x\.json holds no prompts"),
        ("x.json", "{}", r"x\.json holds no prompt"),
        ("x.json", "3", r"x\.json holds no prompts"),
        ("x.json", '{"a.jpg": []}', r"x\.json holds no prompt"),
        ("x.json", '{"a.jpg": [[0, 0, 1, 1]]', r"x\.json is not valid JSON: it ends too early"),
        ("x.json", '{"a.jpg": [[0, 0, 1, 1]]} {}', r"x\.json is not valid JSON: Extra data"),
        ("x.json", '{"a.jpg": [[9, 0, 1, 1]]}', r"x\.json, image 'a\.jpg': entry 0: the box .* is empty"),
        ("x.json", '[{"image": "a.jpg", "boxs": []}]', r"x\.json, entry 0, image 'a\.jpg': there is no key 'boxs'"),
        ("x.json", '[{"boxes": []}]', r'x\.json, entry 0: "image" must be the name of an image'),
        ("x.json", "[[0, 0, 1, 1]]", r'x\.json, entry 0: expected an object with an "image"'),
        ("x.jsonl", '{"image": "a.jpg", "box": [0, 0, 1, 1]}\n{', r"x\.jsonl, line 2 is not valid JSON"),
        ("x.jsonl", '\n{"image": "", "box": [0, 0, 1, 1]}', r'x\.jsonl, line 2: "image" must be'),
        ("x.json", json.dumps(coco(images=[{"id": 1}])), r"x\.json: entry 0 of images has no id or no file_name"),
        ("x.json", json.dumps(coco(annotations=[3])), r"x\.json: annotation 0 is no object"),
        (
            "x.json",
            json.dumps(coco(annotations=[{"image_id": 7, "bbox": [1, 2]}])),
            r"x\.json: annotation 0, image 'a\.jpg': a bbox is x, y, width, height",
        ),
        ("x.json", json.dumps(coco(annotations=[])), r"x\.json holds no prompt"),
        ("x.csv", "a.jpg,0,0,1,1", r"x\.csv is no file of prompts: they come from a \.json file"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, content, message):
    with pytest.raises(PromptFileError, match=message):
        read_prompt_file(written(tmp_path, content, name))


def test_a_missing_file(tmp_path):
    with pytest.raises(PromptFileError, match=r"there is no file .*nowhere\.json: prompts come from"):
        read_prompt_file(tmp_path / "nowhere.json")


def test_lines_in_a_file_that_does_not_say_so(tmp_path):
    content = '{"image": "a.jpg", "box": [0, 0, 1, 1]}\n{"image": "b.jpg", "box": [0, 0, 2, 2]}\n'
    assert read(written(tmp_path, content)) == {"a.jpg": [{"box": [0, 0, 1, 1]}], "b.jpg": [{"box": [0, 0, 2, 2]}]}
