"""Encoders beside the full vectors, at each size, on one dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smec.codecs import code_bytes
from smec.coded import Coded
from smec.data import Dataset
from smec.encoder import Encoder, served
from smec.errors import ConfigError
from smec.evaluation.intervals import bootstrap_interval, paired_p_value
from smec.evaluation.metrics import Scorer
from smec.evaluation.neighbours import overlap, without_own
from smec.evaluation.novelty import BoolArray, NewAndSeen, groups_of, why_not_told_apart
from smec.evaluation.rescoring import Rescored
from smec.evaluation.results import RETRIEVAL, Evaluation, GroupScore, Rescoring, Result
from smec.evaluation.search import search_blocks, trec_tie_order
from smec.vectors import Float32Array, FloatArray, IntArray, normalise, vector_blocks
from smec.with_feedback import MovedVectors, documents

DEPTH = 1000
"""Documents retrieved per query, as TREC does: AP needs them where many are relevant."""

NEIGHBOURS = 10
SAMPLED_ROWS = 1000

Encode = Callable[[FloatArray], Float32Array]
PerQuery = Mapping[str, NDArray[np.float64]]
OnProgress = Callable[[int, int], None]


def evaluate(
    dataset: Dataset,
    encoders: Sequence[Encoder],
    *,
    dims: Sequence[int] | None = None,
    split: str = "test",
    seed: int = 0,
    progress: OnProgress | None = None,
) -> Evaluation:
    """Score encoders at each size beside the full vectors, by exact search over the corpus.

    With judgements: nDCG@10, R@100, RR@10 and AP of the split's queries, 1,000 documents deep.
    With train judgements too: nDCG@10 also apart for the queries for new documents and for seen ones,
    see `smec.evaluation.new_and_seen`.
    Without any: overlap@10, the share of the 10 nearest neighbours of up to 1,000 sampled
    corpus rows that is kept.

    Parameters
    ----------
    dataset : Dataset
        Its corpus may be a sample that holds all judged documents (`smec.data.sample.open_judged_sample`).
    encoders : sequence of Encoder
        Compressors and baselines, `Coded`, `Rescored` or neither. Documents of those with feedback are moved
        first; the full vectors beside them never are.
    dims : sequence of int, optional
        Sizes to score; all that an encoder serves by default.
    split : str
        Whose judgements count, where there are any.
    seed : int
        Of intervals, tests and sampled rows.
    progress : callable, optional
        Called with the documents searched, of all searches together, and their number, after each block.

    Raises
    ------
    ConfigError
        An encoder takes embeddings of another width than the dataset's, or does not serve a
        size of ``dims``.
    DataError
        The split has no usable judgements, or a grade of the train split is no whole number from 0 up.
    MissingExtraError
        ir-measures or scipy is not installed.
    """
    sizes = [_sizes(encoder, dims, dataset) for encoder in encoders]
    task = _retrieval(dataset, split) if dataset.splits else _agreement(dataset, seed)
    pairs = [(encoder, dim) for encoder, of in zip(encoders, sizes, strict=True) for dim in of]
    counted = _counted(task, 1 + len(pairs), progress)
    full = replace(task, search=next(counted)).measure(normalise, normalise)
    results = []
    for (encoder, dim), search in zip(pairs, counted, strict=True):
        moved = replace(search, corpus=documents(dataset.corpus, encoder))
        results.append(_result(encoder, dim, replace(task, search=moved), full, seed))
    new, seen = _by_group(full[task.headline], task.groups, seed)
    return Evaluation(
        dataset=dataset.name,
        split=split if dataset.splits else None,
        queries=len(full[task.headline]),
        full=_means(full),
        full_ci=bootstrap_interval(full[task.headline], seed=seed),
        full_per_query=full[task.headline],
        results=tuple(results),
        documents=len(dataset.corpus),
        all_documents=dataset.all_documents,
        full_new=new,
        full_seen=seen,
        groups=task.groups,
        not_told_apart=why_not_told_apart({name: dataset.qrels[name] for name in dataset.splits}, split),
    )


def _counted(task: _Task, searches: int, progress: OnProgress | None) -> Iterator[_Search]:
    """The task's search so many times, each of which tells of the documents of all of them."""
    documents = len(task.search.corpus)
    for number in range(searches):
        count = None
        if progress is not None:
            count = partial(_count, progress, number * documents, searches * documents)
        yield replace(task.search, progress=count)


def _count(progress: OnProgress, before: int, total: int, searched: int) -> None:
    progress(before + searched, total)


@dataclass(frozen=True)
class _Search:
    """One search of the whole corpus, run again for every encoder and size."""

    corpus: FloatArray | MovedVectors
    queries: FloatArray
    depth: int
    tie_order: IntArray
    among_documents: bool = False
    """The queries are documents, so they are encoded as such."""

    progress: Callable[[int], None] | None = None
    """Called with the documents searched so far."""

    def run(self, encode: Encode, encode_queries: Encode) -> tuple[IntArray, Float32Array]:
        asked = encode(self.queries) if self.among_documents else encode_queries(self.queries)
        scores, rows = search_blocks(self._encoded(encode), asked, self.depth, self.tie_order)
        return rows, scores

    def _encoded(self, encode: Encode) -> Iterator[Float32Array]:
        """Blocks of the corpus, encoded as the search asks for them: none outlives its scores."""
        searched = 0
        for block in self.corpus.blocks() if isinstance(self.corpus, MovedVectors) else vector_blocks(self.corpus):
            encoded = encode(block)
            yield encoded
            searched += len(encoded)
            if self.progress is not None:
                self.progress(searched)


