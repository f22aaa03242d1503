"""Pictures, their objects, the log of changes, and labels."""

import sqlalchemy as sa
from alembic import op

from anymask.engine.sqlite import APPEND_ONLY

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "project",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
    )
    op.create_table(
        "pictures",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("order_key", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("file_bytes", sa.BigInteger()),
        sa.Column("file_changed_ns", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("added_at", _TIME, nullable=False),
        sa.Column("missing_since", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_pictures"),
        sa.UniqueConstraint("name", name="uq_pictures_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pictures_order_key", "pictures", ["order_key"])
    op.create_table(
        "objects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("picture_id", _NUMBER, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("prompts", sa.Text()),
        sa.Column("label", sa.String(200)),
        sa.Column("color", sa.Integer(), nullable=False),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("order", sa.Double(), nullable=False),
        sa.Column("score", sa.Double()),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("model", sa.String(64)),
        sa.ForeignKeyConstraint(["picture_id"], ["pictures.id"], name="fk_objects_picture_id"),
        sa.PrimaryKeyConstraint("id", name="pk_objects"),
    )
    op.create_index("ix_objects_picture_id_status", "objects", ["picture_id", "status"])
    op.create_index("ix_objects_label_status", "objects", ["label", "status"])
    op.create_table(
        "events",
        sa.Column("seq", _NUMBER, nullable=False),
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("picture_id", _NUMBER, nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("stored_at", _TIME, nullable=False),
        sa.Column("author", sa.String(200)),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["picture_id"], ["pictures.id"], name="fk_events_picture_id"),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name="fk_events_object_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("change_id", name="uq_events_change_id"),
        sa.UniqueConstraint("object_id", "version", name="uq_events_object_id_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "labels",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sa.UniqueConstraint("name", name="uq_labels_name"),
    )
    for statement in APPEND_ONLY:
        op.execute(statement)
