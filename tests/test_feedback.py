"""Feedback: judged documents move towards their train queries, and no others."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from feedback_data import IDS, QRELS, ROWS, queries, write_dataset
from small_compressor import DIMS, WIDTH, compressor, corpus
from smec import Compressor, Dataset, Feedback, evaluate
from smec.artefact import FeedbackRecord
from smec.baselines import fit_baseline
from smec.data import Embeddings
from smec.errors import ConfigError, DataError
from smec.feedback import chosen_weight
from smec.vectors import FloatArray, normalise
from smec.with_feedback import WithFeedback

JUDGED = [3, 10, 57]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data")


def expected(weight: float) -> FloatArray:
    """All documents of unit length, the judged ones moved, by the formula."""
    unit, asked = normalise(corpus(ROWS)).astype(np.float64), normalise(queries()).astype(np.float64)
    for row, of_row in ((3, [0, 1]), (10, [1]), (57, [2])):
        unit[row] += weight * asked[of_row].mean(axis=0)
    moved: FloatArray = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    return moved


@pytest.mark.parametrize("weight", [0.5, 1, 2])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_judged_documents_move_by_the_formula_and_the_others_not_at_all(
    weight: float, dtype: str, folder: Path
) -> None:
    feedback = Feedback.from_dataset(folder, weight=weight)
    assert feedback.ids == ("d10", "d3", "d57", "elsewhere")
    vectors = corpus(ROWS).astype(dtype)
    before = vectors.copy()
    moved = feedback.move(vectors, IDS)
    np.testing.assert_array_equal(vectors, before)
    np.testing.assert_allclose(
        moved[JUDGED], expected(weight)[JUDGED], atol=1e-3 if dtype == "float16" else 1e-6
    )
    others = np.setdiff1d(np.arange(ROWS), JUDGED)
    np.testing.assert_array_equal(moved[others], vectors[others].astype(np.float32))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dim", DIMS)
def test_documents_that_nobody_judged_are_encoded_to_the_same_bytes(
    dim: int, dtype: str, folder: Path
) -> None:
    feedback = Feedback.from_dataset(folder, weight=2)
    vectors = corpus(ROWS).astype(dtype)
    plain, moved = (
        compressor().encode(vectors, dim),
        compressor().encode(vectors, dim, ids=IDS, feedback=feedback),
    )
    same = [row for row in range(ROWS) if plain[row].tobytes() == moved[row].tobytes()]
    if dim > 1:  # of one dim only the sign is left
        assert [row for row in range(ROWS) if row not in same] == JUDGED
    wanted = compressor().encode(expected(2), dim)
    if dtype != "float16":
        np.testing.assert_allclose(moved[JUDGED], wanted[JUDGED], atol=1e-5)


def test_where_nobody_is_judged_nothing_is_copied(folder: Path) -> None:
    vectors = corpus(2)
    assert Feedback.from_dataset(folder, weight=1).move(vectors, ["a", "b"]) is vectors


def test_a_vector_alone_moves_too(folder: Path) -> None:
    feedback = Feedback.from_dataset(folder, weight=1)
    alone = compressor().encode(corpus()[3], 4, ids=["d3"], feedback=feedback)
    np.testing.assert_allclose(alone, compressor().encode(expected(1)[3], 4), atol=1e-6)


@pytest.mark.parametrize("weight", [0.5, 1, 2])
def test_the_move_is_bounded(weight: float) -> None:
    # The further the query the more it turns the document; at a right angle the cosine is the bound.
    angles = np.linspace(0, math.pi / 2, 50)
    asked = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    ids = [str(row) for row in range(50)]
    dataset = Dataset(np.tile([[1.0, 0.0]], (50, 1)), asked, {"train": {id_: {id_: 1} for id_ in ids}})
    moved = Feedback.from_dataset(dataset, weight=weight).move(dataset.corpus.vectors, ids)
    assert np.all(moved[:, 0] >= 1 / math.sqrt(1 + weight**2) - 1e-6)
    np.testing.assert_allclose(moved[-1, 0], 1 / math.sqrt(1 + weight**2), atol=1e-6)


def test_a_document_that_its_query_cancels_stays() -> None:
    dataset = Dataset(np.eye(2), -np.eye(2), {"train": {"0": {"0": 1}}})
    np.testing.assert_array_equal(
        Feedback.from_dataset(dataset, weight=1).move(np.eye(2), ["0", "1"]), np.eye(2)
    )


def test_a_folder_and_an_open_dataset_give_the_same_and_the_corpus_is_not_read(folder: Path) -> None:
    opened = Feedback.from_dataset(Dataset.open(folder), weight=1)
    (folder / "corpus.parquet").write_bytes(b"not read")
    streamed = Feedback.from_dataset(folder, weight=1)
    assert streamed.fingerprint == opened.fingerprint and len(streamed.fingerprint) == 64
    np.testing.assert_array_equal(streamed.directions, opened.directions)


def test_the_fingerprint_tells_weights_judgements_and_queries_apart(tmp_path: Path) -> None:
    made = Feedback.from_dataset(write_dataset(tmp_path), weight=1)
    changed = Embeddings(
        [f"q{row}" for row in range(4)], queries() * np.array([[1], [1], [-1], [1]], dtype=np.float32)
    )
    unused = Embeddings(
        [f"q{row}" for row in range(4)], queries() * np.array([[1], [1], [1], [-1]], dtype=np.float32)
    )

    def of(qrels: dict[str, dict[str, int]], asked: Embeddings = unused, weight: float = 1) -> str:
        return Feedback.from_dataset(Dataset(corpus(), asked, {"train": qrels}), weight=weight).fingerprint

    assert of(QRELS) == made.fingerprint
    assert of({**QRELS, "q3": {"d4": 0}}) == made.fingerprint  # a grade of 0 moves nothing
    others = {of(QRELS, weight=2), of(QRELS, changed), of({**QRELS, "q2": {"d56": 1}}), made.fingerprint}
    assert len(others) == 4


def test_what_cannot_be_used_is_refused_in_one_line(folder: Path) -> None:
    feedback = Feedback.from_dataset(folder, weight=1)
    with pytest.raises(ConfigError, match=r"^encode: feedback moves documents by their ids; pass ids$"):
        compressor().encode(corpus(), 4, feedback=feedback)
    with pytest.raises(DataError, match="2 ids for 60 vectors"):
        compressor().encode(corpus(), 4, ids=["a", "b"], feedback=feedback)
    with pytest.raises(DataError, match="vectors have 8 dims, but 16 are expected"):
        feedback.move(corpus()[:, :8], IDS)
    broken = corpus()
    broken[10] = 0
    with pytest.raises(DataError, match=r"row 10 \(id 'd10'\) is a zero vector"):
        feedback.move(broken, IDS)
    for weight in (0, -1, math.inf, math.nan):
        with pytest.raises(ConfigError, match="must be a number above 0"):
            Feedback.from_dataset(folder, weight=weight)
    with pytest.raises(DataError, match="has no qrels for split 'dev'; its splits: train"):
        Feedback.from_dataset(folder, weight=1, split="dev")


def test_judgements_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    unknown = write_dataset(tmp_path / "unknown", {"q0": {"d1": 1}, "q9": {"d1": 1}})
    with pytest.raises(
        DataError, match=r"train.tsv: line 3: query id 'q9' is not in .*queries.parquet \(1 such"
    ):
        Feedback.from_dataset(unknown, weight=1)
    nothing = write_dataset(tmp_path / "nothing", {"q0": {"d1": 0}})
    with pytest.raises(DataError, match="no query of split 'train' has a document graded above 0"):
        Feedback.from_dataset(nothing, weight=1)
    (nothing / "queries.parquet").unlink()
    with pytest.raises(DataError, match="judges queries, but their vectors are missing"):
        Feedback.from_dataset(nothing, weight=1)
    broken = write_dataset(tmp_path / "broken")
    np.save(broken / "queries.npy", np.zeros((4, WIDTH), dtype=np.float32))
    (broken / "queries.parquet").unlink()
    (broken / "queries.ids.txt").write_text("q0\nq1\nq2\nq3\n")
    with pytest.raises(DataError, match=r"queries.npy: row 0 \(id 'q0'\) is a zero vector"):
        Feedback.from_dataset(broken, weight=1)


def test_the_manifest_keeps_what_training_measured_and_older_ones_load(tmp_path: Path) -> None:
    made = compressor()
    record = FeedbackRecord(weight=0.5, queries_seen=20, seen_before=0.6, seen_after=0.8, queries_new=0)
    made.manifest = made.manifest.model_copy(update={"feedback": record})
    made.save(tmp_path / "model")
    loaded = Compressor.load(tmp_path / "model").manifest.feedback
    assert loaded == record and loaded.new_after is None
    assert chosen_weight(loaded, None) == 0.5 and chosen_weight(loaded, 2) == 2
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["format_version"] == 1
    del config["feedback"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert Compressor.load(tmp_path / "model").manifest.feedback is None
    with pytest.raises(ConfigError, match="pass --feedback-weight"):
        chosen_weight(None, None)


def test_an_evaluation_moves_documents_but_neither_queries_nor_the_full_vectors(folder: Path) -> None:
    opened = Dataset.open(folder)
    dataset = Dataset(opened.corpus, opened.queries, {**opened.qrels, "test": {"q0": {"d3": 1}}}, "small")
    feedback = Feedback.from_dataset(folder, weight=2)
    by_hand = Dataset(Embeddings(IDS, feedback.move(corpus(), IDS)), opened.queries, dataset.qrels, "by hand")
    found = evaluate(dataset, [compressor(), WithFeedback(compressor(), feedback)], dims=[8])
    plain, moved = found.results
    assert (plain.method, moved.method) == ("smec", "smec+feedback")
    assert moved.metrics == evaluate(by_hand, [compressor()], dims=[8]).results[0].metrics
    assert moved.metrics["nDCG@10"] > plain.metrics["nDCG@10"]
    assert found.full == evaluate(dataset, []).full


def test_pca_with_feedback_scores_on_scifact_what_was_measured_apart(shared_data: Path) -> None:
    dataset = Dataset.open(shared_data / "scifact-mpnet")
    fitted = fit_baseline("pca-feedback", dataset, (384, 192, 96, 48, 24))
    scores = [100 * result.metrics["nDCG@10"] for result in evaluate(dataset, [fitted]).results]
    np.testing.assert_allclose(scores, [83.6, 83.3, 80.8, 74.8, 64.8], atol=0.06)