@dataclass(frozen=True)
class _Task:
    """What is searched, and how the rankings are scored."""

    search: _Search
    score: Callable[[IntArray, Float32Array], PerQuery]
    headline: str
    groups: NewAndSeen | None = None
    """Queries that are scored apart."""

    wanted: int = NEIGHBOURS
    """Results that the headline metric looks at."""

    def measure(self, encode: Encode, encode_queries: Encode, rescored: Rescored | None = None) -> PerQuery:
        rows, scores = self.search.run(encode, encode_queries)
        if rescored is not None:
            search = self.search
            rows, scores = rescored.reorder(search.corpus, search.queries, rows, scores, self.wanted)
        return self.score(rows, scores)


def _retrieval(dataset: Dataset, split: str) -> _Task:
    judged, corpus = dataset.judged(split), dataset.corpus
    search = _Search(corpus.vectors, judged.vectors, DEPTH, trec_tie_order(corpus.ids))
    score = Scorer(judged, corpus.ids, tuple(RETRIEVAL))
    return _Task(search, score, headline="nDCG@10", groups=groups_of(dataset, split, judged))


def _agreement(dataset: Dataset, seed: int) -> _Task:
    vectors = dataset.corpus.vectors
    sampled = np.random.default_rng(seed).choice(len(vectors), min(len(vectors), SAMPLED_ROWS), replace=False)
    # One more than the neighbours wanted: the nearest vector to a corpus row is itself.
    order = np.arange(len(vectors))
    search = _Search(vectors, vectors[sampled], NEIGHBOURS + 1, order, among_documents=True)
    full = without_own(search.run(normalise, normalise)[0], sampled, NEIGHBOURS)

    def score(rows: IntArray, scores: Float32Array) -> PerQuery:
        return {"overlap@10": overlap(full, without_own(rows, sampled, NEIGHBOURS))}

    return _Task(search, score, headline="overlap@10")


def check_width(encoder: Encoder, dataset: Dataset) -> None:
    """Raise ConfigError when the encoder takes embeddings of another width than the dataset's."""
    if encoder.input_dim != dataset.dim:
        raise ConfigError(
            f"{encoder.name}: takes embeddings of {encoder.input_dim} dims, but {dataset.name} has "
            f"{dataset.dim}; use the vectors of the model it was fitted on"
        )


def _sizes(encoder: Encoder, dims: Sequence[int] | None, dataset: Dataset) -> tuple[int, ...]:
    check_width(encoder, dataset)
    return encoder.dims if dims is None else tuple(served(dim, encoder.dims, encoder.name) for dim in dims)


def _result(encoder: Encoder, dim: int, task: _Task, full: PerQuery, seed: int) -> Result:
    rescored = encoder if isinstance(encoder, Rescored) else None
    encode, encode_queries = partial(encoder.encode, dim=dim), partial(encoder.encode_queries, dim=dim)
    values = task.measure(encode, encode_queries, rescored)
    headline = values[task.headline]
    new, seen = _by_group(headline, task.groups, seed)
    stored = rescored.coarse if rescored is not None else encoder
    codec = stored.codecs[dim] if isinstance(stored, Coded) else None
    return Result(
        method=encoder.name,
        dim=dim,
        metrics=_means(values),
        ci=bootstrap_interval(headline, seed=seed),
        p_vs_full=paired_p_value(headline, full[task.headline], seed=seed),
        codec=codec.name if codec else "float32",
        bytes=codec.code_bytes if codec else code_bytes("float32", dim),
        rescored=None if rescored is None else _stage(rescored),
        fallback=dim in getattr(encoder, "fallbacks", {}),
        per_query=headline,
        new=new,
        seen=seen,
    )


def _stage(rescored: Rescored) -> Rescoring:
    codec = rescored.fine.codecs[rescored.dim].name
    return Rescoring(rescored.dim, codec, rescored.code_bytes, rescored.oversample)


def _by_group(
    values: NDArray[np.float64], groups: NewAndSeen | None, seed: int
) -> tuple[GroupScore | None, GroupScore | None]:
    """Scores on the new and on the seen queries, where there are any."""
    if groups is None:
        return None, None
    return _group_score(values, groups.new, seed), _group_score(values, groups.seen, seed)


def _group_score(values: NDArray[np.float64], members: BoolArray, seed: int) -> GroupScore | None:
    chosen = values[members]
    if not len(chosen):
        return None
    return GroupScore(len(chosen), float(chosen.mean()), bootstrap_interval(chosen, seed=seed))


def _means(values: PerQuery) -> dict[str, float]:
    return {name: float(of_query.mean()) for name, of_query in values.items()}
