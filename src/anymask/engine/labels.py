"""The labels of a project, in the order in which people see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from anymask.engine import events
from anymask.engine.annotation import Change, Status
from anymask.engine.errors import LabelError, LabelInUseError
from anymask.engine.label_names import LABEL_LENGTH, clean_label
from anymask.engine.schema import LabelRow, ObjectRow

_AT_A_TIME = 500


def listed(session: Session) -> list[str]:
    """Return the labels in their order."""
    return list(session.scalars(select(LabelRow.name).order_by(LabelRow.position, LabelRow.id)))


def add(session: Session, names: Iterable[str | None]) -> None:
    """Put those labels that are new behind the others, in their order. They must be clean."""
    wanted = dict.fromkeys(name for name in names if name is not None)
    if not wanted:
        return
    known = set(session.scalars(select(LabelRow.name).where(LabelRow.name.in_(wanted))))
    last = session.scalar(select(func.max(LabelRow.position)))
    position = 0 if last is None else last + 1
    for name in wanted:
        if name not in known:
            session.add(LabelRow(name=name, position=position))
            position += 1


def replace(session: Session, names: Sequence[str], renamed: Mapping[str, str], now: datetime) -> list[str]:
    """Make these the labels, in this order, and rename some on all objects that have them.

    Args:
        session: one that writes.
        names: all labels in their new order.
        renamed: from old names to names in ``names``; where the new name was there before, the two become one. A
            renaming that was done before is no error.
        now: the time.

    Returns:
        The labels, as :func:`listed` gives them.

    Raises:
        LabelError: a name is empty, too long or given twice, or a renaming leads nowhere.
        LabelInUseError: present objects have a label that is left out.
    """
    wanted = _clean(names)
    before = set(listed(session))
    changed = _clean_renames(renamed)
    for old, new in changed.items():
        if old not in before and new not in before:
            raise LabelError(f"there is no label {old!r} to be renamed: the first are {', '.join(sorted(before)[:10])}")
        if new not in wanted or old in wanted:
            raise LabelError(f"to rename {old!r} to {new!r}, the new list must hold {new!r} and not {old!r}")
    _check_unused(session, before - set(wanted) - set(changed))
    for old, new in changed.items():
        _rename(session, old, new, now)
    session.execute(delete(LabelRow).where(LabelRow.name.in_(before - set(wanted))))
    rows = {row.name: row for row in session.scalars(select(LabelRow))}
    for position, name in enumerate(wanted):
        if name in rows:
            rows[name].position = position
        else:
            session.add(LabelRow(name=name, position=position))
    session.flush()
    return listed(session)


def _clean(names: Sequence[str]) -> list[str]:
    wanted = []
    for given in names:
        name = clean_label(given)
        if name is None or len(name) > LABEL_LENGTH:
            raise LabelError(f"a label has 1 to {LABEL_LENGTH} characters, got {given[:LABEL_LENGTH]!r}")
        wanted.append(name)
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        raise LabelError(f"the label {twice[0]!r} is given twice")
    return wanted


def _clean_renames(renamed: Mapping[str, str]) -> dict[str, str]:
    cleaned = {clean_label(old) or old: clean_label(new) or new for old, new in renamed.items()}
    return {old: new for old, new in cleaned.items() if old != new}


def _check_unused(session: Session, left_out: set[str]) -> None:
    in_use = session.execute(
        select(ObjectRow.label, func.count())
        .where(ObjectRow.label.in_(left_out), ObjectRow.status == Status.PRESENT.value)
        .group_by(ObjectRow.label)
        .order_by(func.count().desc(), ObjectRow.label)
    ).first()
    if in_use is not None:
        label, count = in_use
        objects = "1 object has" if count == 1 else f"{count:,} objects have"
        raise LabelInUseError(f"{objects} the label {label!r}: give them another one first, or rename it")


def _rename(session: Session, old: str, new: str, now: datetime) -> None:
    """Rename a label on all objects, deleted ones too, so that it does not come back with them."""
    while True:
        rows = list(session.scalars(select(ObjectRow).where(ObjectRow.label == old).limit(_AT_A_TIME)))
        if not rows:
            return
        changes: dict[int, list[Change]] = {}
        for row in rows:
            row.label = new
            row.version += 1
            change = Change(id=uuid4(), at=now, action="rename label", state=row.state())
            changes.setdefault(row.picture_id, []).append(change)
        for picture, of_picture in changes.items():
            events.record(session, picture, of_picture, now)
        session.expunge_all()
