"""The API, to read: a plain page made from the OpenAPI description, without a line from another server."""

from __future__ import annotations

from html import escape
from typing import Any

STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; }
h2 { margin-top: 2rem; font-size: 1rem; }
code, pre { font-family: ui-monospace, monospace; }
.method { display: inline-block; min-width: 4rem; }
table { border-collapse: collapse; }
td { padding: 0.15rem 1.5rem 0.15rem 0; vertical-align: top; }
"""


def api_page(description: dict[str, Any]) -> str:
    """Write an OpenAPI description as HTML."""
    title = escape(description["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="/docs.css"></head><body><h1>{title}</h1>',
        f"<p>{escape(description['info'].get('description', ''))}</p>",
        '<p>The same for programs: <a href="/openapi.json">openapi.json</a></p>',
    ]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parts += _operation(method, path, operation)
    parts.append("<h1>Messages</h1>")
    for name, schema in description.get("components", {}).get("schemas", {}).items():
        parts += _schema(name, schema)
    return "\n".join([*parts, "</body></html>\n"])


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    parts = [
        f'<h2><code><span class="method">{method.upper()}</span> {escape(path)}</code></h2>',
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>",
    ]
    rows = [
        (f"{one['name']}{'' if one.get('required') else ' (optional)'}", _type(one.get("schema", {})))
        for one in operation.get("parameters", [])
    ]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(("body", _type(content.get("schema", {})) or escape(kind)))
    for status, response in operation.get("responses", {}).items():
        contents = response.get("content", {}) or {"": {}}
        for kind, content in contents.items():
            answer = _type(content.get("schema", {})) or escape(kind)
            rows.append((f"answer {status}", f"{answer} {escape(response.get('description', ''))}"))
    return [*parts, _table(rows)]


def _schema(name: str, schema: dict[str, Any]) -> list[str]:
    parts = [f'<h2 id="{escape(name)}"><code>{escape(name)}</code></h2>']
    if schema.get("description"):
        parts.append(f"<pre>{escape(schema['description'])}</pre>")
    if "enum" in schema:
        return [*parts, f"<p>{' | '.join(escape(repr(one)) for one in schema['enum'])}</p>"]
    return [*parts, _table([(field, _type(kind)) for field, kind in schema.get("properties", {}).items()])]


def _table(rows: list[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{kind}</td></tr>" for name, kind in rows)
    return f"<table>{body}</table>"


def _type(schema: dict[str, Any]) -> str:
    """Name the type of a schema, as HTML with links to messages."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(escape(repr(one)) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("type", "")))
