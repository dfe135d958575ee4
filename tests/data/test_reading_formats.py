"""Every format gives the same dataset, without copying vectors where it can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_writers import WITH_TEXTS, WRITERS, Writer, arrow, npy, npz, parquet, parquet_shards, table
from hypothesis import given
from hypothesis import strategies as st

from smec.data import Dataset, Embeddings
from smec.data.columns import vector_matrix
from smec.data.readers import READERS, read_vectors
from smec.vectors import FloatArray

DTYPES = (np.float16, np.float32, np.float64)


def reference(dtype: type = np.float32, rows: int = 11, start: str = "d") -> Embeddings:
    vectors: FloatArray = np.random.default_rng(rows).standard_normal((rows, 6)).astype(dtype)
    return Embeddings(
        ids=[f"{start}{row} é" for row in range(rows)],
        vectors=vectors,
        texts=[f'text {row}\t"quoted"' for row in range(rows)],
        titles=["" if row == 2 else f"title {row}" for row in range(rows)],
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", WRITERS)
def test_every_form_opens_as_the_same_dataset(form: str, dtype: type, tmp_path: Path) -> None:
    corpus, queries = reference(dtype), reference(dtype, rows=5, start="q")
    WRITERS[form](tmp_path, "corpus", corpus)
    WRITERS[form](tmp_path, "queries", queries)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1 é\td0 é\t2\nq0 é\td3 é\t1\n", "utf-8"
    )

    dataset = Dataset.open(tmp_path)

    for opened, expected in ((dataset.corpus, corpus), (dataset.queries, queries)):
        assert opened is not None
        assert list(opened.ids) == list(expected.ids)
        assert opened.vectors.dtype == dtype
        np.testing.assert_array_equal(opened.vectors, expected.vectors)
        assert opened.texts == (expected.texts if form in WITH_TEXTS else None)
        assert opened.titles == (expected.titles if form in WITH_TEXTS else None)
    in_memory = Dataset(corpus, queries, {"test": {"q0 é": {"d3 é": 1}, "q1 é": {"d0 é": 2}}})
    assert dataset.fingerprint("test") == in_memory.fingerprint("test")
    assert dataset.judged("test").grades == ({3: 1}, {0: 2})


@pytest.mark.parametrize("suffix", READERS)
def test_every_registered_suffix_has_a_reader(suffix: str, tmp_path: Path) -> None:
    writers: dict[str, Writer] = {".npy": npy, ".npz": npz, ".parquet": parquet, ".jsonl": WRITERS["beir"]}
    written = writers.get(suffix, arrow)(tmp_path, "vectors", reference())
    path = written.rename(written.with_suffix(suffix))
    assert read_vectors(path).row("d10 é") == 10


@pytest.mark.parametrize("form", ["npy", "npz", "beir"])
def test_numpy_vectors_are_memory_mapped(form: str, tmp_path: Path) -> None:
    path = WRITERS[form](tmp_path, "corpus", reference())
    vectors = read_vectors(path).vectors
    assert isinstance(vectors, np.memmap)
    assert Path(str(vectors.filename)).suffix == (".npz" if form == "npz" else ".npy")
    assert not vectors.flags.writeable


def test_arrow_vectors_stay_on_disk(tmp_path: Path) -> None:
    path = arrow(tmp_path, "corpus", reference(rows=4000))
    before = pa.total_allocated_bytes()
    embeddings = read_vectors(path)
    assert not embeddings.vectors.flags.owndata
    assert pa.total_allocated_bytes() - before < embeddings.vectors.nbytes


def test_one_chunk_of_parquet_vectors_is_not_copied(tmp_path: Path) -> None:
    path = parquet(tmp_path, "corpus", reference(rows=4000))
    column = pq.read_table(path)["vector"].chunk(0)
    buffer = np.frombuffer(column.values.buffers()[1], np.float32)
    assert np.shares_memory(vector_matrix(column, "corpus"), buffer)
    vectors = read_vectors(path).vectors
    assert not vectors.flags.owndata
    assert not vectors.flags.writeable  # arrow's own memory, as numpy's copies are writeable


@pytest.mark.parametrize("list_type", ["fixed", "list", "large"])
@given(start=st.integers(0, 11), stop=st.integers(0, 11))
def test_a_slice_of_a_column_gives_its_own_rows(list_type: str, start: int, stop: int) -> None:
    embeddings = reference()
    column = table(embeddings, list_type)["vector"].chunk(0).slice(start, max(stop - start, 0))
    expected = embeddings.vectors[start : max(start, stop)]
    np.testing.assert_array_equal(vector_matrix(column, "slice", start, 6).reshape(-1, 6), expected)


def test_shards_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    shards = parquet_shards(tmp_path, "corpus", reference())
    (shards / "part-000.parquet").rename(shards / "part-002.parquet")
    assert list(read_vectors(shards).ids)[:8] == [f"d{row} é" for row in (4, 5, 6, 7, 8, 9, 10, 0)]


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([7, 8]),
        pa.array(["7", "8"], pa.large_string()),
        pa.array(["7", "8"]).dictionary_encode(),
    ],
    ids=["integers", "large-strings", "dictionary"],
)
def test_ids_of_other_arrow_types_become_strings(ids: pa.Array, tmp_path: Path) -> None:
    vectors = reference(rows=2).vectors
    columns = {"id": ids, "vector": table(reference(rows=2))["vector"], "extra": pa.array([{"a": 1}, None])}
    pq.write_table(pa.table(columns), tmp_path / "corpus.parquet")
    embeddings = read_vectors(tmp_path / "corpus.parquet")
    assert embeddings.ids == ["7", "8"]
    np.testing.assert_array_equal(embeddings.vectors, vectors)


def test_null_texts_are_empty(tmp_path: Path) -> None:
    whole = table(reference(rows=2)).set_column(2, "text", pa.array([None, "two"]))
    pq.write_table(whole, tmp_path / "corpus.parquet")
    assert read_vectors(tmp_path / "corpus.parquet").texts == ["", "two"]
