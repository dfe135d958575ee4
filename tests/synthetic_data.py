"""Datasets whose structure is known: what a map can learn of them, and what it can only remember."""

from __future__ import annotations

from typing import Any

import numpy as np

from smec.config import TrainConfig, build_config
from smec.data import Dataset, Embeddings
from smec.vectors import Float32Array

WIDTH = 32
SIZES = (8, 4)
STRONG = 1.05
"""Standard deviation along the directions of strong noise, where it is 1 along those that are shared."""

QUICK: dict[str, Any] = {
    "dims": SIZES,
    "optimiser": {"steps": 60, "batch": 32, "negatives": 64},
    "validation": {"every": 20, "folds": 2},
}
"""Settings over those of a preset: enough to learn these datasets in a second."""


def quick(**fields: Any) -> TrainConfig:
    """The default preset with the quick settings, and ``fields`` on top."""
    merged = {**QUICK, **fields}
    for group in ("optimiser", "validation"):
        merged[group] = {**QUICK[group], **fields.get(group, {})}
    return build_config(**merged)


def learnable(queries: int = 240, per_document: int = 2) -> Dataset:
    """Queries share eight directions with their documents; eight stronger ones are noise on both sides.

    A map that keeps the shared directions is as good for documents that nobody judged; PCA keeps the others.
    """
    rng = np.random.default_rng(1)
    asked = np.repeat(np.arange(queries // per_document), per_document)
    noise = np.repeat([STRONG, 0.3], [8, WIDTH - 16])
    shared = rng.standard_normal((queries // per_document, 8))
    corpus = np.hstack([shared, noise * rng.standard_normal((len(shared), WIDTH - 8))])
    texts = shared[asked] + 0.1 * rng.standard_normal((queries, 8))
    texts = np.hstack([texts, noise * rng.standard_normal((queries, WIDTH - 8))])
    rotation = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    return _judged(corpus @ rotation, texts @ rotation, asked)


def with_sentences(*, helpful: bool, judged: int = 24, documents: int = 240) -> Dataset:
    """Few judged queries as those of `learnable`, and a sentence of each document.

    Helpful sentences share with their document what queries share; the others share its noise alone. 100 test
    queries ask for documents without a judged query.
    """
    rng = np.random.default_rng(7)
    noise = np.repeat([STRONG, 0.3], [8, WIDTH - 16])
    corpus = np.hstack(
        [rng.standard_normal((documents, 8)), noise * rng.standard_normal((documents, WIDTH - 8))]
    )
    asked = np.concatenate([np.arange(judged), documents - 1 - np.arange(100)])
    queries, sentences = (
        np.hstack(
            [
                corpus[of, :8] + 0.1 * rng.standard_normal((len(of), 8)),
                noise * rng.standard_normal((len(of), WIDTH - 8)),
            ]
        )
        for of in (asked, np.arange(documents))
    )
    if not helpful:
        sentences = np.hstack([rng.standard_normal((documents, 8)), corpus[:, 8:]])
    rotation = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    ids = [*map(str, range(len(asked))), *(f"sentence:{row}" for row in range(documents))]
    vectors = (np.vstack([queries, sentences]) @ rotation).astype(np.float32)
    qrels = {
        "train": {str(query): {str(asked[query]): 1} for query in range(judged)},
        "test": {str(query): {str(asked[query]): 1} for query in range(judged, len(asked))},
        "sentences": {f"sentence:{row}": {str(row): 1} for row in range(documents)},
    }
    return Dataset((corpus @ rotation).astype(np.float32), Embeddings(ids, vectors), qrels, "with sentences")


def memorable(queries: int = 240, per_document: int = 6) -> Dataset:
    """Queries for a document are alike, but random: of another document they say nothing."""
    rng = np.random.default_rng(2)
    documents = queries // per_document
    asked = np.repeat(np.arange(documents), per_document)
    phrases = rng.standard_normal((documents, WIDTH))
    texts = phrases[asked] + 0.2 * rng.standard_normal((queries, WIDTH))
    return _judged(rng.standard_normal((documents, WIDTH)), texts, asked)


def asked_where_documents_vary_little(queries: int = 200, judged: int = 0, documents: int = 400) -> Dataset:
    """Documents differ most in directions that no query has: PCA keeps these, and full vectors do without.

    The first ``judged`` queries are judged for training; 100 more, for testing, ask for other documents.
    """
    rng = np.random.default_rng(6)
    corpus = np.hstack([rng.standard_normal((documents, 8)), 2 * rng.standard_normal((documents, 8))])
    asked = np.concatenate([np.arange(queries) % (documents // 2), documents // 2 + np.arange(100)])
    texts = np.hstack(
        [corpus[asked, :8] + 0.3 * rng.standard_normal((len(asked), 8)), np.zeros((len(asked), 8))]
    )
    rotation = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0][:16]
    qrels = {
        "train": {str(query): {str(asked[query]): 1} for query in range(judged)},
        "test": {str(query): {str(asked[query]): 1} for query in range(queries, len(asked))},
    }
    known = {split: of for split, of in qrels.items() if of}
    small = [(rows @ rotation).astype(np.float32) for rows in (corpus, texts)]
    return Dataset(small[0], small[1], known, "asked elsewhere")


def asked_from_elsewhere(queries: int = 300, tests: int = 100, *, judged: int | None = None) -> Dataset:
    """Queries are their documents turned by one rotation: a matrix of their own turns them back.

    Each asks for a document of its own; the first ``judged``, or all but the last ``tests``, are judged for
    training, and these for testing.
    """
    rng = np.random.default_rng(8)
    scale = np.geomspace(1, 0.4, WIDTH)
    corpus = scale * rng.standard_normal((queries + tests, WIDTH))
    drawn = rng.standard_normal((WIDTH, WIDTH))
    skew = 0.08 * (drawn - drawn.T)
    turn = np.linalg.solve(np.eye(WIDTH) - skew, np.eye(WIDTH) + skew)  # Cayley's: a rotation
    texts = corpus @ turn + 0.1 * rng.standard_normal(corpus.shape)
    taught = queries if judged is None else judged
    qrels = {
        "train": {str(query): {str(query): 1} for query in range(taught)},
        "test": {str(query): {str(query): 1} for query in range(queries, queries + tests)},
    }
    return Dataset(corpus.astype(np.float32), texts.astype(np.float32), qrels, "from elsewhere")


def at_random(queries: int = 240) -> Dataset:
    """Judgements are drawn at random: there is nothing to learn of them."""
    rng = np.random.default_rng(9)
    corpus, texts = (rng.standard_normal((queries, WIDTH)) for _ in range(2))
    return _judged(corpus, texts, rng.permutation(queries))


def around_a_mean(queries: int = 240) -> Dataset:
    """Documents and queries around one far point, as of one topic: the mean is the strongest direction."""
    rng = np.random.default_rng(3)
    scale = np.geomspace(1, 0.5, WIDTH)
    centre = 6 * rng.standard_normal(WIDTH)
    corpus = scale * rng.standard_normal((queries, WIDTH))
    texts = corpus + 0.4 * scale * rng.standard_normal((queries, WIDTH))
    return _judged(corpus + centre, texts + centre, np.arange(queries))


def of_one_document(queries: int = 40) -> Dataset:
    """All queries ask for the same document."""
    rng = np.random.default_rng(4)
    texts = rng.standard_normal((queries, WIDTH))
    return _judged(rng.standard_normal((60, WIDTH)), texts, np.zeros(queries, dtype=np.int64))


def in_a_chain(queries: int = 80) -> Dataset:
    """Each query asks for two documents, and shares one with the next query: one group."""
    rng = np.random.default_rng(5)
    corpus = rng.standard_normal((queries + 1, WIDTH))
    texts = corpus[:-1] + 0.5 * rng.standard_normal((queries, WIDTH))
    qrels = {str(n): {str(n): 1, str(n + 1): 1} for n in range(queries)}
    return Dataset(corpus.astype(np.float32), texts.astype(np.float32), {"train": qrels}, "chain")


def _judged(corpus: Float32Array | Any, queries: Any, asked: Any) -> Dataset:
    qrels = {str(query): {str(row): 1} for query, row in enumerate(asked.tolist())}
    return Dataset(corpus.astype(np.float32), queries.astype(np.float32), {"train": qrels}, "synthetic")
