"""What a compressor promises to those who only use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from small_compressor import DIMS, WIDTH, centred, compressor, corpus
from smec import Compressor
from smec.artefact_files import tensors_hash
from smec.encoder import Encoder
from smec.errors import ConfigError, DataError
from smec.vectors import FloatArray

USABLE = arrays(np.float64, (3, WIDTH), elements=st.floats(-100, 100)).filter(
    lambda rows: bool((np.linalg.norm(rows, axis=1) > 0.1).all())
)

KINDS = {"plain": compressor, "centred": centred}
"""Kind of product -> a compressor that makes it."""


def unit(rows: FloatArray) -> FloatArray:
    shortened: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return shortened


@pytest.mark.parametrize("dim", DIMS)
def test_encoding_is_one_product_and_unit_length(dim: int) -> None:
    encoded = compressor().encode(corpus(), dim)
    product = corpus().astype(np.float64) @ compressor().block(dim).matrix[:, :dim]
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, unit(product), atol=1e-5)


@pytest.mark.parametrize("dim", (8, 4, 2))
def test_a_bias_is_added_to_the_product_of_a_vector_of_unit_length(dim: int) -> None:
    encoded = centred().encode(corpus(), dim)
    rows = unit(corpus().astype(np.float64))
    product = (rows - rows.mean(axis=0)) @ centred().block(dim).matrix[:, :dim]
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, unit(product), atol=1e-5)
    np.testing.assert_array_equal(centred().encode_queries(corpus(), dim), encoded)
    assert centred().fallbacks[dim] == ("spectemp" if dim == 2 else "pca-centred")


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e12, 1e30])
def test_with_a_bias_the_length_does_not_matter_either(factor: float) -> None:
    longer = centred().encode(corpus() * np.float32(factor), 4)
    np.testing.assert_allclose(longer, centred().encode(corpus(), 4), atol=1e-6)


def test_it_is_an_encoder_of_its_largest_size_by_default() -> None:
    small = compressor()
    assert isinstance(small, Encoder)
    assert (small.input_dim, small.dims, small.fallbacks) == (WIDTH, DIMS, {1: "pca"})
    np.testing.assert_array_equal(small.encode(corpus()), small.encode(corpus(), 8))
    np.testing.assert_array_equal(small.encode_queries(corpus(), 4), small.encode(corpus(), 4))


@pytest.mark.parametrize("kind", KINDS)
@given(rows=USABLE)
def test_a_prefix_of_a_nested_size_is_the_smaller_size(kind: str, rows: FloatArray) -> None:
    larger, smaller = KINDS[kind]().encode(rows, 8), KINDS[kind]().encode(rows, 4)
    # A prefix that is all but zero has no direction to speak of in float32.
    clear = np.linalg.norm(larger[:, :4], axis=1) > 0.01
    np.testing.assert_allclose(unit(larger[clear, :4]), smaller[clear], atol=1e-4)


@given(USABLE, st.floats(0.01, 100))
def test_the_length_of_what_is_encoded_does_not_matter(rows: FloatArray, factor: float) -> None:
    shorter = unit(rows)
    once, again = compressor().encode(shorter, 8), compressor().encode(shorter * factor, 8)
    np.testing.assert_allclose(once, again, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 5e-3), (np.float64, 1e-6)])
def test_half_and_double_precision_are_taken(
    kind: str, dtype: type[np.floating[Any]], tolerance: float
) -> None:
    encoded = KINDS[kind]().encode(corpus().astype(dtype), 4)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, KINDS[kind]().encode(corpus(), 4), atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_one_vector_gives_one_vector(kind: str) -> None:
    encoded = KINDS[kind]().encode(corpus()[0], 4)
    assert encoded.shape == (4,)
    np.testing.assert_allclose(encoded, KINDS[kind]().encode(corpus(), 4)[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_other_widths_unserved_sizes_and_unusable_rows_are_refused(kind: str) -> None:
    small = KINDS[kind]()
    with pytest.raises(DataError, match="15 dims, but 16"):
        small.encode(corpus()[:, :15])
    with pytest.raises(ConfigError, match="size 3 is not served; it serves 8, 4, 2, 1"):
        small.encode(corpus(), 3)
    broken = corpus()
    broken[5, 2] = np.nan
    with pytest.raises(DataError, match="row 5, column 2 is nan"):
        small.encode(broken)
    broken[5] = 0
    with pytest.raises(DataError, match="row 5 is a zero vector"):
        small.encode(broken)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("source", "dim"), [(8, 8), (8, 4), (8, 2), (4, 2), (2, 2)])
def test_stored_vectors_shrink_to_what_the_originals_encode_to(source: int, dim: int, kind: str) -> None:
    small = KINDS[kind]()
    shrunk = small.shrink(small.encode(corpus(), source), dim)
    np.testing.assert_allclose(shrunk, small.encode(corpus(), dim), atol=1e-5)


def test_what_cannot_be_made_from_stored_vectors_is_refused() -> None:
    small = compressor()
    with pytest.raises(ConfigError, match=r"size 1 \(pca\) cannot be made from stored vectors of 8 dims"):
        small.shrink(small.encode(corpus(), 8), 1)
    with pytest.raises(ConfigError, match=r"size 8 .* cannot be made"):
        small.shrink(small.encode(corpus(), 4), 8)
    with pytest.raises(DataError, match="vectors have 16 dims, but compressed ones have 8, 4, 2, 1"):
        small.shrink(corpus(), 4)
    with pytest.raises(ConfigError, match="size 3 is not served"):
        small.shrink(small.encode(corpus(), 8), 3)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same_to_the_byte(kind: str, tmp_path: Path) -> None:
    small = KINDS[kind]()
    small.save(tmp_path / "one")
    loaded = Compressor.load(tmp_path / "one")
    loaded.save(tmp_path / "two")
    assert loaded.name == f"smec:{tmp_path / 'one'}"
    assert loaded.manifest == small.manifest
    assert loaded.fingerprint == small.fingerprint == tensors_hash(loaded.tensors)
    for dim in DIMS:
        np.testing.assert_array_equal(loaded.encode(corpus(), dim), small.encode(corpus(), dim))
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    shrunk = loaded.shrink(loaded.encode(corpus(), 4), 2)
    np.testing.assert_array_equal(shrunk, small.shrink(small.encode(corpus(), 4), 2))


def test_it_is_used_without_torch_scipy_pandas_and_ir_measures(tmp_path: Path) -> None:
    compressor().save(tmp_path / "model")
    np.save(tmp_path / "rows.npy", corpus())
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'scipy', 'pandas', 'ir_measures', 'sklearn']))\n"
        "import numpy, smec\n"
        "rows = numpy.load(sys.argv[1] + '/rows.npy')\n"
        "encoded = smec.Compressor.load(sys.argv[1] + '/model').encode(rows, 4)\n"
        "numpy.save(sys.argv[1] + '/out.npy', encoded)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), compressor().encode(corpus(), 4), atol=1e-6)
