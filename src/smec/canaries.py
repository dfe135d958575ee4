"""Canary texts: what to embed again to see whether an embedding model is still the same."""

from __future__ import annotations

import numpy as np

from smec.compressor import Compressor
from smec.contents import ASSEMBLED, MEAN
from smec.data import Dataset
from smec.errors import DataError
from smec.vectors import check_table

MOST = 16


def with_canary_texts(compressor: Compressor, dataset: Dataset, *, queries: bool = False) -> Compressor:
    """The compressor with texts beside its canaries' vectors; the vectors it makes stay the same.

    Parameters
    ----------
    compressor : Compressor
    dataset : Dataset
        With texts. Documents of canaries that there are already are preferred.
    queries : bool
        Take queries in place of documents: they are shorter, hence cheaper to embed at every check.

    Raises
    ------
    DataError
        There are no such rows, none with a text, or they have another width.
    """
    rows = dataset.queries if queries else dataset.corpus
    if rows is None or rows.texts is None:
        missing = "no queries" if rows is None else "no texts"
        raise DataError(f"{dataset.name if rows is None else rows.name}: has {missing} to take canaries from")
    check_table(rows.vectors, rows.name, dim=compressor.input_dim)
    known = [rows.rows[id_] for id_ in compressor.manifest.canary_ids if id_ in rows.rows]
    drawn = np.random.default_rng(0).permutation(len(rows)).tolist()
    texts = rows.texts
    chosen = sorted([row for row in dict.fromkeys([*known, *drawn]) if texts[row].strip()][:MOST])
    if not chosen:
        raise DataError(f"{rows.name}: all its texts are empty")
    manifest = compressor.manifest
    fields = manifest.model_dump(exclude=ASSEMBLED) | {
        "canary_ids": tuple(rows.ids[row] for row in chosen),
        "canary_texts": tuple(texts[row] for row in chosen),
    }
    return Compressor.assemble(
        compressor.blocks,
        fields,
        np.asarray(rows.vectors[chosen]),
        compressor.tensors[MEAN],
        [compressor.codec(record.codec, record.dim) for record in manifest.codecs],
    )
