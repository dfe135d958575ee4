"""Scores of a compressor whose queries have a matrix of their own: documents by one, queries by the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from small_compressor import WIDTH, compressor, corpus, own_queries
from smec import Compressor, Dataset, Feedback, evaluate
from smec.calibration import calibrate
from smec.cli.main import app
from smec.coded import coded
from smec.evaluation.rescoring import Rescored
from smec.vectors import Float32Array, FloatArray, normalise
from smec.with_feedback import WithFeedback

ROWS, ASKED = 200, 30
QRELS = {str(row): {str(row): 1} for row in range(ASKED)}


def documents() -> Float32Array:
    return corpus(ROWS)


def queries() -> Float32Array:
    noise = np.random.default_rng(8).normal(0, 1.5, (ASKED, WIDTH)).astype(np.float32)
    return documents()[:ASKED] + noise


def dataset() -> Dataset:
    return Dataset(documents(), queries(), {"test": QRELS, "train": QRELS}, name="axes")


def own() -> Compressor:
    return calibrate(own_queries(), documents(), ["int8"])


def by_hand(asked: FloatArray, stored: FloatArray) -> FloatArray:
    """nDCG@10 of each query, of which only the document of its own number is judged."""
    scores = asked @ stored.T
    ranks = (scores > scores[np.arange(ASKED), np.arange(ASKED)][:, None]).sum(axis=1)
    found: FloatArray = np.where(ranks < 10, 1 / np.log2(ranks + 2), 0)
    return found


@pytest.mark.parametrize("dim", [8, 4, 2])
def test_scores_are_those_of_the_two_matrices(dim: int) -> None:
    result = evaluate(dataset(), [own()], dims=[dim]).results[0]
    asked, stored = own().encode_queries(queries(), dim), own().encode(documents(), dim)
    np.testing.assert_allclose(result.per_query, by_hand(asked, stored), atol=1e-6)
    shared = evaluate(dataset(), [compressor()], dims=[dim, 1]).results
    assert not np.array_equal(result.per_query, shared[0].per_query)
    alike = evaluate(dataset(), [own()], dims=[1]).results[0]  # where queries share the matrix
    np.testing.assert_array_equal(alike.per_query, shared[1].per_query)


def test_codes_store_documents_and_queries_stay_their_own() -> None:
    codec = own().codec("int8", 8)
    stored = codec.decode(codec.encode(own().encode(documents(), 8)))
    result = evaluate(dataset(), [coded(own(), "int8", documents())], dims=[8]).results[0]
    np.testing.assert_allclose(
        result.per_query, by_hand(own().encode_queries(queries(), 8), stored), atol=1e-6
    )


def test_all_candidates_rescored_give_the_finer_search_with_the_queries_matrix() -> None:
    coarse, fine = (coded(own(), name, documents()) for name in ("int8", "float32"))
    result = evaluate(dataset(), [Rescored(coarse, fine, 8, ROWS)], dims=[4]).results[0]
    expected = by_hand(own().encode_queries(queries(), 8), own().encode(documents(), 8))
    np.testing.assert_allclose(result.per_query, expected, atol=1e-6)


def test_feedback_moves_documents_and_no_query() -> None:
    feedback = Feedback.from_dataset(dataset(), weight=1)
    moved = own().encode(documents(), 8, ids=[str(row) for row in range(ROWS)], feedback=feedback)
    result = evaluate(dataset(), [WithFeedback(own(), feedback)], dims=[8]).results[0]
    expected = by_hand(own().encode_queries(queries(), 8), moved)
    np.testing.assert_allclose(result.per_query, expected, atol=1e-6)
    assert np.abs(moved - own().encode(documents(), 8)).max() > 0.1


def test_documents_that_stand_in_for_queries_stay_documents() -> None:
    bare = Dataset(documents(), name="bare")
    found = [evaluate(bare, [one]).results for one in (compressor(), own_queries())]
    for shared, adapted in zip(*found, strict=True):
        np.testing.assert_array_equal(shared.per_query, adapted.per_query)


def test_the_command_scores_both_sides(tmp_path: Path) -> None:
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    for name, vectors in (("corpus", documents()), ("queries", queries())):
        np.save(tmp_path / "data" / f"{name}.npy", normalise(vectors))
        ids = "".join(f"{row}\n" for row in range(len(vectors)))
        (tmp_path / "data" / f"{name}.ids.txt").write_text(ids)
    judged = "".join(f"{row}\t{row}\t1\n" for row in range(ASKED))
    (tmp_path / "data" / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    own().save(tmp_path / "model")
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "data"), "--model", str(tmp_path / "model")])
    assert result.exit_code == 0, result.output
    score = by_hand(own().encode_queries(queries(), 8), own().encode(documents(), 8)).mean()
    assert f"{100 * score:.1f}" in result.output or f"{score:.3f}" in result.output, result.output
