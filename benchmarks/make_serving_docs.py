"""Fill in ``docs/serving.md``: settings from their classes, figures from the last measurement.

``python -m benchmarks.make_serving_docs``
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from benchmarks.markdown import table
from benchmarks.serve import RESULTS, tables
from smec.server.settings import ServerSettings

TARGET = Path(__file__).resolve().parents[1] / "docs" / "serving.md"


def settings() -> str:
    """All fields, with defaults and what they mean."""
    return "\n".join(table(["setting", "default", ""], rows(ServerSettings, "")))


def rows(kind: type[BaseModel], prefix: str) -> Iterator[list[str]]:
    """A row for each field, those of objects after their object."""
    for name, field in kind.model_fields.items():
        inner = [part for part in parts(field.annotation) if issubclass(part, BaseModel)]
        text = " ".join((field.description or "").split())
        if inner and not text:
            text = " ".join((inner[0].__doc__ or "").split())
        place = (
            "NAME." if "dict[" in str(field.annotation) else "N." if "tuple[" in str(field.annotation) else ""
        )
        yield [f"`{prefix}{name}`", default(field.default, inner), text.replace("|", r"\|")]
        # A model's own upstream has the fields of the common one.
        if inner and not (prefix and name == "upstream"):
            yield from rows(inner[0], f"{prefix}{name}.{place}")


def parts(annotation: Any) -> Iterator[type]:
    """The classes in an annotation."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from parts(part)


def default(value: Any, inner: list[type]) -> str:
    """A default as JSON; nothing for a field that is an object, or must be given."""
    if value is PydanticUndefined:
        return "must be given"
    if inner or value is None or isinstance(value, SecretStr):
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def filled(page: str) -> str:
    """The page with settings and figures."""
    parts = {"settings": settings(), "figures": tables(json.loads(RESULTS.read_text(encoding="utf-8")))}
    for name, text in parts.items():
        before, begin, rest = page.partition(f"<!-- {name}:begin -->\n")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        page = f"{before}{begin}{text}\n{end}{after}"
    return page


if __name__ == "__main__":
    TARGET.write_text(filled(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
