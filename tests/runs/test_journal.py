"""What is done is known after a kill at any moment, and nothing half done is taken for done."""

import json
import shutil

import pytest

from anymask.runs.errors import RunError
from anymask.runs.items import ImageFile, Item
from anymask.runs.journal import Journal, prompts_hash
from anymask.runs.outcome import Outcome

SETTINGS = {"task": "everything", "settings": {"points_per_side": 4}, "model": "pocket"}


def item(name, prompts=None):
    made = Item(f"{name}.jpg", name, ImageFile(f"{name}.jpg"))
    return made if prompts is None else made.with_prompts(prompts)


def outcome(name, text=b"masks"):
    return Outcome(f"{name}.jpg", 2, ((f"{name}.json", text),))


def test_a_done_image_is_done_after_opening_again(tmp_path):
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a"), outcome("a"))
        assert journal.is_done(item("a"))
    with Journal(tmp_path, SETTINGS) as journal:
        assert journal.is_done(item("a"))
        assert not journal.is_done(item("b"))
        assert journal.entries["a.jpg"].masks == 2
    assert (tmp_path / "a.json").read_bytes() == b"masks"


def test_an_image_is_not_done_if_its_result_went_away_or_its_files_are_called_otherwise(tmp_path):
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a"), outcome("a"))
        assert not journal.is_done(Item("a.jpg", "a.jpg", ImageFile("a.jpg")))
        (tmp_path / "a.json").unlink()
        assert not journal.is_done(item("a"))


def test_other_prompts_are_to_be_answered_again(tmp_path):
    boxes = [{"box": [0, 0, 5, 5]}], [{"box": [0, 0, 5, 6]}]
    assert prompts_hash(item("a", boxes[0])) != prompts_hash(item("a", boxes[1]))
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a", boxes[0]), outcome("a"))
        assert journal.is_done(item("a", boxes[0]))
        assert not journal.is_done(item("a", boxes[1]))


def test_a_failed_image_is_tried_again_and_may_succeed(tmp_path):
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a"), Outcome("a.jpg", error="it is broken"))
        assert not journal.is_done(item("a"))
        assert journal.entries["a.jpg"].error == "it is broken"
        journal.add(item("a"), outcome("a"))
    with Journal(tmp_path, SETTINGS) as journal:
        assert journal.is_done(item("a"))


