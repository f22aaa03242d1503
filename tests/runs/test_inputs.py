import io
import os
import pickle
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anymask.runs.errors import InputsError
from anymask.runs.inputs import list_items, parse_shard, select_shard
from anymask.runs.items import ImageFile, Item
from anymask.segment.errors import ImageNotFoundError
from anymask.segment.pixels import read_image


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(*inputs, **options):
    return [item.name for item in list_items([str(one) for one in inputs], **options)]


def from_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    put(folder, "b.jpg", "a/2.PNG", "a/10.jpg", "a.jpg", "a/notes.txt", ".hidden/x.jpg", "a/.x.jpg", "z/deep/1.tif")
    return folder


def test_a_folder_is_listed_in_the_order_of_names(photos):
    items = list_items([str(photos)])
    assert [item.name for item in items] == ["a/10.jpg", "a/2.PNG", "a.jpg", "b.jpg", "z/deep/1.tif"]
    assert [item.key for item in items] == ["a/10", "a/2", "a", "b", "z/deep/1"]
    assert items[0].read() == items[0].path == photos / "a" / "10.jpg"
    assert items[0].described_place() == str(photos / "a" / "10.jpg")
    assert items[0].prompts is None


def test_folders_of_folders_can_be_left_out(photos):
    assert names(photos, recursive=False) == ["a.jpg", "b.jpg"]


def test_the_folder_for_results_is_left_out(photos):
    put(photos, "out/overlays/a.jpg")
    assert "out/overlays/a.jpg" in names(photos)
    assert names(photos, exclude=photos / "out") == names(photos, exclude=photos / "a" / ".." / "out")
    assert "out/overlays/a.jpg" not in names(photos, exclude=photos / "out")
    assert names(photos / "**" / "*.jpg", exclude=photos / "out") == ["a/10.jpg", "a.jpg", "b.jpg"]
    assert names(photos / "*" / "overlays" / "*.jpg") == ["out/overlays/a.jpg"]
    assert "out/overlays/a.jpg" not in names(photos / "*", exclude=photos / "out")
    with pytest.raises(InputsError, match="matches no image"):
        names(photos / "*" / "overlays" / "*.jpg", exclude=photos / "out")
    with pytest.raises(InputsError, match="is also the folder for the results"):
        list_items([str(photos)], exclude=photos)


def test_results_may_lie_beside_an_image_that_is_named(photos):
    assert names(photos / "a.jpg", exclude=photos) == ["a.jpg"]


def test_items_keep_the_order_of_the_inputs_and_each_image_once(photos):
    listed = photos / "list.txt"
    listed.write_text("a.jpg\nb.jpg\n")
    assert names(photos / "b.jpg", photos / "a", listed, photos) == [
        "b.jpg",
        "10.jpg",
        "2.PNG",
        "a.jpg",
        "z/deep/1.tif",
    ]


def test_links_are_followed_once(photos):
    (photos / "linked").symlink_to(photos / "a")
    (photos / "a" / "up").symlink_to(photos)
    (photos / "other.jpg").symlink_to(photos / "b.jpg")
    assert names(photos) == ["a/10.jpg", "a/2.PNG", "a.jpg", "b.jpg", "other.jpg", "z/deep/1.tif"]


def test_names_that_meet_get_their_folders_name(tmp_path):
    put(tmp_path, "train/1.jpg", "train/2.jpg", "val/1.jpg", "other/3.jpg")
    assert names(tmp_path / "train", tmp_path / "val", tmp_path / "other") == [
        "train/1.jpg",
        "train/2.jpg",
        "val/1.jpg",
        "3.jpg",
    ]


def test_folders_of_one_name_get_those_above_too(tmp_path):
    put(tmp_path, "x/images/1.jpg", "y/images/1.jpg", "z/images/2.jpg")
    assert names(tmp_path / "x/images", tmp_path / "y/images", tmp_path / "z/images") == [
        "x/images/1.jpg",
        "y/images/1.jpg",
        "2.jpg",
    ]


def test_single_files_of_one_name(tmp_path):
    put(tmp_path, "x/1.jpg", "y/1.jpg")
    assert names(tmp_path / "x/1.jpg", tmp_path / "y/1.jpg") == ["x/1.jpg", "y/1.jpg"]


def test_names_that_still_meet_are_numbered(tmp_path):
    put(tmp_path, "one/b/1.jpg", "b/1.jpg", "c/1.jpg")
    found = list_items([str(tmp_path / name) for name in ("one", "b", "c")])
    assert [item.name for item in found] == ["b/1.jpg", "b/1-2.jpg", "c/1.jpg"]
    assert len({item.key for item in found}) == 3


