"""Exact search against a plain sort, down to the order of ties."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smec.evaluation import exact_search, trec_tie_order
from smec.evaluation.search import search_blocks
from smec.vectors import BLOCK_ROWS, FloatArray, IntArray

# Small whole numbers: their inner products are exact in float32, so equal scores are plenty and certain.
small = st.integers(-2, 2).map(float)


def sorted_rows(scores: FloatArray, tie_order: IntArray, k: int) -> IntArray:
    rows: IntArray = np.lexsort((np.broadcast_to(tie_order, scores.shape), -scores), axis=1)[:, :k]
    return rows


@given(data=st.data(), n=st.integers(1, 30), q=st.integers(0, 4), d=st.integers(1, 3), k=st.integers(1, 35))
def test_it_is_the_head_of_a_full_sort_ties_at_the_boundary_included(
    data: st.DataObject, n: int, q: int, d: int, k: int
) -> None:
    corpus = data.draw(hnp.arrays(np.float32, (n, d), elements=small))
    queries = data.draw(hnp.arrays(np.float32, (q, d), elements=small))
    tie_order = np.array(data.draw(st.permutations(range(n))))
    scores, rows = exact_search(corpus, queries, k, tie_order=tie_order)
    expected = sorted_rows(queries @ corpus.T, tie_order, k)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(queries @ corpus.T, expected, axis=1))
    assert scores.dtype == np.float32
    assert rows.dtype == np.int64


@given(
    data=st.data(),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    q=st.integers(1, 5),
    k=st.integers(1, 12),
)
def test_blocks_of_any_size_give_the_head_of_a_full_sort(
    data: st.DataObject, sizes: list[int], q: int, k: int
) -> None:
    n = sum(sizes)
    scores = data.draw(hnp.arrays(np.float32, (q, n), elements=small))  # mostly ties
    tie_order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(n)
    # The corpus' vectors are the scores themselves, which the unit vectors as queries read off.
    blocks = (scores.T[stop - size : stop] for size, stop in zip(sizes, np.cumsum(sizes), strict=True))
    found, rows = search_blocks(blocks, np.eye(q, dtype=np.float32), k, tie_order)
    expected = sorted_rows(scores, tie_order, k)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(found, np.take_along_axis(scores, expected, axis=1))


@pytest.mark.parametrize("rising", [True, False])
def test_a_corpus_in_the_order_of_its_scores_is_searched_right(rising: bool) -> None:
    """Rising, all of every block comes among the best; falling, nothing behind the first."""
    corpus = np.arange(3 * BLOCK_ROWS, dtype=np.float32)[:, None]
    corpus = corpus if rising else corpus[::-1]
    scores, rows = exact_search(corpus, np.ones((300, 1), np.float32), 50)
    assert (scores == np.arange(3 * BLOCK_ROWS)[::-1][:50]).all()
    assert (corpus[rows[0], 0] == scores[0]).all()


def test_without_an_order_of_ties_the_earlier_row_comes_first() -> None:
    corpus = np.array([[0], [1], [1], [0], [1]], dtype=np.float32)
    assert exact_search(corpus, np.ones((1, 1), np.float32), 2)[1].tolist() == [[1, 2]]


def test_negative_zero_ties_with_zero() -> None:
    tiny = np.array([[-1e-30], [1e-30], [-1e-30]], dtype=np.float32)  # their products underflow
    scores, rows = exact_search(tiny, tiny[1:2], 3)
    assert rows.tolist() == [[0, 1, 2]]
    assert scores.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_many_blocks_of_a_memory_map_give_what_one_product_gives(
    tmp_path: Path, dtype: type[np.floating[Any]]
) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "corpus.npy", rng.integers(-3, 4, (2 * BLOCK_ROWS + 5, 3)).astype(dtype))
    queries: FloatArray = rng.integers(-3, 4, (300, 3)).astype(dtype)
    corpus = np.load(tmp_path / "corpus.npy", mmap_mode="r")
    tie_order = rng.permutation(len(corpus))
    scores, rows = exact_search(corpus, queries, 7, tie_order=tie_order)
    whole = queries.astype(np.float32) @ np.asarray(corpus, np.float32).T
    expected = sorted_rows(whole[:20], tie_order, 7)
    np.testing.assert_array_equal(rows[:20], expected)
    np.testing.assert_array_equal(scores, -np.sort(-whole, axis=1)[:, :7])


def test_trec_orders_ties_by_id_descending_as_strings() -> None:
    ids = ["9", "10", "b", "a", "Z", "é"]
    by_rank = np.argsort(trec_tie_order(ids))
    assert [ids[row] for row in by_rank] == ["é", "b", "a", "Z", "9", "10"]


@pytest.mark.skipif(sys.platform != "linux", reason="pages of a map are let go on Linux only")
def test_memory_does_not_grow_with_the_rows_of_a_memory_map(tmp_path: Path) -> None:
    """Another process, as the peak of this one is that of the tests before."""
    rows = 600_000  # 600 MB, all of which are looked at five times
    np.lib.format.open_memmap(tmp_path / "corpus.npy", "w+", np.float32, (rows, 256))[:, 3] = 1
    measured = f"""
import numpy as np
from pathlib import Path
from smec.data import Embeddings
from smec.data.fingerprint import embeddings_sha256
from smec.data.moments import moments_of
from smec.evaluation import exact_search
def peak():
    return next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
corpus = np.load({str(tmp_path / "corpus.npy")!r}, mmap_mode="r")
held = Embeddings([str(row) for row in range({rows})], corpus)
before = peak()
found = exact_search(corpus, np.ones((3, 256), np.float32), 5)[1]
assert found.tolist() == [[0, 1, 2, 3, 4]] * 3
assert moments_of(corpus).second[3, 3] == 1
embeddings_sha256(held)
print(before, peak())
"""
    process = subprocess.run([sys.executable, "-c", measured], capture_output=True, text=True, check=True)
    before, after = (int(kilobytes) / 1024 for kilobytes in process.stdout.split())
    assert before < 400 and after < before + 150  # the map alone is 586 MiB
