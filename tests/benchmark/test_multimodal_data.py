"""Fused products: a query has one modality, and is judged as the photos of its product are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.multimodal_data import build, write

from smec import Dataset
from smec.errors import DataError
from smec.vectors import Float32Array

LETTERS = 26


def letters(texts: list[str]) -> Float32Array:
    """How often each letter stands in a text: enough of an encoder to tell texts apart."""
    counts = [[text.lower().count(chr(ord("a") + n)) for n in range(LETTERS)] for text in texts]
    return np.array(counts, dtype=np.float32)


@pytest.fixture(scope="module")
def source(shared_data: Path) -> Dataset:
    return Dataset.open(shared_data / "grocery-effnet")


@pytest.fixture(scope="module")
def fused(source: Dataset) -> Dataset:
    return build(source, letters)


def test_a_document_has_both_modalities_in_equal_parts(source: Dataset, fused: Dataset) -> None:
    vectors = np.asarray(fused.corpus.vectors)
    assert vectors.shape == (len(source.corpus), source.dim + LETTERS)
    for half in (vectors[:, : source.dim], vectors[:, source.dim :]):
        np.testing.assert_allclose(np.linalg.norm(half, axis=1), np.sqrt(0.5), atol=1e-4)


def test_a_query_has_one_of_them(source: Dataset, fused: Dataset) -> None:
    assert fused.queries is not None
    image, text = np.hsplit(np.asarray(fused.queries.vectors), [source.dim])
    shown = np.array([id_.startswith("image-") for id_ in fused.queries.ids])
    assert shown.sum() == 1596 and (~shown).sum() == 81 * 9
    assert not text[shown].any() and not image[~shown].any()
    np.testing.assert_allclose(np.linalg.norm(image[shown], axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(text[~shown], axis=1), 1, atol=1e-3)


def test_phrases_are_judged_as_photos_of_the_product_and_differ_between_splits(fused: Dataset) -> None:
    assert fused.queries is not None and fused.queries.texts is not None and fused.corpus.texts is not None
    graded = {
        tuple(sorted(judged.items()))
        for qrels in fused.qrels.values()
        for query, judged in qrels.items()
        if query.startswith("image-")
    }
    texts = dict(zip(fused.queries.ids, fused.queries.texts, strict=True))
    phrases = {
        split: {texts[q] for q in qrels if q.startswith("text-")} for split, qrels in fused.qrels.items()
    }
    assert all(
        tuple(sorted(judged.items())) in graded
        for query, judged in fused.qrels["test"].items()
        if query.startswith("text-")
    )
    assert len(phrases["train"]) == 81 * 6 and len(phrases["test"]) == 81 * 3
    assert not phrases["train"] & phrases["test"]
    assert not (phrases["train"] | phrases["test"]) & set(fused.corpus.texts)


def test_it_is_written_as_a_dataset_folder(fused: Dataset, tmp_path: Path) -> None:
    write(fused, tmp_path)
    opened = Dataset.open(tmp_path)
    assert opened.qrels == fused.qrels
    np.testing.assert_array_equal(opened.corpus.vectors, fused.corpus.vectors)


def test_judgements_of_other_products_are_refused(source: Dataset) -> None:
    qrels = {split: dict(list(source.qrels[split].items())[:300]) for split in source.splits}
    with pytest.raises(DataError, match="must be 81 blocks"):
        build(Dataset(source.corpus, source.queries, qrels, "part"), letters)
