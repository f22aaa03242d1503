"""What becomes of changes."""

from __future__ import annotations

import random
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymask.engine.annotation import ChangeResult, Click, ObjectState, Outcome, Prompts, Source, Status
from anymask.engine.store import Store

from .changing import NOON, after, change, counts_of, new_object, random_counts


def outcomes(results: list[ChangeResult]) -> list[str]:
    return [result.outcome.value for result in results]


def test_everything_about_an_object_is_kept(store, picture):
    prompts = Prompts(
        clicks=[Click(x=0.1 + 0.2, y=1 / 3, positive=True), Click(x=-0.5, y=8.75, positive=False)],
        box=(0.0, 1.5, 11.999999999, 8.0),
        choice=2,
        base=counts_of((0, 0, 12, 8)),
    )
    states = [
        new_object(prompts=prompts, label="日本語 'quoted' \N{CAT}", score=0.1, order=-1e300),
        new_object(prompts=None, score=None, model=None, visible=False, finished=True, color=255, order=0.5),
        new_object(status=Status.REJECTED, source=Source.AUTOMATIC, order=1e300, label="x" * 200),
    ]
    assert outcomes(store.apply(picture, [change(state) for state in reversed(states)])) == ["stored"] * 3
    assert store.objects(picture) == states
    assert store.open_picture(picture)[1] == states
    assert [store.history(state.id)[0].state for state in states] == states


def test_the_version_decides(store, picture):
    first = new_object()
    assert outcomes(store.apply(picture, [change(first)])) == ["stored"]
    second = after(first, label="car")
    newer = change(second)
    assert store.apply(picture, [newer]) == [ChangeResult(change=newer.id, outcome=Outcome.STORED)]
    for version in (1, 2, 4, 2_000_000_000):
        late = change(second.model_copy(update={"version": version, "label": "dog"}))
        assert store.apply(picture, [late]) == [ChangeResult(change=late.id, outcome=Outcome.CONFLICT, current=second)]
    assert store.objects(picture) == [second]
    unknown = change(new_object(version=2))
    assert store.apply(picture, [unknown]) == [ChangeResult(change=unknown.id, outcome=Outcome.CONFLICT)]
    assert len(store.events()) == 2


def test_the_same_change_twice_is_stored_once(store, picture):
    first = change(new_object())
    second = change(after(first.state))
    assert outcomes(store.apply(picture, [first, first, second])) == ["stored", "known", "stored"]
    assert outcomes(store.apply(picture, [first, second])) == ["known", "known"]
    assert [event.change for event in store.events()] == [first.id, second.id]


def test_an_id_of_a_change_is_never_used_for_another_object(store, picture):
    first = change(new_object())
    other = change(new_object(), id=first.id)
    results = store.apply(picture, [first, other])
    assert outcomes(results) == ["stored", "refused"]
    assert results[1].reason == "its id belongs to a change of another object"
    assert store.objects(picture) == [first.state]


def test_an_object_stays_on_its_picture(store, picture):
    other = store.picture_ids()[1]
    one = new_object()
    store.apply(picture, [change(one)])
    result = store.apply(other, [change(after(one))])[0]
    assert (result.outcome, result.reason) == ("refused", f"object {one.id} lies on another picture")
    assert (store.objects(picture), store.objects(other)) == ([one], [])


def test_a_refused_change_hinders_only_those_that_build_on_it(store, picture):
    good, bad = new_object(), new_object(order=2.0)
    empty = change(after(bad, counts=counts_of((0, 0, 0, 0))))
    on_it = change(after(empty.state, counts=counts_of()))
    results = store.apply(picture, [change(bad), empty, on_it, change(good), change(after(good))])
    assert outcomes(results) == ["stored", "refused", "conflict", "stored", "stored"]
    assert results[1].reason == "the mask has no pixel: delete the object instead"
    assert results[2].current == bad
    assert store.objects(picture) == [after(good), bad]


def test_a_deleted_object_can_come_back(store, picture):
    one = new_object()
    gone = after(one, status=Status.DELETED)
    back = after(gone, status=Status.PRESENT)
    store.apply(picture, [change(one), change(gone, "delete"), change(back, "undo")])
    assert store.objects(picture) == [back]
    assert [event.action for event in store.history(one.id)] == ["click", "delete", "undo"]


def test_the_log_tells_who_did_what_and_when(store, picture):
    before = datetime.now(UTC)
    one, two = new_object(), new_object(order=2.0)
    east = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    first, second = change(one, "box", at=east), change(two, at=NOON + timedelta(microseconds=7))
    store.apply(picture, [first], author="ada")
    store.apply(picture, [second])
    events = store.events()
    assert [event.seq for event in events] == [1, 2]
    assert [event.author for event in events] == ["ada", None]
    assert [event.made_at for event in events] == [NOON, NOON + timedelta(microseconds=7)]
    assert all(event.made_at.tzinfo is UTC and event.picture == picture for event in events)
    assert before <= events[0].stored_at <= events[1].stored_at <= datetime.now(UTC)
    assert (events[0].change, events[0].action, events[0].state) == (first.id, "box", one)
    assert store.events(since=1) == events[1:]
    assert store.events(limit=1) == events[:1]
    assert store.history(two.id) == events[1:]
    assert store.history(uuid.uuid4()) == []


