"""What Alembic runs to migrate the connection that :mod:`anymask.engine.migration` gives it."""

from alembic import context

from anymask.engine.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
