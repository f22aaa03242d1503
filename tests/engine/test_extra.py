"""Without the packages of the store, it says what to install."""

from __future__ import annotations

import importlib
import importlib.util

import pytest

import anymask.engine
from anymask.segment.errors import MissingPackageError


@pytest.mark.parametrize("package", ["pydantic", "sqlalchemy", "alembic"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingPackageError, match=rf'needs {package}: pip install "anymask\[engine\]"'):
        importlib.reload(anymask.engine)
    monkeypatch.undo()
    importlib.reload(anymask.engine)
