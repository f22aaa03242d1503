"""The labels of a project."""

from __future__ import annotations

import pytest

from anymask.engine.annotation import Status
from anymask.engine.errors import LabelError, LabelInUseError

from .changing import after, change, new_object


def test_a_new_label_comes_last_and_once(store, picture):
    assert store.labels() == []
    assert store.set_labels(["tree", "car"]) == ["tree", "car"]
    store.apply(picture, [change(new_object(label=label)) for label in ("dog", " car ", None, "cat", "dog")])
    assert store.labels() == ["tree", "car", "dog", "cat"]


def test_labels_are_cleaned(store):
    assert store.set_labels(["  a  b ", "cafe\N{COMBINING ACUTE ACCENT}"]) == ["a b", "café"]


def test_order_and_unused_labels_are_free(store, picture):
    store.apply(picture, [change(new_object(label="car")), change(new_object(label="dog"))])
    assert store.set_labels(["dog", "bird", "car"]) == ["dog", "bird", "car"]
    assert store.set_labels(["car", "dog"]) == ["car", "dog"]
    store.apply(picture, [change(new_object(label="bird"))])
    assert store.labels() == ["car", "dog", "bird"]


def test_a_label_in_use_cannot_vanish(store, picture):
    one, two = new_object(label="car"), new_object(label="car")
    store.apply(picture, [change(one), change(two), change(new_object(label="dog"))])
    with pytest.raises(LabelInUseError, match=r"2 objects have the label 'car': give them another one first"):
        store.set_labels(["dog"])
    with pytest.raises(LabelInUseError, match="1 object has the label 'dog'"):
        store.set_labels(["car"])
    assert store.labels() == ["car", "dog"]
    store.apply(picture, [change(after(one, status=Status.DELETED)), change(after(two, label=None))])
    assert store.set_labels(["dog"]) == ["dog"]
    # Taking the deletion back brings the label back.
    store.apply(picture, [change(after(after(one)))])
    assert store.labels() == ["dog", "car"]


@pytest.mark.parametrize(
    ("names", "renamed", "reason"),
    [
        (["car", " "], {}, "a label has 1 to 200 characters, got ' '"),
        (["x" * 201], {}, "a label has 1 to 200 characters"),
        (["car", "dog", " car"], {}, "the label 'car' is given twice"),
        (["auto"], {"bike": "auto"}, "no label 'bike' to be renamed: the first are car"),
        (["car"], {"car": "auto"}, "the new list must hold 'auto' and not 'car'"),
        (["auto", "car"], {"car": "auto"}, "the new list must hold 'auto' and not 'car'"),
    ],
)
def test_labels_that_cannot_be(store, names, renamed, reason):
    store.set_labels(["car"])
    with pytest.raises(LabelError, match=reason):
        store.set_labels(names, renamed)
    assert store.labels() == ["car"]


def test_renaming_reaches_every_object_and_its_history(store, picture):
    other = store.picture_ids()[2]
    states = [
        new_object(label="car", order=1.0),
        new_object(label="car", order=2.0, status=Status.DELETED),
        new_object(label="dog", order=3.0),
    ]
    store.apply(picture, [change(state) for state in states])
    elsewhere = new_object(label="car")
    store.apply(other, [change(elsewhere)])
    assert store.set_labels(["dog", "vehicle"], {"car": "vehicle"}) == ["dog", "vehicle"]
    assert store.objects(picture) == [*(after(state, label="vehicle") for state in states[:2]), states[2]]
    assert store.objects(other) == [after(elsewhere, label="vehicle")]
    events = store.history(elsewhere.id)
    assert [event.action for event in events] == ["click", "rename label"]
    assert events[-1].state == after(elsewhere, label="vehicle")
    # Who still has the old version is told.
    assert store.apply(other, [change(after(elsewhere, label="car"))])[0].outcome == "conflict"


def test_renaming_to_a_label_that_is_there_joins_them(store, picture):
    store.apply(picture, [change(new_object(label="car")), change(new_object(label="auto"))])
    assert store.set_labels(["auto"], {"car": "auto"}) == ["auto"]
    assert {state.label for state in store.objects(picture)} == {"auto"}


def test_a_renaming_that_was_done_before_changes_nothing(store, picture):
    store.apply(picture, [change(new_object(label="car"))])
    for _ in range(2):
        assert store.set_labels(["auto"], {" car ": " auto "}) == ["auto"]
        assert [(state.label, state.version) for state in store.objects(picture)] == [("auto", 2)]


def test_a_renaming_that_fails_renames_nothing(store, picture):
    store.apply(picture, [change(new_object(label="car")), change(new_object(label="dog"))])
    before = store.objects(picture)
    with pytest.raises(LabelInUseError, match="dog"):
        store.set_labels(["auto"], {"car": "auto"})
    assert (store.labels(), store.objects(picture), len(store.events())) == (["car", "dog"], before, 2)


def test_renaming_many(store, picture):
    for first in (0, 1):
        store.apply(picture, [change(new_object(label="car", order=first + number / 700)) for number in range(700)])
    store.set_labels(["auto"], {"car": "auto"})
    assert {(state.label, state.version) for state in store.objects(picture)} == {("auto", 2)}
    assert len(store.events(limit=9999)) == 2800
