"""Queries without judgements: which of a dataset's may be learned from, and how many of a log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_writers import WRITERS

from smec.config import ValidationConfig
from smec.data import Dataset, Embeddings
from smec.data.query_log import MOST_LOGGED
from smec.data.sample import open_sample
from smec.errors import DataError
from smec.training.pool import FEWEST_LOGGED, logged_queries
from smec.vectors import Float32Array, normalise

TRAIN = {"q0": {"d0": 1}, "q1": {"d1": 0}}
TEST = {"q2": {"d2": 1}, "q3": {"d3": 0}}


def table(prefix: str, count: int, seed: int = 0, dim: int = 6) -> Embeddings:
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return Embeddings([f"{prefix}{row}" for row in range(count)], rows)


def dataset(log: Embeddings | None = None) -> Dataset:
    return Dataset(table("d", 9), table("q", 6, 1), {"train": TRAIN, "test": TEST}, log=log)


def found(data: Dataset, *, judged: bool = True) -> list[str]:
    assert data.queries is not None
    return [data.queries.ids[row] for row in data.unjudged("train", judged=judged)]


def test_queries_that_another_split_names_are_left_out_and_judged_ones_too() -> None:
    # q1 is judged, but nothing is relevant to it; q3 is a test query without a relevant document.
    assert found(dataset()) == ["q1", "q4", "q5"]
    assert found(dataset(), judged=False) == ["q0", "q1", "q4", "q5"]


def test_sentences_are_no_queries_without_judgements() -> None:
    qrels = {"train": TRAIN, "sentences": {"q4": {"d4": 1}}}
    data = Dataset(table("d", 9), table("q", 6, 1), qrels)
    assert found(data) == ["q1", "q2", "q3", "q5"]
    assert data.splits == ("train",)
    assert data.fingerprint("train").keys() == {"corpus", "queries", "qrels", "sentences"}


def test_a_log_is_part_of_the_fingerprint() -> None:
    log = table("l", 3, seed=2)
    assert dataset(log).fingerprint("train").keys() - dataset().fingerprint("train").keys() == {"log"}


def test_queries_of_the_dataset_and_of_its_log_are_taught() -> None:
    log = table("l", 20, seed=2)
    data = dataset(log)
    assert data.queries is not None
    parts = logged_queries(data, seed=0, validation=ValidationConfig(), judged=True)
    every = np.concatenate([data.queries.vectors[[1, 4, 5]], log.vectors])
    np.testing.assert_array_equal(
        np.unique(np.concatenate(parts), axis=0), np.unique(normalise(every), axis=0)
    )


def test_a_corpus_alone_has_none() -> None:
    data = Dataset(table("d", 9))
    assert len(data.unjudged("train")) == 0
    parts = logged_queries(data, seed=0, validation=ValidationConfig(), judged=False)
    assert [part.shape for part in parts] == [(0, 6), (0, 6)]


def test_a_log_of_another_width_is_refused() -> None:
    log = table("l", 3, dim=5)
    with pytest.raises(DataError, match=f"^{log.name}: the log of queries has 5 dims, but the corpus 6"):
        dataset(log)


@pytest.mark.parametrize("rows", [8, 40])
@pytest.mark.parametrize("split", ["train", None])
def test_a_sampled_corpus_leaves_out_the_same_queries(rows: int, split: str | None, tmp_path: Path) -> None:
    corpus, queries, log = table("d", 40), table("q", 6, 1), table("l", 3, seed=2)
    WRITERS["parquet"](tmp_path, "corpus", corpus)
    WRITERS["npy"](tmp_path, "queries", Embeddings(queries.ids, queries.vectors))
    WRITERS["parquet"](tmp_path, "log", log)
    (tmp_path / "qrels").mkdir()
    for name, qrels in (("train", TRAIN), ("test", TEST)):
        lines = [f"{query}\t{row}\t{grade}\n" for query, of in qrels.items() for row, grade in of.items()]
        header = "query-id\tcorpus-id\tscore\n"
        (tmp_path / "qrels" / f"{name}.tsv").write_text("".join([header, *lines]), "utf-8")
    data = open_sample(tmp_path, rows, split=split, log=tmp_path / "log.parquet")
    assert len(data.corpus) == rows
    expected = ["q1", "q4", "q5"] if split else ["q0", "q1", "q4", "q5"]
    assert found(data, judged=split is not None) == expected
    assert data.log is not None
    np.testing.assert_array_equal(data.log.vectors, log.vectors)


def drawn(log: Embeddings) -> tuple[Float32Array, Float32Array]:
    data = Dataset(table("d", 9), log=log)
    return logged_queries(data, seed=0, validation=ValidationConfig(), judged=False)


def test_what_is_taught_is_not_held_out() -> None:
    taught, held_out = drawn(table("l", 100))
    assert (len(taught), len(held_out)) == (75, 25)
    assert not (taught[:, None] == held_out[None]).all(axis=2).any()
    np.testing.assert_allclose(np.linalg.norm(taught, axis=1), 1, rtol=1e-6)


def test_a_query_that_was_asked_often_is_taught_once() -> None:
    once = table("l", 20)
    often = Embeddings([f"l{row}" for row in range(60)], np.repeat(once.vectors, 3, axis=0))
    assert sorted(map(len, drawn(often))) == sorted(map(len, drawn(once)))


@pytest.mark.parametrize("different", [1, FEWEST_LOGGED - 1])
def test_too_few_different_queries_are_not_learned_from(different: int) -> None:
    data = Dataset(table("d", 9), table("q", different))
    taught, held_out = logged_queries(data, seed=0, validation=ValidationConfig(), judged=False)
    assert len(taught) == len(held_out) == 0


@pytest.mark.parametrize("different", [1, FEWEST_LOGGED - 1])
def test_a_log_of_too_few_different_queries_is_refused(different: int) -> None:
    vectors = np.tile(table("l", different).vectors, (3000, 1))
    message = f"log: only {different} different queries .*, in {3000 * different:,} rows .*; 8 are needed"
    with pytest.raises(DataError, match=message):
        logged_queries(
            Dataset(table("d", 9), log=vectors), seed=0, validation=ValidationConfig(), judged=False
        )


def test_of_a_long_log_a_part_is_drawn() -> None:
    taught, held_out = drawn(table("l", MOST_LOGGED + 500))
    assert len(taught) + len(held_out) == MOST_LOGGED
