"""The faiss export: a drop-in for an index of full-size vectors."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from exportable import MODELS, centred, compressor, vectors
from smec.export import export
from smec.vectors import normalise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    export(compressor(), "faiss", tmp_path / "out", dim=48)
    return tmp_path / "out"


def test_the_transform_is_the_projection(folder: Path) -> None:
    transform = faiss.read_VectorTransform(str(folder / "transform.vt"))
    assert (transform.d_in, transform.d_out, transform.is_trained) == (384, 48, True)
    small = normalise(transform.apply(vectors()))
    assert np.abs(small - compressor().encode(vectors(), 48)).max() <= 1e-5


def test_a_transform_with_a_bias_takes_vectors_of_unit_length_and_says_so(tmp_path: Path) -> None:
    said = "bring vectors to unit length before it too"
    for name, model in MODELS.items():
        export(model(), "faiss", tmp_path / name, dim=48)
        assert (said in (tmp_path / name / "README.md").read_text("utf-8")) == (name == "centred")
    transform = faiss.read_VectorTransform(str(tmp_path / "centred" / "transform.vt"))
    small = normalise(transform.apply(normalise(vectors())))
    assert np.abs(small - centred().encode(vectors(), 48)).max() <= 1e-5


def test_indexes_take_full_size_vectors_and_keep_ids(folder: Path, tmp_path: Path) -> None:
    ids = np.arange(1000, dtype=np.int64) * 7 + 10**12
    small = compressor().encode(vectors(), 48)
    expected = -np.sort(-small[:20] @ small.T)[:, :5]
    plain = faiss.read_index(str(folder / "index.faiss"))
    plain.add(vectors())
    with_ids = faiss.read_index(str(folder / "index-with-ids.faiss"))
    with_ids.add_with_ids(vectors(), ids)
    faiss.write_index(with_ids, str(tmp_path / "filled.faiss"))
    for index, names in ((plain, np.arange(1000)), (faiss.read_index(str(tmp_path / "filled.faiss")), ids)):
        assert (index.d, index.ntotal) == (384, 1000)
        scores, found = index.search(vectors()[:20], 5)
        products = np.einsum("ijk,ik->ij", small[np.searchsorted(names, found)], small[:20])
        np.testing.assert_allclose(scores, products, atol=1e-5)
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_an_index_of_full_vectors_moves_with_its_ids(folder: Path) -> None:
    full = faiss.IndexIDMap2(faiss.IndexFlatIP(384))
    ids = np.arange(1000, dtype=np.int64)[::-1].copy()
    full.add_with_ids(vectors(), ids)
    small = faiss.read_index(str(folder / "index-with-ids.faiss"))
    small.add_with_ids(full.index.reconstruct_n(0, full.ntotal), faiss.vector_to_array(full.id_map))
    _, found = small.search(vectors()[:50], 1)
    assert (found[:, 0] == ids[:50]).mean() > 0.9  # equal texts are equal vectors


def test_bits_are_compared_by_hamming_distance(tmp_path: Path) -> None:
    export(compressor(), "faiss", tmp_path / "out", dim=48, codec="binary")
    index = faiss.read_index(str(tmp_path / "out" / "index.faiss"))
    index.add(vectors())
    distances, found = index.search(vectors()[:3], 4)
    codec = compressor().codec("binary", 48)
    bits = np.unpackbits(codec.encode(compressor().encode(vectors(), 48)), axis=1)
    assert np.array_equal(distances, (bits[:3, None] != bits[found]).sum(axis=2))
    assert "Hamming" in (tmp_path / "out" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("codec", ["int8", "int4", "pq8", "opq8"])
def test_scores_of_codes_are_products_with_what_they_stand_for(codec: str, tmp_path: Path) -> None:
    export(compressor(), "faiss", tmp_path / "out", dim=48, codec=codec)
    index = faiss.read_index(str(tmp_path / "out" / "index.faiss"))
    index.add(vectors())
    queries, stored = compressor().encode(vectors()[:10], 48), compressor().codec(codec, 48)
    decoded = stored.decode(stored.encode(compressor().encode(vectors(), 48)))
    scores, found = index.search(vectors()[:10], 5)
    expected = np.take_along_axis(queries @ decoded.T, found, axis=1)
    assert np.median(np.abs(scores - expected)) < 1e-6


def test_rabitq_stores_the_codecs_bits_and_factors(tmp_path: Path) -> None:
    export(compressor(), "faiss", tmp_path / "out", dim=48, codec="rabitq")
    found = faiss.read_index(str(tmp_path / "out" / "index.faiss")).sa_encode(vectors())
    expected = compressor().codec("rabitq", 48).encode(compressor().encode(vectors(), 48))
    assert (found[:, :6] == expected[:, :6]).mean() >= 0.995
    factors = np.ascontiguousarray(found[:, 6:]).view(np.float32)
    np.testing.assert_allclose(factors, np.ascontiguousarray(expected[:, 6:]).view(np.float32), atol=1e-5)
