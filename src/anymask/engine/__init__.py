"""The data engine: the store of pictures, objects and their history."""

from importlib.util import find_spec

from anymask.segment.errors import MissingPackageError

for _package in ("pydantic", "sqlalchemy", "alembic"):
    if find_spec(_package) is None:
        raise MissingPackageError(f'the store needs {_package}: pip install "anymask[engine]"')
