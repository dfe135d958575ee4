"""What every codec promises, on real small vectors."""

from __future__ import annotations

import sys
from functools import cache

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.baselines import fit_baseline
from smec.codecs import Codec, code_bytes, fit_codec, packs, restore_codec
from smec.demo import demo_dataset
from smec.errors import ConfigError, DataError, MissingExtraError
from smec.vectors import Float32Array, normalise

DIM = 48
NAMES = ("float32", "float16", "int8", "int4", "binary", "itq", "pq8", "pq16", "opq8", "rabitq")


@cache
def rows() -> Float32Array:
    corpus = demo_dataset().corpus.vectors[:1500]
    return fit_baseline("pca", corpus, (DIM,)).encode(corpus)


@cache
def codec(name: str) -> Codec:
    return fit_codec(name, rows(), seed=1)


def closeness(name: str) -> float:
    """Mean cosine of vectors with what their codes stand for."""
    decoded = normalise(codec(name).decode(codec(name).encode(rows())))
    return float(np.einsum("ij,ij->i", decoded, rows()).mean())


@pytest.mark.parametrize("name", NAMES)
def test_a_code_has_the_bytes_that_are_named(name: str) -> None:
    codes = codec(name).encode(rows())
    assert len(codes) == len(rows())
    assert codes[0].nbytes == codec(name).code_bytes == code_bytes(name, DIM)
    assert (codec(name).name, codec(name).dim) == (name, DIM)
    decoded = codec(name).decode(codes)
    assert decoded.shape == rows().shape and decoded.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_alone_is_coded_as_in_a_batch(name: str) -> None:
    whole = codec(name).decode(codec(name).encode(rows()[:300]))
    for row in (0, 7, 299):
        alone = codec(name).decode(codec(name).encode(rows()[row : row + 1]))
        np.testing.assert_allclose(alone[0], whole[row], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_calibration_is_all_that_is_kept(name: str) -> None:
    again = restore_codec(name, DIM, codec(name).tensors())
    assert np.array_equal(again.encode(rows()), codec(name).encode(rows()))
    tensors = fit_codec(name, rows(), seed=1).tensors()
    assert all(np.array_equal(tensor, tensors[key]) for key, tensor in codec(name).tensors().items())


def test_more_bytes_come_closer() -> None:
    by_bytes = [closeness(name) for name in ("binary", "int4", "int8", "float16")]
    assert by_bytes == sorted(by_bytes)
    assert by_bytes[0] > 0.75 and by_bytes[-1] > 0.99999
    assert closeness("pq16") > closeness("pq8")


@settings(deadline=None)
@given(st.integers(0, 1499), st.sampled_from(["int8", "int4"]))
def test_scalar_codes_err_by_half_a_step_within_their_range(row: int, name: str) -> None:
    vector = rows()[row : row + 1]
    low, span = codec(name).tensors()["ranges"]
    step = span / (255 if name == "int8" else 15)
    clipped = np.clip(vector, low, low + span)
    # The uppermost number has a step of its own, half a step above the range.
    assert (np.abs(codec(name).decode(codec(name).encode(vector)) - clipped) <= step * 0.501).all()


def test_five_lines_of_numpy_read_int8() -> None:
    codes = codec("int8").encode(rows())
    low, span = codec("int8").tensors()["ranges"]
    np.testing.assert_allclose(low + span * (codes + 0.5) / 255, codec("int8").decode(codes), atol=1e-6)


def test_faiss_searches_the_codes_as_they_are() -> None:
    queries = rows()[:5]
    for name in ("int8", "int4", "pq8"):
        scores = queries @ codec(name).decode(codec(name).encode(rows())).T
        index = _index(name)
        index.add_sa_codes(codec(name).encode(rows()))
        found, places = index.search(queries, 10)
        np.testing.assert_allclose(found, np.take_along_axis(scores, places, axis=1), atol=1e-5)


def _index(name: str) -> faiss.Index:
    tensors = codec(name).tensors()
    if name == "pq8":
        product = faiss.IndexPQ(DIM, 8, 8, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(tensors["codebooks"].ravel(), product.pq.centroids)
        product.is_trained = True
        return product
    kind = faiss.ScalarQuantizer.QT_8bit if name == "int8" else faiss.ScalarQuantizer.QT_4bit
    scalar = faiss.IndexScalarQuantizer(DIM, kind, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(tensors["ranges"].ravel(), scalar.sq.trained)
    scalar.is_trained = True
    return scalar


def test_binary_codes_are_those_of_faiss_binary_indexes() -> None:
    codes = codec("binary").encode(rows())
    index = faiss.IndexBinaryFlat(DIM)
    index.add(codes)
    distances, places = index.search(codes[:3], 5)
    above = rows() > codec("binary").tensors()["levels"][0]
    for query in range(3):
        expected = (above[query] != above[places[query]]).sum(axis=1)
        assert np.array_equal(distances[query], expected)


@pytest.mark.parametrize(
    ("name", "dim", "message"),
    [
        ("int2", 8, "codec 'int2' is unknown; use float32"),
        ("pq", 8, "codec 'pq' is unknown"),
        ("pq0", 8, "codec 'pq0' is unknown"),
        ("int8x", 8, "codec 'int8x' is unknown"),
        ("int4", 7, "int4: packs two dims a byte, so it cannot store 7 dims; use int8"),
        ("binary", 12, "binary: packs eight dims a byte, so it cannot store 12 dims; use int8"),
        ("itq", 12, "itq: packs eight"),
        ("rabitq", 12, "rabitq: packs eight"),
        ("pq7", 48, "pq7: 48 dims do not fall into 7 parts; use pq6"),
        ("opq64", 48, "opq64: 48 dims do not fall into 64 parts; use opq48"),
    ],
)
def test_what_cannot_be_packed_is_refused(name: str, dim: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_codec(name, np.ones((300, dim), dtype=np.float32))


def test_whether_a_codec_packs_a_size() -> None:
    assert packs("int4", 6) and not packs("int4", 7)
    with pytest.raises(ConfigError, match="unknown"):
        packs("int3", 8)


def test_codebooks_need_as_many_vectors_as_entries() -> None:
    with pytest.raises(DataError, match="pq8: codebooks of 256 need as many vectors, got 255"):
        fit_codec("pq8", rows()[:255])


def test_unusable_rows_are_named() -> None:
    broken = rows()[:300].copy()
    broken[17, 3] = np.nan
    with pytest.raises(DataError, match="codec int8: row 17, column 3 is nan"):
        fit_codec("int8", broken)


def test_codes_of_another_width_are_refused() -> None:
    for name in NAMES:
        with pytest.raises(DataError, match=f"{name}: codes of 48 dims take"):
            codec(name).decode(np.zeros((2, 5), dtype=np.uint8))


def test_without_faiss_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    for name in ("int8", "int4", "itq", "pq8", "opq8", "rabitq"):
        with pytest.raises(MissingExtraError, match=r"needs faiss, which is not installed.*smec\[faiss\]"):
            fit_codec(name, rows())
    assert fit_codec("binary", rows()).code_bytes == 6  # numpy is enough for it