def test_keys_differ_where_only_endings_do(tmp_path):
    put(tmp_path, "x.jpg", "x.png", "x.jpg.png")
    put(tmp_path, "1/y.png", "2/y.jpg.png", "3/y.jpg")
    found = list_items([str(tmp_path / name) for name in ("x.png", "x.jpg.png", "x.jpg")])
    assert [item.key for item in found] == ["x", "x.jpg", "x-2.jpg"]


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.jpg", ["a.jpg", "b.jpg"]),
            ("**/*.jpg", ["a/10.jpg", "a.jpg", "b.jpg"]),
            ("**", ["a/10.jpg", "a/2.PNG", "a.jpg", "b.jpg", "z/deep/1.tif"]),
            ("**/deep/*", ["z/deep/1.tif"]),
            ("*/*.???", ["a/10.jpg", "a/2.PNG"]),
            ("[bc].jpg", ["b.jpg"]),
            ("z", ["deep/1.tif"]),
            ("z*", ["z/deep/1.tif"]),
            ("{b,a}.jpg", ["b.jpg", "a.jpg"]),
            ("a/{9..10}.jpg", None),
            ("a/{10..10}.jpg", ["10.jpg"]),
            ("{a,z}/**/*.*", ["10.jpg", "2.PNG", "deep/1.tif"]),
        ],
    )
    def test_they_match(self, photos, pattern, expected):
        if expected is None:
            with pytest.raises(InputsError, match=r"nothing at .*9\.jpg"):
                names(photos / pattern)
        else:
            assert names(photos / pattern) == expected

    def test_no_match_is_an_error(self, photos):
        with pytest.raises(InputsError, match=r"the pattern .*\*\.webp matches no image"):
            names(photos / "**" / "*.webp")

    def test_a_name_that_exists_is_no_pattern(self, tmp_path):
        put(tmp_path, "a[1].jpg", "a1.jpg", "{x,y}.jpg")
        assert names(tmp_path / "a[1].jpg", tmp_path / "{x,y}.jpg") == ["a[1].jpg", "{x,y}.jpg"]

    def test_relative_ones_begin_in_the_current_folder(self, photos, monkeypatch):
        monkeypatch.chdir(photos)
        assert names("a/*.jpg") == ["10.jpg"]
        assert names("*/10.jpg") == ["a/10.jpg"]
        assert names(".") == names(photos)
        assert [item.read() for item in list_items(["a.jpg"])] == [photos / "a.jpg"]

    def test_the_home_folder(self, photos, monkeypatch):
        monkeypatch.setenv("HOME", str(photos))
        assert names("~/[b].jpg", "~/a.jpg") == ["b.jpg", "a.jpg"]

    def test_links_in_circles_end(self, photos):
        (photos / "a" / "up").symlink_to(photos)
        assert names(photos / "**" / "*.jpg") == ["a/10.jpg", "a.jpg", "b.jpg"]

    def test_braces_that_stand_for_too_many(self):
        with pytest.raises(InputsError, match="more than 1,000,000 names"):
            names("x-{0..99999999}.tar")
        with pytest.raises(InputsError, match="more than 1,000,000 names"):
            names("{0..9999}-{0..9999}.tar")


class TestLists:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\0"])
    def test_encodings_and_ends_of_lines(self, tmp_path, encoding, end):
        put(tmp_path, "a.jpg", "süß.png")
        lines = ["# a comment", "", "  a.jpg ", '"süß.png"', ""]
        (tmp_path / "list.txt").write_bytes(end.join(lines).encode(encoding))
        assert names(tmp_path / "list.txt") == ["a.jpg", "süß.png"]

    def test_paths_begin_beside_the_list(self, photos, monkeypatch, tmp_path):
        put(tmp_path, "a/10.jpg")
        (photos / "list.txt").write_text("a/10.jpg\n")
        monkeypatch.chdir(tmp_path)
        items = list_items([str(photos / "z" / ".." / "list.txt")])
        assert [(item.name, item.read()) for item in items] == [("a/10.jpg", photos / "a/10.jpg")]

    def test_or_else_in_the_current_folder(self, photos, monkeypatch, tmp_path):
        listed = tmp_path / "elsewhere" / "list.txt"
        listed.parent.mkdir()
        listed.write_text("missing.jpg\na/10.jpg\n")
        monkeypatch.chdir(photos)
        items = list_items([str(listed)])
        assert [item.read() for item in items] == [photos / "missing.jpg", photos / "a/10.jpg"]
        with pytest.raises(ImageNotFoundError, match=r"no image at .*missing\.jpg"):
            read_image(items[0].read())

    def test_standard_input(self, photos, monkeypatch):
        monkeypatch.chdir(photos)
        from_standard_input(monkeypatch, b"b.jpg\n./a/10.jpg\n")
        assert names("-") == ["b.jpg", "a/10.jpg"]
        with pytest.raises(InputsError, match=r"standard input .* was given twice"):
            names("-", "-")

    def test_absolute_paths_are_named_below_their_common_folder(self, photos, monkeypatch):
        paths = [photos / "z/deep/1.tif", photos / "a/10.jpg", photos / "a/2.PNG"]
        from_standard_input(monkeypatch, "\n".join(map(str, paths)).encode())
        assert names("-") == ["z/deep/1.tif", "a/10.jpg", "a/2.PNG"]

    def test_paths_that_climb_are_named_below_their_common_folder(self, photos):
        (photos / "a" / "list.txt").write_text("10.jpg\n../z/deep/1.tif\n../b.jpg\n")
        assert names(photos / "a" / "list.txt") == ["10.jpg", "z/deep/1.tif", "b.jpg"]

    def test_folders_in_a_list(self, photos):
        (photos / "list.txt").write_text("z\na/10.jpg\n")
        assert names(photos / "list.txt") == ["z/deep/1.tif", "a/10.jpg"]

    def test_an_empty_list(self, tmp_path):
        (tmp_path / "list.txt").write_text("# nothing yet\n")
        with pytest.raises(InputsError, match=r"there is no image in .*list\.txt"):
            names(tmp_path / "list.txt")

    @pytest.mark.parametrize("content", [b"\xff\xfea", b"x" * 5000 + b"\0\1\2"])
    def test_what_is_no_list(self, tmp_path, content):
        (tmp_path / "list.txt").write_bytes(content)
        with pytest.raises(InputsError, match=r"list\.txt is not a list of paths"):
            names(tmp_path / "list.txt")


