"""From a BEIR folder of texts to a dataset folder of embeddings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smec.atomic import replacing
from smec.data.folder import SENTENCES
from smec.data.qrels import HEADER
from smec.embedding import Role, TextEncoder
from smec.embedding.cache import VectorCache, text_key
from smec.embedding.filling import Filler, OnTexts
from smec.embedding.source import SENTENCE, Text, TextSource
from smec.errors import DataError

FILES: dict[Role, str] = {"document": "corpus.parquet", "query": "queries.parquet"}
METADATA_KEY = b"smec.encoder"
"""Key of the schema's metadata that tells which encoder made the vectors."""
ROW_GROUP = 4096


def embed_dataset(
    source: TextSource,
    encoder: TextEncoder,
    cache: VectorCache,
    output: Path,
    *,
    force: bool = False,
    progress: OnTexts | None = None,
) -> int:
    """Write the dataset folder ``output``: ``corpus.parquet``, ``queries.parquet`` and ``qrels/``.

    Sentences of the source come behind the queries, and into a split of their own.

    Every vector goes through the cache: what is there is not embedded again. Memory does not grow with
    the number of texts.

    Parameters
    ----------
    source : TextSource
    encoder : TextEncoder
    cache : VectorCache
    output : Path
    force : bool
        Replace the folder if it exists.
    progress : callable, optional
        Called with the number of texts that one batch has brought.

    Returns
    -------
    int
        D, the width of the vectors.

    Raises
    ------
    DataError
        A text or its id cannot be used, or there is none.
    EncoderError
        As for `smec.embedding.filling.Filler.fill`.
    OutputError
        ``output`` exists, or the disk refuses.
    """
    filler = Filler(encoder, cache, progress)
    roles: list[Role] = []
    for role in FILES:
        if (file := source.file(role)) is not None:
            filler.fill(source.texts(role), role, str(file))
            roles.append(role)
    if source.sentences:
        filler.fill(source.sentences, "query", f"sentences of {source.corpus}")
        roles += [role for role in FILES if role == "query" and role not in roles]
    if filler.width is None:
        raise DataError(f"{source.corpus}: holds no texts")
    with replacing(output, force=force, folder=True) as folder:
        for role in roles:
            _write(source, role, encoder.identity(role), cache, filler.width, folder / FILES[role])
        if source.qrels or source.sentences:
            (folder / "qrels").mkdir()
        for file in source.qrels:
            shutil.copyfile(file, folder / "qrels" / file.name)
        if source.sentences:
            _write_pairs(source.sentences, folder / "qrels" / f"{SENTENCES}.tsv")
    return filler.width


def _write(source: TextSource, role: Role, identity: str, cache: VectorCache, width: int, file: Path) -> None:
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("vector", pa.list_(pa.float32(), width)),
            ("text", pa.string()),
            ("title", pa.string()),
        ],
        metadata={METADATA_KEY: json.dumps(identity).encode()},
    )
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        texts = source.texts(role)
        if role == "query":
            texts = chain(texts, source.sentences)
        for group in _groups(texts):
            try:
                vectors = np.stack([cache[text_key(identity, text.whole)] for text in group])
            except KeyError as error:
                raise DataError(f"{source.file(role)}: has changed since it was read; run again") from error
            columns = [
                pa.array([text.id for text in group], pa.string()),
                pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width),
                pa.array([text.text for text in group], pa.string()),
                pa.array([text.title for text in group], pa.string()),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _write_pairs(sentences: Sequence[Text], file: Path) -> None:
    rows = [HEADER, *([sentence.id, sentence.id.removeprefix(SENTENCE), "1"] for sentence in sentences)]
    file.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def _groups(texts: Iterator[Text]) -> Iterator[list[Text]]:
    while group := list(islice(texts, ROW_GROUP)):
        yield group