def test_every_cut_of_the_journal_is_read_and_continued(tmp_path):
    with Journal(tmp_path / "whole", SETTINGS) as journal:
        for name in "abc":
            journal.add(item(name), Outcome(f"{name}.jpg", 1, record=f"masks of {name}".encode()))
    whole = (tmp_path / "whole/.anymask/journal.jsonl").read_bytes()
    for length in range(len(whole) + 1):
        cut = tmp_path / "cut"
        shutil.copytree(tmp_path / "whole", cut)
        with (cut / ".anymask/journal.jsonl").open("r+b") as stream:
            stream.truncate(length)
        with Journal(cut, SETTINGS) as journal:
            assert len(journal.entries) == whole[:length].count(b"\n")
            for name in "abc":
                if not journal.is_done(item(name)):
                    journal.add(item(name), Outcome(f"{name}.jpg", 1, record=f"masks of {name}".encode()))
            records = {one.name: record for one, record in journal.records(map(item, "abc"))}
        assert records == {f"{name}.jpg": f"masks of {name}\n".encode() for name in "abc"}
        for name in ("journal.jsonl", "records.jsonl"):
            path = f".anymask/{name}"
            assert (cut / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
        shutil.rmtree(cut)


def test_files_on_their_way_are_gone_at_the_next_start(tmp_path):
    with Journal(tmp_path, SETTINGS):
        (tmp_path / ".anymask/new/7").write_bytes(b"half")
        shutil.copytree(tmp_path, tmp_path.with_name("killed"))
    with Journal(tmp_path.with_name("killed"), SETTINGS):
        assert list(tmp_path.with_name("killed").glob(".anymask/new/*")) == []


def test_another_process_is_kept_out_but_another_part_is_not(tmp_path):
    with (
        Journal(tmp_path, SETTINGS),
        Journal(tmp_path, SETTINGS, shard=(1, 2)),
        pytest.raises(RunError, match="another process is at work"),
        Journal(tmp_path, SETTINGS),
    ):
        pass


def test_parts_know_of_each_other(tmp_path):
    with Journal(tmp_path, SETTINGS, shard=(1, 2)) as first, Journal(tmp_path, SETTINGS, shard=(2, 2)) as second:
        first.add(item("a"), outcome("a"))
        second.add(item("b"), Outcome("b.jpg", error="broken"))
        second.look_again()
        assert set(second.entries) == {"a.jpg", "b.jpg"}
    with Journal(tmp_path, SETTINGS) as journal:
        assert journal.is_done(item("a"))
        assert not journal.is_done(item("b"))


def test_what_one_part_failed_at_another_may_have_done(tmp_path):
    with Journal(tmp_path, SETTINGS, shard=(1, 2)) as journal:
        journal.add(item("a"), outcome("a"))
    with Journal(tmp_path, SETTINGS, shard=(2, 2)) as journal:
        journal.add(item("a"), Outcome("a.jpg", error="broken"))
    with Journal(tmp_path, SETTINGS) as journal:
        assert journal.is_done(item("a"))


def test_other_settings_are_refused_and_named(tmp_path):
    with Journal(tmp_path, SETTINGS):
        pass
    other = {**SETTINGS, "settings": {"points_per_side": 16}}
    with pytest.raises(RunError, match=r"points_per_side: 4, now 16.*--restart"), Journal(tmp_path, other):
        pass
    with Journal(tmp_path, SETTINGS):
        pass


def test_a_restart_forgets(tmp_path):
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a"), outcome("a"))
    other = {**SETTINGS, "model": "vit_b"}
    with Journal(tmp_path, other, restart=True) as journal:
        assert not journal.is_done(item("a"))
    with Journal(tmp_path, other):
        pass


@pytest.mark.parametrize("name", ["run.json", "journal.jsonl"])
def test_damage_is_said(tmp_path, name):
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a"), outcome("a"))
    (tmp_path / ".anymask" / name).write_text("nonsense\n")
    with pytest.raises(RunError, match=r"damaged.*--restart"), Journal(tmp_path, SETTINGS):
        pass
    with Journal(tmp_path, SETTINGS, restart=True):
        pass


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(RunError, match="is a file"), Journal(tmp_path / "out", SETTINGS):
        pass


def test_a_failed_append_leaves_the_journal_as_it_was(tmp_path, monkeypatch):
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(item("a"), outcome("a"))
        before = (tmp_path / ".anymask/journal.jsonl").read_bytes()
        stream = journal._journal

        class FullAfterSomeBytes:
            def __getattr__(self, name):
                return getattr(stream, name)

            def write(self, content):
                stream.write(bytes(content[:5]))
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal, "_journal", FullAfterSomeBytes())
        with pytest.raises(OSError, match="No space"):
            journal.add(item("b"), outcome("b"))
    assert (tmp_path / ".anymask/journal.jsonl").read_bytes() == before


def test_names_that_are_no_text_survive(tmp_path):
    strange = Item("caf\udce9.jpg", "caf\udce9", ImageFile("caf\udce9.jpg"))
    with Journal(tmp_path, SETTINGS) as journal:
        journal.add(strange, Outcome(strange.name, 0, ((f"{strange.key}.json", b"{}"),)))
    with Journal(tmp_path, SETTINGS) as journal:
        assert journal.is_done(strange)
    line = (tmp_path / ".anymask/journal.jsonl").read_text()
    assert json.loads(line)["name"] == strange.name