class TestWhatIsWrong:
    def test_nothing(self):
        with pytest.raises(InputsError, match="no input was given"):
            list_items([])
        with pytest.raises(InputsError, match="an input is empty"):
            list_items([""])

    def test_what_is_missing(self, photos):
        with pytest.raises(InputsError, match=r"nothing at .*bb\.jpg: no such file or folder; did you mean .*b\.jpg\?"):
            names(photos / "bb.jpg")
        with pytest.raises(InputsError, match="nothing at /no/such/place"):
            names("/no/such/place")

    def test_an_address(self):
        with pytest.raises(InputsError, match="is an address: download it first"):
            names("https://example.org/a.jpg")

    def test_a_folder_without_images(self, tmp_path):
        put(tmp_path, "notes.md")
        with pytest.raises(InputsError, match=r"there is no image in .*: looked for names that end in \.jpg"):
            names(tmp_path)
        put(tmp_path, "shard.tar.gz")
        with pytest.raises(InputsError, match=r"shard\.tar\.gz there is compressed"):
            names(tmp_path)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("x.tar.gz", "is compressed.*decompress it to a .tar file"),
            ("x.zip", "is compressed.*unpack it"),
            ("boxes.json", "prompts from a file are given with --prompts"),
            ("notes.md", "is nothing that can be segmented .*is empty"),
        ],
    )
    def test_files_that_are_something_else(self, tmp_path, name, message):
        put(tmp_path, name)
        with pytest.raises(InputsError, match=message):
            names(tmp_path / name)

    def test_an_image_may_have_any_ending_when_it_is_named(self, tmp_path):
        Image.new("RGB", (3, 2)).save(tmp_path / "x", "PNG")
        assert names(tmp_path / "x") == ["x"]

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may read everything")
    def test_a_folder_that_cannot_be_listed(self, photos):
        (photos / "z").chmod(0)
        try:
            with pytest.raises(InputsError, match="/z cannot be listed: Permission denied"):
                names(photos)
        finally:
            (photos / "z").chmod(0o700)

    def test_a_folder_that_fails_while_it_is_listed(self, photos, monkeypatch):
        def scandir(path, real=os.scandir):
            if Path(path).name == "z":
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        with pytest.raises(InputsError, match="/z cannot be listed: Permission denied"):
            names(photos)

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names of files are Unicode")
    def test_names_that_are_no_unicode_can_be_written(self, tmp_path):
        (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
        (item,) = list_items([str(tmp_path)])
        assert item.name == "caf\\udce9.jpg"
        item.name.encode()
        assert item.read().read_bytes() == b"x"


class TestShards:
    def test_they_are_counted_from_one(self):
        assert parse_shard("2/4") == (2, 4)
        assert parse_shard(" 1 / 1 ") == (1, 1)
        assert list(select_shard(range(10), 1, 3)) == [0, 1, 2]
        assert list(select_shard(range(10), 3, 3)) == [6, 7, 8, 9]

    @pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "0/0", "-1/4", "a/b", "1/2/3", "1.5/2"])
    def test_what_is_wrong_is_said(self, text):
        with pytest.raises(InputsError, match=r"part"):
            parse_shard(text)

    @pytest.mark.parametrize(("index", "count"), [(0, 4), (5, 4), (1, 0)])
    def test_parts_that_are_not_there(self, index, count):
        with pytest.raises(InputsError, match="there is no part"):
            select_shard(range(10), index, count)

    @given(st.integers(0, 50), st.integers(1, 60))
    def test_together_they_are_all(self, length, count):
        parts = [list(select_shard(range(length), index, count)) for index in range(1, count + 1)]
        assert [one for part in parts for one in part] == list(range(length))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_items_travel_and_carry_prompts():
    item = Item("a/b.jpg", "a/b", ImageFile("/x/a/b.jpg"))
    prompts = [{"box": [1, 2, 3.5, 4], "label": 'a "car"'}, {"points": [[1, 2]]}]
    asked = item.with_prompts(prompts)
    assert asked.prompts == tuple(prompts)
    assert item.prompts is None
    assert item.with_prompts([]).prompts == ()
    assert pickle.loads(pickle.dumps(asked)) == asked
    with pytest.raises(AttributeError):
        item.name = "other"
