"""The tables of the store.

Whoever changes them adds a migration in ``anymask.engine.migrations.versions``; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from anymask.engine.annotation import ObjectState, Prompts, Source, Status


class UtcTime(TypeDecorator[datetime]):
    """A point in time, kept in UTC, because SQLite forgets time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn a time with a zone into UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that the time is UTC."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


Number = BigInteger().with_variant(Integer, "sqlite")
"""Numbers that the database gives out itself; SQLite does that for its own type only."""


class Base(DeclarativeBase):
    """The parent of all tables. Constraints have names, so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime}  # noqa: RUF012 -- SQLAlchemy's own way of saying it


class ProjectRow(Base):
    """The project, in one row.

    Attributes:
        id: made with the database; it moves with it.
        created_at: when the database was made.
    """

    __tablename__ = "project"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class PictureRow(Base):
    """A picture.

    Attributes:
        name: path relative to the folder of pictures, with forward slashes.
        order_key: see :func:`anymask.engine.picture_order.order_key`.
        width: in pixels after EXIF rotation, None until it was read. Objects have this size.
        height: the same.
        file_bytes: size of the file from which width and height were read, to see that it is another one now.
        file_changed_ns: when that file had last been changed.
        error: why the picture cannot be annotated, or None.
        added_at: when it was first seen.
        missing_since: when its file was found gone, or None.
    """

    __tablename__ = "pictures"
    __table_args__ = (UniqueConstraint("name"), Index(None, "order_key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    order_key: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int | None]
    height: Mapped[int | None]
    file_bytes: Mapped[int | None] = mapped_column(BigInteger)
    file_changed_ns: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    added_at: Mapped[datetime]
    missing_since: Mapped[datetime | None]


class ObjectRow(Base):
    """An object as it is now; the columns are those of :class:`anymask.engine.annotation.ObjectState`.

    Attributes:
        picture_id: the picture it lies on, for ever.
        prompts: as JSON.
    """

    __tablename__ = "objects"
    __table_args__ = (Index(None, "picture_id", "status"), Index(None, "label", "status"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    picture_id: Mapped[int] = mapped_column(ForeignKey("pictures.id"))
    version: Mapped[int]
    status: Mapped[str] = mapped_column(String(20))
    counts: Mapped[str] = mapped_column(Text)
    prompts: Mapped[str | None] = mapped_column(Text)
    label: Mapped[str | None] = mapped_column(String(200))
    color: Mapped[int]
    visible: Mapped[bool]
    order: Mapped[float] = mapped_column(Double)
    score: Mapped[float | None] = mapped_column(Double)
    source: Mapped[str] = mapped_column(String(20))
    finished: Mapped[bool]
    model: Mapped[str | None] = mapped_column(String(64))

    def set_state(self, state: ObjectState) -> None:
        """Take over all of a state but its id."""
        for column, value in state_columns(state).items():
            setattr(self, column, value)

    def state(self) -> ObjectState:
        """Return the object as it travels."""
        return ObjectState(
            id=self.id,
            version=self.version,
            status=Status(self.status),
            counts=self.counts,
            prompts=None if self.prompts is None else Prompts.model_validate_json(self.prompts),
            label=self.label,
            color=self.color,
            visible=self.visible,
            order=self.order,
            score=self.score,
            source=Source(self.source),
            finished=self.finished,
            model=self.model,
        )


class EventRow(Base):
    """A change that was stored. Rows are only ever added; the database itself refuses anything else.

    Attributes:
        seq: counts events in the order in which they were stored.
        change_id: see :class:`anymask.engine.annotation.Change`.
        version: the object's, after the change.
        action: what was done.
        made_at: by the clock of whoever made the change.
        stored_at: by this machine's clock.
        author: who made it, or None where nobody is told apart.
        state: the whole object after it, as JSON.
    """

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("change_id"),
        UniqueConstraint("object_id", "version"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(Number, primary_key=True)
    change_id: Mapped[UUID]
    picture_id: Mapped[int] = mapped_column(ForeignKey("pictures.id"))
    object_id: Mapped[UUID] = mapped_column(ForeignKey("objects.id"))
    version: Mapped[int]
    action: Mapped[str] = mapped_column(String(40))
    made_at: Mapped[datetime]
    stored_at: Mapped[datetime]
    author: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(Text)


class LabelRow(Base):
    """A label that objects can have.

    Attributes:
        position: labels are listed by this.
    """

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]


def state_columns(state: ObjectState) -> dict[str, Any]:
    """Return the columns of an object's row, but those that never change."""
    values = state.model_dump(mode="json", exclude={"id", "prompts"})
    values["prompts"] = None if state.prompts is None else state.prompts.model_dump_json()
    return values
