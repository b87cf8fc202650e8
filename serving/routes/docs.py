"""GET /docs: every call with an example to copy, on one page that loads nothing from anywhere else."""

from html import escape
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from serving.requests import Route

router = APIRouter(route_class=Route, include_in_schema=False)

_STYLE = """
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent)}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:0}h2{margin:2.5rem 0 .5rem;font-size:1.1rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:.5rem .8rem}
summary{cursor:pointer}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{overflow:auto;padding:.7rem;border-radius:.3rem;background:color-mix(in srgb,currentColor 7%,transparent)}
summary b{display:inline-block;min-width:4rem;font:600 13px ui-monospace,monospace}
td{padding:.15rem .8rem .15rem 0;vertical-align:top}
"""


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Readable without scripts; /openapi.json has the same for machines."""
    return Response(_page(request.app.openapi(), str(request.base_url).rstrip("/")), media_type="text/html")


def _page(api: dict[str, Any], base: str) -> str:
    rooms: dict[str, list[str]] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            rooms.setdefault(operation["tags"][0], []).append(_operation(api, base, path, method.upper(), operation))
    parts = [f"<h2>{escape(room)}</h2>{''.join(calls)}" for room, calls in rooms.items()]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Murmeli: the calls</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>Murmeli</h1>'
        f'<p>{escape(api["info"]["summary"])} The same for machines: <a href="/openapi.json">/openapi.json</a>. '
        "Every call but health needs a key: add <code>-H 'authorization: Bearer KEY'</code>.</p>"
        f"{''.join(parts)}</html>"
    )


def _operation(api: dict[str, Any], base: str, path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{'required' if one.get('required') else 'optional'}"
        f"<td>{escape(one.get('description') or one['schema'].get('description', ''))}"
        for one in operation.get("parameters", [])
    )
    answer = example_of(api, operation["responses"].get("200", {}))
    shown = f"<p>Answer</p><pre>{_pretty(answer)}</pre>" if answer is not None else ""
    return (
        f"<details><summary><b>{method}</b><code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p><table>{rows}</table>"
        f"<pre>{escape(curl(api, base, path, method, operation))}</pre>{shown}</details>"
    )


def curl(api: dict[str, Any], base: str, path: str, method: str, operation: dict[str, Any]) -> str:
    """A line for a terminal that makes the call with its examples."""
    query = []
    for one in operation.get("parameters", []):
        example = next(iter(one["schema"].get("examples", [])), None)
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", str(example or one["name"]))
        elif one.get("required"):
            query.append(f"{one['name']}={example}")
    url = base + path + ("?" + "&".join(query) if query else "")
    body = example_of(api, operation.get("requestBody", {}))
    if body is None:
        return f"curl{'' if method == 'GET' else f' -X {method}'} '{url}'"
    sent = orjson.dumps(body).decode()
    return f"curl{'' if method == 'POST' else f' -X {method}'} '{url}' -H 'content-type: application/json' -d '{sent}'"


def example_of(api: dict[str, Any], content: dict[str, Any]) -> object:
    """The example of a body or an answer, None where it has none."""
    media = content.get("content", {}).get("application/json", {})
    for example in media.get("examples", {}).values():
        return example["value"]
    schema = media.get("schema", {})
    many = schema.get("type") == "array"
    found = _resolved(api, schema.get("items", {}) if many else schema).get("examples", [])
    return ([found[0]] if many else found[0]) if found else None


def _resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return api["components"]["schemas"][name] if name else schema


def _pretty(content: object) -> str:
    return escape(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
