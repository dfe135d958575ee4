"""What ``/openapi.json`` and ``/docs`` say: pieces of the description, and a page without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from pydantic import BaseModel

from smec.server.models import ServedModel
from smec.server.refusals import JSON
from smec.server.wire import ErrorResponse, Request

Document = dict[str, Any]

REASONS = {
    400: "The request cannot be understood, or asks for what is not served",
    401: "No token, or an unknown one",
    404: "No such model",
    405: "Not with this method",
    408: "The body did not arrive in time",
    413: "The body is too long",
    429: "Too many requests; Retry-After says when to try again",
    500: "The server failed",
    502: "The upstream failed, or its answer cannot be used",
    503: "The model is not served",
    504: "No answer in time",
}

PARAMETERS = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {"type": kind},
        "description": "Of an Arrow request; JSON says it in its body.",
    }
    for name, kind in (("model", "string"), ("dimensions", "integer"), ("input_type", "string"))
]

STYLE = "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em}pre{overflow:auto}"


def answers(
    kind: type[BaseModel] | None, *errors: int, also: Mapping[str, Any] | None = None
) -> dict[int, Document]:
    """Answers of a path: 200 with JSON of ``kind`` and further media types, and errors by status."""
    content = dict(also or {})
    good: Document = {"description": "Done", "content": content} if content else {"description": "Done"}
    if kind is not None:
        good["model"] = kind
    return {
        200: good,
        **{status: {"description": REASONS[status], "model": ErrorResponse} for status in (*errors, 500)},
    }


def body(content: Document) -> Document:
    """A required body of one of several media types."""
    return {"requestBody": {"required": True, "content": content}}


def known(kind: type[Request], models: Iterable[ServedModel]) -> Document:
    """The shape of a request, with the models and sizes that were served at the start."""
    schema = kind.model_json_schema()
    served = list(models)
    sizes = sorted({dim for model in served for dim in model.compressor.dims}, reverse=True)
    schema["properties"]["model"]["enum"] = [model.name for model in served]
    schema["properties"]["dimensions"]["anyOf"][0]["enum"] = sizes
    return schema


def secured(document: Document) -> Document:
    """The description with bearer tokens on every path but those of health."""
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {"type": "http", "scheme": "bearer"}
    for path, operations in document["paths"].items():
        if not path.endswith("z"):
            for operation in operations.values():
                operation["security"] = [{"token": []}]
    return document


def page(document: Document) -> str:
    """The description as HTML that loads nothing from elsewhere."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(document['info']['title'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>",
        f"<p>{escape(document['info']['description'])} As a document for programs: "
        "<a href=openapi.json>openapi.json</a>.",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<h2>{method.upper()} {escape(path)}</h2><p>{escape(operation['summary'])}")
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                parts.append(_shown(f"Request, {media}", content.get("schema", {})))
            for status, answer in operation["responses"].items():
                schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
                kind = schema.get("$ref", "").rpartition("/")[2]
                parts.append(f"<li>{status}: {escape(answer['description'])} {f'({kind})' if kind else ''}")
    parts.append("<h2>Shapes</h2>")
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        parts.append(_shown(name, schema))
    return "\n".join(parts)


def _shown(title: str, schema: Document) -> str:
    text = escape(json.dumps(schema, indent=1))
    return f"<details><summary>{escape(title)}</summary><pre>{text}</pre></details>"
