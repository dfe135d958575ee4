"""SHA-256 of what a dataset holds, for an artefact's provenance."""

from __future__ import annotations

import hashlib

import numpy as np

from smec.data.embeddings import Embeddings
from smec.data.qrels import Qrels
from smec.vectors import row_blocks


def embeddings_sha256(embeddings: Embeddings) -> str:
    """Hash of ids and vectors in their order, block by block; texts and file format do not count."""
    digest = hashlib.sha256(f"{embeddings.vectors.dtype} {embeddings.vectors.shape}\n".encode())
    for block in row_blocks(len(embeddings)):
        digest.update("".join(f"{id_}\n" for id_ in embeddings.ids[block]).encode())
        digest.update(np.ascontiguousarray(embeddings.vectors[block]).data)
    return digest.hexdigest()


def qrels_sha256(qrels: Qrels) -> str:
    """Hash of the judgements, whatever their order."""
    digest = hashlib.sha256()
    for query in sorted(qrels):
        judged = sorted(qrels[query].items())
        digest.update("".join(f"{query}\t{document}\t{grade}\n" for document, grade in judged).encode())
    return digest.hexdigest()
