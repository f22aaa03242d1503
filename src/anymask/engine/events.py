"""The log of all that was ever done to objects. It only grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from anymask.engine.annotation import Change, ObjectState
from anymask.engine.schema import EventRow


@dataclass(frozen=True)
class Event:
    """One stored change.

    Attributes:
        seq: grows with every event of the project.
        change: id of the change.
        picture: id of the picture.
        action: what was done, such as "click" or "import".
        made_at: by the clock of whoever made the change.
        stored_at: by this machine's clock.
        author: who made it; None where nobody is told apart.
        state: the whole object after it.
    """

    seq: int
    change: UUID
    picture: int
    action: str
    made_at: datetime
    stored_at: datetime
    author: str | None
    state: ObjectState


def record(
    session: Session, picture: int, changes: Sequence[Change], stored_at: datetime, author: str | None = None
) -> None:
    """Add changes that have been stored to the log, in their order. Their objects must be in the database."""
    if not changes:
        return
    session.flush()
    rows = [
        {
            "change_id": change.id,
            "picture_id": picture,
            "object_id": change.state.id,
            "version": change.state.version,
            "action": change.action,
            "made_at": change.at,
            "stored_at": stored_at,
            "author": author,
            "state": change.state.model_dump_json(),
        }
        for change in changes
    ]
    session.execute(insert(EventRow), rows)


def of_object(session: Session, object_id: UUID) -> list[Event]:
    """Return all that was done to an object, the first first."""
    return _events(session, select(EventRow).where(EventRow.object_id == object_id).order_by(EventRow.version))


def after(session: Session, seq: int, limit: int) -> list[Event]:
    """Return up to ``limit`` events after a number, in the order in which they were stored."""
    return _events(session, select(EventRow).where(EventRow.seq > seq).order_by(EventRow.seq).limit(limit))


def _events(session: Session, query: Select[EventRow]) -> list[Event]:
    return [
        Event(
            seq=row.seq,
            change=row.change_id,
            picture=row.picture_id,
            action=row.action,
            made_at=row.made_at,
            stored_at=row.stored_at,
            author=row.author,
            state=ObjectState.model_validate_json(row.state),
        )
        for row in session.scalars(query)
    ]
