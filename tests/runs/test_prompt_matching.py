import pytest

from anymask.runs.errors import InputsError, PromptFileError
from anymask.runs.inputs import list_items
from anymask.runs.items import ImageFile, Item
from anymask.runs.prompt_files import PromptFile
from anymask.runs.prompt_matching import attach_prompts
from anymask.runs.tar_input import TarMember

BOX = {"box": [1, 2, 3, 4]}


def prompt_file(tmp_path, *names):
    found = PromptFile(tmp_path / "boxes.json")
    for number, name in enumerate(names):
        found.add(name, [{**BOX, "label": str(number)}])
    return found


def images(tmp_path, *names):
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return list_items([str(tmp_path / "photos")])


def matched(asked):
    return {item.name: int(item.prompts[0]["label"]) for item in asked.items if item.name not in asked.unmatched}


@pytest.mark.parametrize(
    ("names", "asked", "expected"),
    [
        (["a.jpg", "d/b.jpg"], ["d/b.jpg", "a.jpg"], {"a.jpg": 1, "d/b.jpg": 0}),
        (["a.jpg", "d/b.jpg"], ["b.jpg"], {"d/b.jpg": 0}),
        (["a.jpg", "d/b.jpg"], ["d/b", "a"], {"a.jpg": 1, "d/b.jpg": 0}),
        (["a.jpg"], ["images/train/a.jpg"], {"a.jpg": 0}),
        (["x/a.jpg", "y/a.jpg"], ["images/y/a.jpg", "images/x/a.jpg"], {"x/a.jpg": 1, "y/a.jpg": 0}),
        (["a.jpg", "x/a.jpg"], ["a.jpg", "x/a.jpg"], {"a.jpg": 0, "x/a.jpg": 1}),
        (["a.jpg"], ["other/a.jpg", "photos/a.jpg"], {"a.jpg": 1}),
        (["a.b.jpg"], ["a.b"], {"a.b.jpg": 0}),
        (["a.jpg", "a.png"], ["a.png"], {"a.png": 0}),
    ],
)
def test_images_are_found_by_their_names(tmp_path, names, asked, expected):
    assert matched(attach_prompts(images(tmp_path, *names), prompt_file(tmp_path, *asked))) == expected


def test_images_in_archives_may_lack_an_ending(tmp_path):
    items = [
        Item("shard/12", "shard/12", TarMember("/x.tar", 0, 1)),
        Item("shard/13", "shard/13", TarMember("/x.tar", 1, 1)),
    ]
    assert matched(attach_prompts(items, prompt_file(tmp_path, "13.jpg", "12"))) == {"shard/12": 1, "shard/13": 0}


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        (["x/a.jpg", "y/a.jpg"], ["a.jpg"], r"'a\.jpg' may be 'x/a\.jpg' or 'y/a\.jpg': write the whole name"),
        (["a.jpg", "a.png"], ["a"], r"'a' may be 'a\.jpg' or 'a\.png'"),
        (["a.jpg"], ["x/a.jpg", "y/a.jpg"], r"'x/a\.jpg' and 'y/a\.jpg' may both be 'a\.jpg': write the whole name"),
        (["a.jpg"], ["b.jpg", "a.png"], r"has prompts for b\.jpg, a\.png, and the input has a\.jpg: none of these"),
    ],
)
def test_what_is_unclear_is_an_error(tmp_path, names, asked, message):
    with pytest.raises(PromptFileError, match=message):
        attach_prompts(images(tmp_path, *names), prompt_file(tmp_path, *asked))


def test_what_does_not_fit_together_is_told(tmp_path):
    items = images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    file = prompt_file(tmp_path, "b.jpg", "gone.jpg", "b/gone.png")
    file.left_out["boxes without an area"] = 2
    asked = attach_prompts(items, file)
    assert [item.name for item in asked.items] == ["b.jpg", "gone.jpg", "b/gone.png"]
    assert asked.unmatched == ["gone.jpg", "b/gone.png"]
    assert asked.without_prompts == 2
    assert asked.notes() == [
        f"{file.path}: left out boxes without an area (2)",
        f"2 images of the input left out: {file.path} asks nothing about them",
        f"2 images of {file.path} not in the input: gone.jpg, b/gone.png",
    ]
    for item in asked.items[1:]:
        assert item.prompts is not None
        assert item.described_place() == str(file.path)
        with pytest.raises(InputsError, match="no image of this name in the input"):
            item.read()


def test_keys_of_what_is_missing_differ_from_all_others(tmp_path):
    items = [Item("a.jpg", "a", ImageFile("/a.jpg")), Item("a.png", "a.png", ImageFile("/a.png"))]
    asked = attach_prompts(items, prompt_file(tmp_path, "a.jpg", "a.png", "a.webp", "x/a.webp"))
    assert len({item.key for item in asked.items}) == len(asked.items) == 4