def test_more_changes_than_a_statement_can_name(store, picture):
    changes = [change(new_object(order=float(number))) for number in range(1500)]
    assert outcomes(store.apply(picture, changes + changes[:1])) == ["stored"] * 1500 + ["known"]
    assert store.objects(picture) == [one.state for one in changes]
    assert store.apply(picture, []) == []


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An empty project, and its ids of two pictures of 12 x 8 pixels."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "a.png").touch()
    (folder / "b.png").touch()
    with Store.open(folder) as store:
        store.sync_pictures()
        ids = store.picture_ids()
        for picture in ids:
            store.set_size(picture, 12, 8)
    return folder, ids


class PlainStore:
    """What the store should do, in a few lines and in memory only."""

    def __init__(self) -> None:
        self.states: dict[uuid.UUID, ObjectState] = {}
        self.places: dict[uuid.UUID, int] = {}
        self.changes: dict[uuid.UUID, uuid.UUID] = {}
        self.log: list[tuple[uuid.UUID, ObjectState]] = []

    def apply(self, picture: int, one, sound: bool) -> str:
        identity = one.state.id
        if one.id in self.changes:
            return "known" if self.changes[one.id] == identity else "refused"
        if not sound or self.places.get(identity, picture) != picture:
            return "refused"
        if one.state.version != (self.states[identity].version if identity in self.states else 0) + 1:
            return "conflict"
        self.states[identity] = one.state
        self.places[identity] = picture
        self.changes[one.id] = identity
        self.log.append((one.id, one.state))
        return "stored"


steps = st.tuples(
    st.sampled_from(["next", "next", "next", "same version", "ahead", "again", "wrong size", "taken id"]),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(list(Status)),
    st.integers(0, 2**32),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=8))
def test_any_sequence_of_changes_is_as_a_plain_store_has_it(tmp_path_factory, template, batches):
    source, pictures = template
    folder = tmp_path_factory.mktemp("project") / "photos"
    shutil.copytree(source, folder)
    plain, objects = PlainStore(), [uuid.uuid4() for _ in range(4)]
    sent = []
    with Store.open(folder) as store:
        for batch in batches:
            # Where an object lies is now and then mistaken.
            picture = pictures[batch[0][2]]
            changes, expected = [], []
            for kind, number, _, status, seed in batch:
                generator = random.Random(seed)
                identity = objects[number]
                version = plain.states[identity].version if identity in plain.states else 0
                state = new_object(
                    id=identity,
                    version=max(1, version + {"same version": 0, "ahead": 2}.get(kind, 1)),
                    status=status,
                    counts=random_counts(generator, (8, 11) if kind == "wrong size" else (8, 12)),
                    label=generator.choice([None, "car", "dog"]),
                    order=generator.choice([1.0, 2.0, 3.5]),
                )
                one = change(state)
                if kind == "again" and sent:
                    one = generator.choice(sent)
                if kind == "taken id" and sent:
                    one = change(state, id=generator.choice(sent).id)
                expected.append(plain.apply(picture, one, kind != "wrong size"))
                changes.append(one)
                if kind != "wrong size":
                    sent.append(one)
            results = store.apply(picture, changes)
            assert outcomes(results) == expected
            for one, result in zip(changes, results, strict=True):
                if result.outcome is Outcome.CONFLICT and result.current is not None:
                    assert result.current.id == one.state.id
        for picture in pictures:
            mine = [state for identity, state in plain.states.items() if plain.places[identity] == picture]
            assert store.objects(picture) == sorted(mine, key=lambda state: (state.order, state.id.hex))
            assert store.picture(picture).objects == sum(state.status is Status.PRESENT for state in mine)
        events = store.events()
        assert [(event.change, event.state) for event in events] == plain.log
        assert {event.state.id: event.state for event in events} == plain.states
        for identity in objects:
            history = [event.state.version for event in store.history(identity)]
            assert history == list(range(1, len(history) + 1))
        used = [state.label for _, state in plain.log if state.label is not None]
        assert store.labels() == list(dict.fromkeys(used))


def test_of_those_who_change_one_version_at_once_one_wins(store, picture, folder):
    first = new_object()
    store.apply(picture, [change(first)])
    with Store.open(folder) as other:

        def rename(number: int) -> list[ChangeResult]:
            changes = [change(after(first, label=f"label {number}")), change(new_object(order=2.0 + number))]
            return (store, other)[number % 2].apply(picture, changes)

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(rename, range(24)))
    assert sorted(result[0].outcome.value for result in results) == ["conflict"] * 23 + ["stored"]
    assert all(result[1].outcome is Outcome.STORED for result in results)
    current, *others = store.objects(picture)
    winner = next(number for number, result in enumerate(results) if result[0].outcome is Outcome.STORED)
    assert current == after(first, label=f"label {winner}")
    assert all(result[0].current == current for result in results if result[0].outcome is Outcome.CONFLICT)
    assert len(others) == 24
