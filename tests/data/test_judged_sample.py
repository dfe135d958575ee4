"""A sample of a corpus for an evaluation: all judged documents of all splits, and what is known of all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_writers import WRITERS

from smec.data import Dataset, Embeddings
from smec.data.sample import open_judged_sample
from smec.vectors import FloatArray

HEADER = "query-id\tcorpus-id\tscore\n"
FORMS = ("parquet", "parquet-shards", "arrow", "npy", "npz", "beir")


def folder(path: Path, form: str) -> Path:
    rng = np.random.default_rng(1)
    vectors: FloatArray = rng.standard_normal((40, 6)).astype(np.float32)
    corpus = Embeddings([f"d{row}" for row in range(40)], vectors, [f"text {row}" for row in range(40)])
    WRITERS[form](path, "corpus", corpus)
    WRITERS["npy"](path, "queries", Embeddings(["q0", "q1"], vectors[:2]))
    (path / "qrels").mkdir()
    for split, document in (("train", "d38"), ("test", "d5"), ("sentences", "d7")):
        (path / "qrels" / f"{split}.tsv").write_text(f"{HEADER}q0\t{document}\t1\n", "utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_documents_of_all_splits_are_in_the_sample(form: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    sample = open_judged_sample(folder(tmp_path, form), 8, progress=lambda *call: seen.append(call))
    whole = Dataset.open(tmp_path)
    assert len(sample.corpus) == 8 and {"d38", "d5"} <= set(sample.corpus.ids)
    assert (sample.all_documents, whole.all_documents) == (40, 40)
    assert set(sample.splits) == {"train", "test"}
    for id_ in sample.corpus.ids:
        np.testing.assert_array_equal(
            sample.corpus.vectors[sample.corpus.row(id_)], whole.corpus.vectors[whole.corpus.row(id_)]
        )
    np.testing.assert_allclose(sample.moments.second, whole.moments.second, rtol=1e-12)
    assert sample.fingerprint()["corpus"] == whole.fingerprint()["corpus"]
    assert seen[-1] == (40, 40)


@pytest.mark.parametrize("form", FORMS)
def test_a_corpus_of_no_more_rows_is_opened_whole(form: str, tmp_path: Path) -> None:
    assert len(open_judged_sample(folder(tmp_path, form), 40).corpus) == 40


def test_the_seed_draws_the_others(tmp_path: Path) -> None:
    folder(tmp_path, "parquet")
    drawn = [set(open_judged_sample(tmp_path, 8, seed=seed).corpus.ids) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_judged_documents_are_kept_where_they_are_more_than_the_rows(tmp_path: Path) -> None:
    assert list(open_judged_sample(folder(tmp_path, "parquet"), 1).corpus.ids) == ["d5", "d38"]
