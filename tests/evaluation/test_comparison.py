"""The comparison of encoders: known scores of real datasets, the JSON contract, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smec.baselines import fit_baseline
from smec.data import Dataset, Embeddings
from smec.encoder import Projection
from smec.errors import ConfigError, DataError
from smec.evaluation import evaluate, neighbour_overlap
from smec.vectors import Float32Array, FloatArray, normalise

FULL_SCORES = {
    "scifact-mpnet": 0.6407,
    "cranfield-mpnet": 0.4274,
    "medquad-minilm": 0.7280,
    "grocery-effnet": 0.6021,
}

NO_GROUPS = {
    **{"ndcg@10_new": None, "ci_new": None, "queries_new": 0},
    **{"ndcg@10_seen": None, "ci_seen": None, "queries_seen": 0},
}


class Folded(Projection):
    """As a compressor whose gate gave size 1 to PCA."""

    fallbacks = {1: "pca"}  # noqa: RUF012


def labelled() -> Dataset:
    """Four documents along the axes; q0 wants the second axis but lies nearer to the first."""
    corpus = np.eye(4, dtype=np.float32) * [[1], [2], [3], [4]]
    queries = np.array([[3, 2, 0, 0], [0, 0, 5, 0]], dtype=np.float64)
    return Dataset(corpus, queries, {"test": {"0": {"1": 2}, "1": {"2": 1, "0": 0}}}, name="axes")


def unlabelled(rows: int = 1100) -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(rng.standard_normal((rows, 8)) * np.arange(8, 0, -1), name="bare")


@pytest.mark.parametrize(("name", "ndcg"), FULL_SCORES.items())
def test_full_vectors_score_what_the_reference_says(shared_data: Path, name: str, ndcg: float) -> None:
    evaluation = evaluate(Dataset.open(shared_data / name), [])
    assert round(evaluation.full["nDCG@10"], 4) == ndcg
    low, high = evaluation.full_ci
    assert low < ndcg < high


def test_pca_beats_truncation_on_scifact_as_the_reference_table_says(shared_data: Path) -> None:
    dataset = Dataset.open(shared_data / "scifact-mpnet")
    encoders = [fit_baseline(name, dataset, (96, 48)) for name in ("truncate", "pca")]
    evaluation = evaluate(dataset, encoders)
    found = {(r.method, r.dim): round(100 * r.metrics["nDCG@10"], 1) for r in evaluation.results}
    assert found == {("truncate", 96): 55.0, ("truncate", 48): 46.4, ("pca", 96): 60.0, ("pca", 48): 51.2}
    assert evaluation.queries == 300
    assert all(r.p_vs_full < 0.05 and r.ci[0] < r.metrics["nDCG@10"] < r.ci[1] for r in evaluation.results)


def test_scores_are_those_computed_by_hand() -> None:
    swap = Projection(np.eye(4, dtype=np.float32)[:, [1, 2, 0, 3]], (3,), "swap")
    evaluation = evaluate(labelled(), [swap])
    assert evaluation.full == pytest.approx(
        {"nDCG@10": (1 / np.log2(3) + 1) / 2, "R@100": 1.0, "RR@10": 0.75, "AP": 0.75}
    )
    assert evaluation.results[0].metrics == pytest.approx(evaluation.full)  # swapped axes: same angles
    first = Projection(np.eye(4, dtype=np.float32)[:, [2, 1, 0]], (2,), "last two")
    result = evaluate(labelled(), [first]).results[0]
    assert result.per_query.tolist() == [1.0, 1.0]  # without the first axis, q0 finds the second
    assert result.p_vs_full == 1.0  # one query differs


@pytest.mark.parametrize(("rank", "recall"), [(50, 1.0), (150, 0.0)])
def test_recall_looks_at_100_documents_and_average_precision_beyond(rank: int, recall: float) -> None:
    angles = np.linspace(0, 1, 200)
    corpus = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    dataset = Dataset(corpus, np.array([[1.0, 0.0]]), {"test": {"0": {str(rank - 1): 1}}})
    full = evaluate(dataset, []).full
    assert full == pytest.approx({"nDCG@10": 0, "R@100": recall, "RR@10": 0, "AP": 1 / rank})


def test_among_more_equal_documents_than_are_retrieved_the_largest_ids_come_first() -> None:
    corpus = Embeddings([f"{row:04d}" for row in range(1200)], np.ones((1200, 1), np.float32))
    queries = np.ones((2, 1), dtype=np.float32)
    dataset = Dataset(corpus, queries, {"test": {"0": {"1199": 1}, "1": {"0000": 1}}})
    assert evaluate(dataset, []).full == {"nDCG@10": 0.5, "R@100": 0.5, "RR@10": 0.5, "AP": 0.5}


def test_the_json_of_an_evaluation_is_the_agreed_one() -> None:
    folded = Folded(np.eye(4, dtype=np.float32), (2, 1), "smec:out")
    record = json.loads(json.dumps(evaluate(labelled(), [folded]).to_json()))
    keys = ["dataset", "split", "queries", "documents", "all_documents", "sample", "full", "results"]
    assert list(record) == keys
    assert (record["dataset"], record["split"], record["queries"]) == ("axes", "test", 2)
    scores = {"ndcg@10", "recall@100", "mrr@10", "map", "ci", *NO_GROUPS}
    assert set(record["full"]) == scores
    two, one = record["results"]
    assert set(two) == scores | {"method", "dim", "p_vs_full", "codec", "bytes", "rescored", "fallback"}
    assert (two["method"], two["dim"], two["bytes"], two["fallback"]) == ("smec:out", 2, 8, False)
    assert (one["dim"], one["bytes"], one["fallback"]) == (1, 4, True)
    low, high = two["ci"]
    assert low <= two["ndcg@10"] <= high
    assert NO_GROUPS.items() <= record["full"].items() and NO_GROUPS.items() <= two.items()


def test_only_the_requested_sizes_are_scored() -> None:
    encoder = fit_baseline("truncate", labelled(), (4, 2, 1))
    assert [r.dim for r in evaluate(labelled(), [encoder]).results] == [4, 2, 1]
    assert [r.dim for r in evaluate(labelled(), [encoder], dims=(2,)).results] == [2]


def test_queries_go_through_the_query_side() -> None:
    class Reversed(Projection):
        def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
            return -self.encode(vectors, dim)

    identity = np.eye(4, dtype=np.float32)
    result = evaluate(labelled(), [Reversed(identity, (4,), "reversed")]).results[0]
    assert result.metrics["RR@10"] == pytest.approx((1 / 3 + 1 / 4) / 2)


def test_without_judgements_it_measures_how_many_neighbours_are_kept() -> None:
    dataset = unlabelled(300)
    encoder = fit_baseline("truncate", dataset, (8, 3))
    evaluation = evaluate(dataset, [encoder])
    whole, part = evaluation.results
    assert (evaluation.split, evaluation.queries, evaluation.full) == (None, 300, {"overlap@10": 1.0})
    assert (whole.metrics, whole.p_vs_full) == ({"overlap@10": 1.0}, 1.0)
    full, small = normalise(dataset.corpus.vectors), encoder.encode(dataset.corpus.vectors, 3)
    everyone = neighbour_overlap(full, full, small, small, own_rows=np.arange(len(full)))
    assert part.metrics["overlap@10"] == pytest.approx(everyone.mean())
    record = json.loads(json.dumps(evaluation.to_json()))
    assert record["full"] == {"overlap@10": 1.0, "ci": [1.0, 1.0], **NO_GROUPS}
    assert record["results"][1]["overlap@10"] == part.metrics["overlap@10"]
    assert record["split"] is None


def test_the_seed_chooses_the_sampled_rows() -> None:
    encoder = fit_baseline("truncate", unlabelled(), (3,))
    one, same, other = (evaluate(unlabelled(), [encoder], seed=seed) for seed in (1, 1, 2))
    assert one.to_json() == same.to_json()
    assert one.queries == 1000
    assert one.results[0].metrics != other.results[0].metrics


def test_a_small_bare_corpus_is_sampled_whole_and_a_single_vector_refused() -> None:
    assert evaluate(unlabelled(20), []).queries == 20
    with pytest.raises(DataError, match="two vectors"):
        evaluate(unlabelled(1), [])


def test_an_encoder_for_another_width_is_refused_in_one_line() -> None:
    encoder = fit_baseline("truncate", unlabelled(), (2,))
    with pytest.raises(ConfigError, match=r"truncate: takes embeddings of 8 dims, but axes has 4"):
        evaluate(labelled(), [encoder])


def test_a_size_that_an_encoder_does_not_serve_is_refused() -> None:
    encoder = fit_baseline("truncate", labelled(), (2,))
    with pytest.raises(ConfigError, match="size 3 is not served"):
        evaluate(labelled(), [encoder], dims=(2, 3))


def test_a_split_that_the_dataset_lacks_is_refused_not_replaced_by_agreement() -> None:
    with pytest.raises(DataError, match="'dev'"):
        evaluate(labelled(), [], split="dev")


def test_progress_counts_the_documents_of_all_searches() -> None:
    dataset = labelled()
    folded = Folded(np.eye(4, dtype=np.float32), (2, 1), "smec:out")
    seen: list[tuple[int, int]] = []
    evaluate(dataset, [folded], progress=lambda *call: seen.append(call))
    documents = len(dataset.corpus)
    assert seen == [(documents * search, documents * 3) for search in (1, 2, 3)]
