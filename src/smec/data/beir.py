"""BEIR's ``corpus.jsonl`` and ``queries.jsonl`` beside ``.npy`` vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smec.data.embeddings import Embeddings
from smec.data.npy import mapped
from smec.data.readers import reading
from smec.errors import DataError


def read(path: Path) -> Embeddings:
    """Read ``_id``, ``text`` and ``title`` of every line, and map the ``.npy`` file of the same name.

    Row i of the vectors belongs to line i (blank lines do not count).

    Raises
    ------
    DataError
        The ``.npy`` file is missing or of another length, a line is not a JSON object with
        an ``_id``, or a row cannot be used.
    """
    vectors_path = path.with_suffix(".npy")
    if not vectors_path.exists():
        raise DataError(f"{path}: its vectors are missing; write them to {vectors_path.name} beside it")
    vectors = mapped(vectors_path)
    records = [record for _, record in text_records(path)]
    if len(records) != len(vectors):
        raise DataError(f"{path}: {len(records)} lines for the {len(vectors)} vectors in {vectors_path.name}")
    return Embeddings(
        ids=[record["_id"] for record in records],
        vectors=vectors,
        texts=_strings(records, "text"),
        titles=_strings(records, "title"),
        name=str(path),
    )


def text_records(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and ``_id``, ``text``, ``title`` (those that it has) of every line, one at a time.

    Raises
    ------
    DataError
        The file cannot be read, or a line is not a JSON object with an ``_id``.
    """
    with reading(path, "JSON lines"), path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _record(line, f"{path}: line {number}")


def _record(line: str, where: str) -> dict[str, str]:
    try:
        record: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(record, dict) or not isinstance(record.get("_id"), str | int):
        raise DataError(f"{where}: must be an object with a string '_id'")
    return {key: str(record[key]) for key in ("_id", "text", "title") if record.get(key) is not None}


def _strings(records: list[dict[str, str]], key: str) -> list[str] | None:
    if not any(key in record for record in records):
        return None
    return [record.get(key, "") for record in records]
