import io
import tarfile

import numpy as np
import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webdataset.tariterators import group_by_keys, tar_file_expander

from anymask.runs.errors import InputsError
from anymask.runs.inputs import list_items
from anymask.runs.tar_input import TarMember, tar_images
from anymask.segment.pixels import read_image


def write_tar(path, members, tar_format=tarfile.PAX_FORMAT):
    """Write (name, content) pairs, or TarInfo objects without content."""
    with tarfile.open(path, "w", format=tar_format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                name, content = member
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def contents(path):
    return {name: source.read() for name, source in tar_images(path)}


def reason(path, name=""):
    source = dict(tar_images(path))[name]
    with pytest.raises(InputsError) as error:
        source.read()
    return str(error.value)


@pytest.fixture
def shard(tmp_path):
    """Three samples, as WebDataset itself writes them, of pictures and of what belongs to them."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3)).astype(np.uint8)
    with webdataset.TarWriter(str(tmp_path / "train-000.tar")) as writer:
        for number, picture in enumerate(pixels):
            writer.write(
                {"__key__": f"a/{number:03d}", "png": picture, "seg.png": picture, "cls": number, "json": {"n": number}}
            )
    return tmp_path / "train-000.tar", pixels


def test_what_webdataset_writes_is_read(shard):
    path, pixels = shard
    items = list_items([str(path)])
    assert [item.name for item in items] == [f"train-000/a/00{number}.png" for number in range(3)]
    assert [item.key for item in items] == [f"train-000/a/00{number}" for number in range(3)]
    for item, picture in zip(items, pixels, strict=True):
        np.testing.assert_array_equal(read_image(item.read()), picture)
    assert str(path) in items[0].described_place()
    assert items[0].path is None


def test_webdataset_and_we_see_the_same_samples(shard):
    path, _ = shard
    with path.open("rb") as stream:
        samples = list(group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}])))
    assert [sample["__key__"] for sample in samples] == ["a/000", "a/001", "a/002"]
    assert [item.read() for item in list_items([str(path)])] == [sample["png"] for sample in samples]


def test_shards_of_a_folder_and_of_a_pattern(shard):
    path, _ = shard
    for number in range(1, 12):
        write_tar(path.with_name(f"train-{number:03d}.tar"), [("x.jpg", b"%d" % number)])
    everything = [item.name for item in list_items([str(path.parent)])]
    assert len(everything) == 14
    assert everything[3:5] == ["train-001/x.jpg", "train-002/x.jpg"]
    some = list_items([str(path.parent / "train-{009..011}.tar")])
    assert [(item.name, item.read()) for item in some] == [
        ("train-009/x.jpg", b"9"),
        ("train-010/x.jpg", b"10"),
        ("train-011/x.jpg", b"11"),
    ]
    assert [item.name for item in list_items([str(path.parent / "*-01?.tar")])] == [
        "train-010/x.jpg",
        "train-011/x.jpg",
    ]
    with pytest.raises(InputsError, match=r"nothing at .*train-012\.tar"):
        list_items([str(path.parent / "train-{010..012}.tar")])


def test_pictures_beside_them_come_first(shard):
    path, _ = shard
    (path.parent / "preview.jpg").write_bytes(b"")
    assert [item.name for item in list_items([str(path.parent)])] == ["preview.jpg"]


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_layouts_of_tar(tmp_path, tar_format):
    long = "é" * 30 + "/" + "b" * 80 + ".jpg"
    members = [("./a.jpg", b"one"), (long, b"two"), ("notes.txt", b"no"), ("c/d.PNG", b"x" * 2000)]
    path = write_tar(tmp_path / "x.tar", members, tar_format)
    assert contents(path) == {"a.jpg": b"one", long: b"two", "c/d.PNG": b"x" * 2000}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.lists(st.from_regex(r"[a-zé_][a-z0-9 _-]{0,40}", fullmatch=True), min_size=1, max_size=4).map("/".join),
        st.binary(max_size=1500),
        max_size=8,
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_every_member_comes_back(tmp_path, members, tar_format):
    members = {f"{name}.jpg": content for name, content in members.items()}
    path = write_tar(tmp_path / "x.tar", members.items(), tar_format)
    assert contents(path) == members


def test_endings_after_the_first_dot_tell_what_a_file_is(tmp_path):
    names = ["1.jpg", "1.mask.png", "2.left.png", "2.right.png", "v1.0/3.png", "v1.0/3.depth.png", "4.jpg", "4.png"]
    path = write_tar(tmp_path / "x.tar", [(name, b"") for name in names])
    expected = ["1.jpg", "2.left.png", "2.right.png", "v1.0/3.png", "4.jpg", "4.png"]
    assert [name for name, _ in tar_images(path)] == expected


def test_hidden_files_are_left_out(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("._a.jpg", b""), ("a/.b/c.jpg", b""), ("./.d.jpg", b""), ("e.jpg", b"")])
    assert [name for name, _ in tar_images(path)] == ["e.jpg"]


def test_names_that_climb_stay_inside(tmp_path):
    members = [("../../up.jpg", b"1"), ("/etc/root.jpg", b"2"), ("C:\\drive.jpg", b"3"), ("a/../../b.jpg", b"4")]
    path = write_tar(tmp_path / "x.tar", members)
    assert contents(path) == {"up.jpg": b"1", "root.jpg": b"2", "drive.jpg": b"3", "b.jpg": b"4"}


def test_only_regular_files_are_read(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    members = [
        ("real.jpg", b"real"),
        special("link.jpg", tarfile.SYMTYPE, str(secret)),
        special("hard.jpg", tarfile.LNKTYPE, "real.jpg"),
        special("device.jpg", tarfile.CHRTYPE),
        special("pipe.jpg", tarfile.FIFOTYPE),
        special("folder.jpg", tarfile.DIRTYPE),
        special("sparse.jpg", tarfile.GNUTYPE_SPARSE),
    ]
    path = write_tar(tmp_path / "x.tar", members, tarfile.GNU_FORMAT)
    found = dict(tar_images(path))
    assert list(found) == ["real.jpg", "link.jpg", "hard.jpg", "device.jpg", "pipe.jpg", "sparse.jpg"]
    assert found.pop("real.jpg").read() == b"real"
    for name in found:
        assert "only regular files" in reason(path, name)
    assert "is a link" in reason(path, "link.jpg")
    assert "is a sparse file" in reason(path, "sparse.jpg")


def test_the_last_of_one_name_counts(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"old"), ("b.jpg", b"b"), ("a.jpg", b"new")])
    assert [(name, source.read()) for name, source in tar_images(path)] == [("b.jpg", b"b"), ("a.jpg", b"new")]


class TestDamage:
    @pytest.fixture
    def whole(self, tmp_path):
        members = [(f"{number}.jpg", bytes([number]) * 1000) for number in range(5)]
        return write_tar(tmp_path / "x.tar", members, tarfile.USTAR_FORMAT)

    @pytest.mark.parametrize(
        ("length", "complete", "message"),
        [
            (3 * 1536 + 700, 3, "cut in the middle of '3.jpg'"),
            (3 * 1536 + 100, 3, "cut at byte 4,608"),
            (300, 0, "damaged or no tar file: truncated header"),
            (0, 0, "damaged or no tar file: empty file"),
        ],
    )
    def test_of_a_cut_file_what_is_whole_is_listed(self, whole, length, complete, message):
        whole.write_bytes(whole.read_bytes()[:length])
        items = list_items([str(whole)])
        assert [item.name for item in items] == [*(f"x/{number}.jpg" for number in range(complete)), "x.tar"]
        for number, item in enumerate(items[:-1]):
            assert item.read() == bytes([number]) * 1000
        with pytest.raises(InputsError, match=message):
            items[-1].read()
        assert ("images before that are whole" in reason(whole)) is (complete > 0)
        assert items[-1].described_place() == str(whole)

    def test_a_damaged_header_is_not_the_end(self, whole):
        content = bytearray(whole.read_bytes())
        content[2 * 1536 + 10] ^= 255
        whole.write_bytes(content)
        assert len(tar_images(whole)) == 3
        assert "damaged or cut at byte 3,072" in reason(whole)

    def test_a_second_tar_file_behind_the_first(self, whole):
        whole.write_bytes(whole.read_bytes() * 2)
        assert len(tar_images(whole)) == 6
        assert "perhaps a second tar file" in reason(whole)

    def test_a_missing_mark_of_the_end_is_none(self, whole):
        whole.write_bytes(whole.read_bytes()[: 5 * 1536])
        assert len(contents(whole)) == 5

    def test_a_size_that_leads_back(self, tmp_path):
        entry = tarfile.TarInfo("a.jpg")
        block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
        block[124:136] = b"\xff" * 10 + b"\xfc\x00"
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        path = tmp_path / "x.tar"
        path.write_bytes(bytes(block) * 2 + bytes(1024))
        assert "damaged" in reason(path)

    def test_a_compressed_file_under_another_name(self, tmp_path):
        with tarfile.open(tmp_path / "x.tar", "w:gz"):
            pass
        assert "is compressed" in reason(tmp_path / "x.tar")

    def test_a_missing_file_of_a_list(self, tmp_path):
        (tmp_path / "list.txt").write_text("x.tar\n")
        (item,) = list_items([str(tmp_path / "list.txt")])
        assert item.name == "x.tar"
        with pytest.raises(InputsError, match=r"x\.tar cannot be read: No such file"):
            item.read()

    def test_a_file_that_became_shorter(self, whole):
        source = TarMember(str(whole), whole.stat().st_size - 10, 100)
        with pytest.raises(InputsError, match="has changed since"):
            source.read()


def test_the_same_file_twice_is_listed_once(tmp_path):
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"")])
    assert len(list_items([str(path), str(tmp_path), str(path)])) == 1


def test_files_of_one_name_in_two_folders(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_tar(tmp_path / folder / "x.tar", [("a.jpg", folder.encode())])
    items = list_items([str(tmp_path / "one"), str(tmp_path / "two")])
    assert [(item.name, item.read()) for item in items] == [("one/x/a.jpg", b"one"), ("two/x/a.jpg", b"two")]
