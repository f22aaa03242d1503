"""The description from which the page's types are made is that of this server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymask.studio.openapi import description

COMMITTED = Path(__file__).parents[2] / "web" / "openapi.json"


@pytest.mark.skipif(not COMMITTED.is_file(), reason="the page's sources are not here")
def test_the_committed_description_is_up_to_date() -> None:
    told = "run: python -m anymask.studio.openapi > web/openapi.json, and npm run api in web/"
    assert json.loads(COMMITTED.read_text("utf-8")) == json.loads(description()), told


def test_every_route_describes_itself_and_its_errors() -> None:
    told = json.loads(description())
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], f"{method} {path}"
            problem = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in told["components"]["schemas"]
