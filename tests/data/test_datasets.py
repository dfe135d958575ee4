"""What a dataset promises: judged queries, splits, fingerprints, and the reference datasets' counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_writers import npy, parquet

from smec.data import Dataset, Embeddings, Qrels
from smec.data.qrels import read_qrels
from smec.errors import DataError

CORPUS = Embeddings(["a", "b", "c"], np.eye(3, 4, dtype=np.float32), name="corpus.npy")
QUERIES = Embeddings(["q0", "q1", "q2"], np.eye(3, 4, 1, dtype=np.float32), name="queries.npy")
QRELS: dict[str, Qrels] = {
    "train": {"q2": {"c": 1, "a": 0}, "q1": {"a": 0}, "q0": {"b": 2}},
    "empty": {},
    "nothing": {"q1": {"a": 0}},
}


def dataset() -> Dataset:
    return Dataset(corpus=CORPUS, queries=QUERIES, qrels=QRELS, name="mine")


def test_judged_queries_come_in_the_order_of_the_queries_without_those_that_have_nothing_relevant() -> None:
    judged = dataset().judged("train")
    assert judged.ids == ("q0", "q2")
    assert judged.grades == ({1: 2}, {2: 1, 0: 0})
    assert judged.qrels == {"q0": {"b": 2}, "q2": {"c": 1, "a": 0}}
    np.testing.assert_array_equal(judged.vectors, QUERIES.vectors[[0, 2]])


def test_a_subset_of_judged_queries_keeps_all_parts_together() -> None:
    subset = dataset().judged("train").subset(np.array([1]))
    assert (subset.ids, subset.grades, len(subset)) == (("q2",), ({2: 1, 0: 0},), 1)
    assert subset.qrels == {"q2": {"c": 1, "a": 0}}
    np.testing.assert_array_equal(subset.vectors, QUERIES.vectors[[2]])


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("test", ["mine", "'test'", "train, empty, nothing"]),
        ("empty", ["'empty' is empty"]),
        ("nothing", ["'nothing'", "graded above 0"]),
    ],
)
def test_a_split_that_cannot_be_scored_is_refused(split: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        dataset().judged(split)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("qrels", "words"),
    [
        ({"q9": {"a": 1}, "q0": {"a": 1}}, ["query id 'q9'", "queries.npy", "(1 such"]),
        ({"q0": {"a": 1, "y": 1}, "q1": {"y": 1, "z": 0}}, ["corpus id 'y'", "corpus.npy", "(2 such"]),
        ({"q0": {"a": -1}}, ["'q0'", "'a'", "-1"]),
        ({"q0": {"a": 0.5}}, ["'q0'", "'a'", "0.5"]),
    ],
)
def test_judgements_that_do_not_fit_the_vectors_are_refused(qrels: Qrels, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        Dataset(CORPUS, QUERIES, {"dev": qrels}).judged("dev")
    assert all(word in str(caught.value) for word in words), caught.value


def test_bare_arrays_are_numbered() -> None:
    arrays = Dataset(CORPUS.vectors, QUERIES.vectors, {"train": {"2": {"1": 3}}})
    assert arrays.corpus.ids == ["0", "1", "2"]
    assert arrays.judged("train").grades == ({1: 3},)
    assert arrays.corpus.vectors is CORPUS.vectors


def test_a_corpus_alone_is_a_dataset(tmp_path: Path) -> None:
    npy(tmp_path, "corpus", CORPUS)
    opened = Dataset.open(tmp_path)
    assert (opened.name, opened.dim, opened.splits, opened.queries) == (tmp_path.name, 4, (), None)
    assert opened.fingerprint().keys() == {"corpus"}
    with pytest.raises(DataError, match="its splits: none"):
        opened.judged("train")


def test_judgements_without_query_vectors_are_refused_when_asked_for() -> None:
    only = Dataset(CORPUS, qrels=QRELS)
    assert only.splits == ("train", "empty", "nothing")
    with pytest.raises(DataError, match="vectors are missing"):
        only.judged("train")


def test_queries_of_another_width_are_refused() -> None:
    with pytest.raises(DataError, match="queries have 3 dims, but the corpus 4"):
        Dataset(CORPUS, Embeddings(["q"], np.ones((1, 3))))


@pytest.mark.parametrize(
    ("ids", "vectors", "words"),
    [
        (["a"], np.ones((2, 3)), ["mine", "1 ids for 2 vectors"]),
        (["a", "b", "a", "b"], np.ones((4, 3)), ["'a'", "row 0", "row 2", "2 repeated"]),
        ([1, 2], np.ones((2, 3)), ["row 0", "strings", "1"]),
        (["a", "b"], np.array([[1.0, 0], [np.nan, 1]]), ["row 1", "'b'", "nan"]),
        (["a", "b"], np.array([[1.0, 0], [0, 0]]), ["row 1", "'b'", "zero"]),
        (["a", "b"], np.ones((2, 3), np.int64), ["int64"]),
        (["a", "b"], np.ones(2), ["shape (2,)"]),
    ],
)
def test_unusable_embeddings_are_refused(ids: list[str], vectors: np.ndarray, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        Embeddings(ids, vectors, name="mine")
    assert all(word in str(caught.value) for word in words), caught.value


def test_an_unknown_id_is_refused() -> None:
    assert CORPUS.row("c") == 2
    with pytest.raises(DataError, match=r"corpus\.npy: has no id 'z'"):
        CORPUS.row("z")


def test_fingerprints_tell_every_difference_that_matters() -> None:
    original = dataset().fingerprint("train")
    assert original == dataset().fingerprint("train")
    moved = Embeddings(["b", "a", "c"], CORPUS.vectors)
    half = Embeddings(CORPUS.ids, CORPUS.vectors.astype(np.float16))
    assert len({Dataset(c).fingerprint()["corpus"] for c in (CORPUS, moved, half)}) == 3
    regraded: dict[str, Qrels] = {"train": {**QRELS["train"], "q0": {"b": 1}}}
    changed = Dataset(CORPUS, QUERIES, regraded).fingerprint("train")
    assert changed["qrels"] != original["qrels"]
    assert changed["corpus"] == original["corpus"]


def test_a_fingerprint_does_not_depend_on_the_order_of_judgements() -> None:
    train = list(QRELS["train"].items())
    backwards = {query: dict(list(judged.items())[::-1]) for query, judged in train[::-1]}
    assert list(backwards) == ["q0", "q1", "q2"]
    again = Dataset(CORPUS, QUERIES, {"train": backwards})
    assert again.fingerprint("train") == dataset().fingerprint("train")


@pytest.mark.parametrize("name", ["test.tsv", "test.txt", "test.qrels", "test.trec"])
@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq0\tb\t2\n\nq0\ta\t0\n",
        "query-id\tcorpus-id\tscore\r\nq0\tb\t2\r\nq0\tb\t2\r\nq0\ta\t0",
        "q0 0 b 2\nq0\t0\ta  0\n\n",
    ],
    ids=["beir", "beir-windows", "trec"],
)
def test_qrels_are_told_apart_by_their_content(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_qrels(tmp_path / name) == {"q0": {"b": 2, "a": 0}}


def test_splits_are_the_names_of_the_qrels_files(tmp_path: Path) -> None:
    parquet(tmp_path, "corpus", CORPUS)
    parquet(tmp_path, "queries", QUERIES)
    (tmp_path / "qrels").mkdir()
    for name in ("train.tsv", "dev.trec", "notes.md", ".dev.tsv"):
        (tmp_path / "qrels" / name).write_text("q0 0 a 1\n")
    assert Dataset.open(tmp_path).splits == ("dev", "train")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "queries", "pairs"),
    [
        ("scifact-mpnet", (5183, 768), np.float32, {"train": 809, "test": 300}, {"train": 919, "test": 339}),
        (
            "cranfield-mpnet",
            (1400, 768),
            np.float32,
            {"train": 125, "test": 100},
            {"train": 899, "test": 713},
        ),
        (
            "medquad-minilm",
            (10976, 384),
            np.float16,
            {"train": 9976, "test": 1000},
            {"train": 9976, "test": 1000},
        ),
        (
            "grocery-effnet",
            (2640, 1280),
            np.float16,
            {"train": 796, "test": 800},
            {"train": 95676, "test": 94340},
        ),
    ],
)
def test_reference_datasets_open_with_their_known_counts(
    shared_data: Path,
    name: str,
    shape: tuple[int, int],
    dtype: type,
    queries: dict[str, int],
    pairs: dict[str, int],
) -> None:
    opened = Dataset.open(shared_data / name)
    assert opened.corpus.vectors.shape == shape
    assert opened.corpus.vectors.dtype == dtype
    judged = {split: opened.judged(split) for split in opened.splits}
    assert {split: len(part) for split, part in judged.items()} == queries
    assert {split: sum(len(grades) for grades in part.grades) for split, part in judged.items()} == pairs
    assert all(part.vectors.shape == (queries[split], shape[1]) for split, part in judged.items())
