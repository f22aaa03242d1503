"""The description of the API, from which the page's types are made.

Run: python -m anymask.studio.openapi > web/openapi.json
"""

from __future__ import annotations

import json

from anymask.studio.app import create_api


def description() -> str:
    """Write the description as JSON, the same text each time."""
    return json.dumps(create_api(None).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(description(), end="")
