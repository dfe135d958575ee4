"""Some rows of a large file: those asked for by id are always read, the others only in drawn blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_writers import WRITERS

from smec.data import Embeddings
from smec.data.some_rows import some_rows
from smec.errors import DataError
from smec.vectors import BLOCK_ROWS, FloatArray, normalise

FORMS = ("parquet", "parquet-list", "parquet-row-groups", "parquet-shards", "arrow", "arrow-stream", "npy")


def rows_of(count: int, dtype: type = np.float32) -> Embeddings:
    matrix: FloatArray = np.random.default_rng(count).standard_normal((count, 6)).astype(dtype)
    return Embeddings([f"d{row}" for row in range(count)], matrix, [f"text {row}" for row in range(count)])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("everything", [True, False])
def test_rows_with_an_id_are_found_in_every_format(form: str, everything: bool, tmp_path: Path) -> None:
    corpus = rows_of(40, np.float16)
    path = WRITERS[form](tmp_path, "corpus", corpus)
    found = some_rows(path, {"d3", "d31", "d39", "nowhere"}, everything=everything)
    assert set(found.named) == {"d3", "d31", "d39"}
    for id_, vector in found.named.items():
        np.testing.assert_array_equal(vector, corpus.vectors[corpus.row(id_)])
    assert (found.all_rows, found.dim) == (40, 6)
    if everything:
        assert found.rows == 40
        np.testing.assert_allclose(found.total, normalise(corpus.vectors).sum(axis=0), rtol=1e-5)


def test_few_of_many_rows_are_read_and_those_with_an_id_among_them(tmp_path: Path) -> None:
    rows = 40 * BLOCK_ROWS + 7
    vectors: FloatArray = np.ones((rows, 2), dtype=np.float32)
    vectors[rows - 2] = -1
    np.save(tmp_path / "corpus.npy", vectors)
    (tmp_path / "corpus.ids.txt").write_text("".join(f"d{row}\n" for row in range(rows)))
    seen: list[tuple[int, int]] = []
    found = some_rows(
        tmp_path / "corpus.npy", {f"d{rows - 2}"}, progress=lambda *call: seen.append(call)
    )
    np.testing.assert_array_equal(found.named[f"d{rows - 2}"], [-1, -1])
    assert found.all_rows == rows
    assert 7 * BLOCK_ROWS < found.rows <= 9 * BLOCK_ROWS
    assert seen[-1] == (found.rows, found.rows)


def test_a_bad_row_is_named_where_it_is_read(tmp_path: Path) -> None:
    vectors = np.array(rows_of(40).vectors)
    vectors[33, 2] = np.nan
    np.save(tmp_path / "corpus.npy", vectors)
    (tmp_path / "corpus.ids.txt").write_text("".join(f"d{row}\n" for row in range(40)))
    with pytest.raises(DataError, match=r"corpus.npy: row 33, column 2 is nan"):
        some_rows(tmp_path / "corpus.npy", set(), everything=True)


def test_numbers_of_rows_are_no_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "corpus.npy", rows_of(40).vectors)
    assert some_rows(tmp_path / "corpus.npy", {"3"}).named == {}


@pytest.mark.parametrize("name", ["none.npy", "none"])
def test_what_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        some_rows(tmp_path / name, set())


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \*.parquet shards"):
        some_rows(tmp_path, set())


def test_shards_of_other_widths_are_refused(tmp_path: Path) -> None:
    WRITERS["parquet-shards"](tmp_path, "corpus", rows_of(40))
    other = Embeddings(["e0"], np.ones((1, 7), dtype=np.float32), ["text"])
    WRITERS["parquet"](tmp_path, "other", other).rename(tmp_path / "corpus" / "part-002.parquet")
    with pytest.raises(DataError, match=r"part-002.parquet: row 0 has 7 dims, but 6 are expected"):
        some_rows(tmp_path / "corpus", set(), everything=True)
