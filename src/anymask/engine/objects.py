"""The objects of pictures: how they are, and how changes are taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from anymask.engine import events, labels
from anymask.engine.annotation import Change, ChangeResult, ObjectState, Outcome, Status
from anymask.engine.change_checks import NotStorable, storable
from anymask.engine.schema import EventRow, ObjectRow

_AT_A_TIME = 1000
"""A statement can name only so many objects."""

Checked = Change | NotStorable
"""A change in the form in which it is kept, or why it can never be."""


def of_picture(session: Session, picture: int) -> list[ObjectState]:
    """Return all objects of a picture in their order, whatever has become of them."""
    query = select(ObjectRow).where(ObjectRow.picture_id == picture).order_by(ObjectRow.order, ObjectRow.id)
    return [row.state() for row in session.scalars(query)]


def present_on(session: Session, pictures: Sequence[int]) -> dict[int, list[ObjectState]]:
    """Return the present objects of each of a few pictures, in their order."""
    query = (
        select(ObjectRow)
        .where(ObjectRow.picture_id.in_(pictures), ObjectRow.status == Status.PRESENT.value)
        .order_by(ObjectRow.order, ObjectRow.id)
    )
    found: dict[int, list[ObjectState]] = {picture: [] for picture in pictures}
    for row in session.scalars(query):
        found[row.picture_id].append(row.state())
    return found


def check(changes: Iterable[Change], size: tuple[int, int]) -> list[Checked]:
    """Check changes for a picture of (height, width); takes time, so it is done before the database is held."""
    checked: list[Checked] = []
    for change in changes:
        try:
            checked.append(storable(change, size))
        except NotStorable as reason:
            checked.append(reason)
    return checked


def apply(
    session: Session,
    picture: int,
    changes: Sequence[Change],
    checked: Sequence[Checked],
    stored_at: datetime,
    author: str | None,
) -> list[ChangeResult]:
    """Store what can be stored of changes to one picture's objects, in their order.

    A change is known by its id, whatever else it holds. Otherwise it is stored if it builds on the version that the
    object has, which is 0 for an object that is not there yet.

    Args:
        session: one that writes.
        picture: its id.
        changes: as they were sent.
        checked: what :func:`check` made of each.
        stored_at: the time now.
        author: who made them.
    """
    results = []
    for first in range(0, len(changes), _AT_A_TIME):
        part = slice(first, first + _AT_A_TIME)
        results += _apply_some(session, picture, changes[part], checked[part], stored_at, author)
    return results


def _apply_some(
    session: Session,
    picture: int,
    changes: Sequence[Change],
    checked: Sequence[Checked],
    stored_at: datetime,
    author: str | None,
) -> list[ChangeResult]:
    rows = _rows(session, {change.state.id for change in changes})
    known = _known_changes(session, {change.id for change in changes})
    stored: list[Change] = []
    results = []
    for change, found in zip(changes, checked, strict=True):
        row = rows.get(change.state.id)
        result = _judge(change, found, row, picture, known)
        if result.outcome is Outcome.STORED and isinstance(found, Change):
            if row is None:
                row = ObjectRow(id=found.state.id, picture_id=picture)
                session.add(row)
                rows[row.id] = row
            row.set_state(found.state)
            known[found.id] = found.state.id
            stored.append(found)
        results.append(result)
    events.record(session, picture, stored, stored_at, author)
    labels.add(session, [change.state.label for change in stored])
    return results


def _judge(
    change: Change, found: Checked, row: ObjectRow | None, picture: int, known: dict[UUID, UUID]
) -> ChangeResult:
    if change.id in known:
        if known[change.id] == change.state.id:
            return ChangeResult(change=change.id, outcome=Outcome.KNOWN)
        return _refused(change, "its id belongs to a change of another object")
    if row is not None and row.picture_id != picture:
        return _refused(change, f"object {row.id} lies on another picture")
    if isinstance(found, NotStorable):
        return _refused(change, str(found))
    if change.state.version != (0 if row is None else row.version) + 1:
        current = None if row is None else row.state()
        return ChangeResult(change=change.id, outcome=Outcome.CONFLICT, current=current)
    return ChangeResult(change=change.id, outcome=Outcome.STORED)


def _refused(change: Change, reason: str) -> ChangeResult:
    return ChangeResult(change=change.id, outcome=Outcome.REFUSED, reason=reason)


def _rows(session: Session, ids: set[UUID]) -> dict[UUID, ObjectRow]:
    return {row.id: row for row in session.scalars(select(ObjectRow).where(ObjectRow.id.in_(ids)))}


def _known_changes(session: Session, ids: set[UUID]) -> dict[UUID, UUID]:
    query = select(EventRow.change_id, EventRow.object_id).where(EventRow.change_id.in_(ids))
    return {row.change_id: row.object_id for row in session.execute(query)}
