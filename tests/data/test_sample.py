"""A corpus larger than what training holds: one pass gives a sample, and the moments of all rows."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_writers import WRITERS
from hypothesis import given, settings
from hypothesis import strategies as st

from smec.data import Dataset, Embeddings
from smec.data import parquet as parquet_reader
from smec.data.moments import MANY_PRODUCTS, Moments, moments_of
from smec.data.readers import read_vectors, streamed
from smec.data.sample import drawn_rows, open_sample, sampled
from smec.errors import DataError, OutputError
from smec.method.axes import ROUNDING
from smec.vectors import FloatArray

STREAMS = ("parquet", "parquet-list", "parquet-row-groups", "parquet-shards", "arrow", "arrow-stream", "npy")
HEADER = "query-id\tcorpus-id\tscore\n"


def rows_of(count: int, dtype: type = np.float32) -> Embeddings:
    matrix: FloatArray = np.random.default_rng(count).standard_normal((count, 6)).astype(dtype)
    return Embeddings([f"d{row}" for row in range(count)], matrix, [f"text {row}" for row in range(count)])


def folder(path: Path, form: str, corpus: Embeddings, judged: str = "d30\t1\nq1\td2\t2\n") -> Path:
    WRITERS[form](path, "corpus", corpus)
    WRITERS["npy"](path, "queries", Embeddings(["q0", "q1"], rows_of(2).vectors))
    (path / "qrels").mkdir()
    (path / "qrels" / "train.tsv").write_text(f"{HEADER}q0\t{judged}", "utf-8")
    (path / "qrels" / "test.tsv").write_text(f"{HEADER}q0\td0\t1\n", "utf-8")
    return path


@pytest.mark.parametrize("form", STREAMS)
def test_the_sample_is_that_of_the_corpus_in_memory(form: str, tmp_path: Path) -> None:
    corpus = rows_of(40, np.float16)
    seen: list[tuple[int, int]] = []
    dataset = open_sample(folder(tmp_path, form, corpus), 8, seed=3, progress=lambda *call: seen.append(call))
    rows = drawn_rows(40, np.array([2, 30]), 8, 3)
    assert len(rows) == 8 and {2, 30} <= set(rows.tolist())
    assert list(dataset.corpus.ids) == [f"d{row}" for row in rows]
    np.testing.assert_array_equal(dataset.corpus.vectors, corpus.vectors[rows])
    assert dataset.splits == ("train",)
    assert [len(grades) for grades in dataset.judged("train").grades] == [1, 1]
    assert seen[-1] == (40, 40)


@pytest.mark.parametrize("split", ["train", None])
def test_documents_with_a_sentence_are_in_the_sample(tmp_path: Path, split: str | None) -> None:
    corpus = folder(tmp_path, "parquet", rows_of(40))
    (corpus / "qrels" / "sentences.tsv").write_text(f"{HEADER}q1\td39\t1\n", "utf-8")
    dataset = open_sample(corpus, 8, split=split)
    sentences = dataset.sentences()
    assert sentences is not None and sentences.qrels == {"q1": {"d39": 1}}
    assert dataset.splits == (("train",) if split else ())
    assert len(dataset.corpus) == 8
    assert [] == dataset.unjudged("train").tolist()


@pytest.mark.parametrize("form", STREAMS)
def test_moments_and_fingerprint_are_of_all_rows(form: str, tmp_path: Path) -> None:
    dataset = open_sample(folder(tmp_path, form, rows_of(40)), 8)
    whole = Dataset.open(tmp_path)
    np.testing.assert_allclose(dataset.moments.second, whole.moments.second, rtol=1e-12)
    np.testing.assert_allclose(dataset.moments.mean, whole.moments.mean, rtol=1e-12)
    assert dataset.moments.rows == 40
    assert dataset.fingerprint("train") == whole.fingerprint("train")


@pytest.mark.parametrize("form", ["parquet", "npz", "beir"])
def test_what_fits_is_opened_whole_with_all_its_splits(form: str, tmp_path: Path) -> None:
    dataset = open_sample(folder(tmp_path, form, rows_of(40)), 40)
    assert len(dataset.corpus) == 40
    assert set(dataset.splits) == {"train", "test"}


def test_judged_documents_are_kept_where_they_are_more_than_the_rows(tmp_path: Path) -> None:
    dataset = open_sample(folder(tmp_path, "parquet", rows_of(40)), 1)
    assert list(dataset.corpus.ids) == ["d2", "d30"]


def test_without_judgements_only_the_seed_decides(tmp_path: Path) -> None:
    folder(tmp_path, "parquet", rows_of(40))
    drawn = [list(open_sample(tmp_path, 8, seed=seed, split=None).corpus.ids) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_judged_document_that_the_corpus_does_not_have_is_named(tmp_path: Path) -> None:
    dataset = open_sample(folder(tmp_path, "parquet", rows_of(40), "nowhere\t1\n"), 8)
    with pytest.raises(DataError, match=r"line 2: corpus id 'nowhere' of split 'train' is not in"):
        dataset.judged("train")


def test_an_unusable_row_is_named_though_it_is_not_in_the_sample(tmp_path: Path) -> None:
    matrix = np.array(rows_of(40).vectors)
    np.save(tmp_path / "corpus.npy", matrix)
    (tmp_path / "corpus.ids.txt").write_text("".join(f"d{row}\n" for row in range(40)), "utf-8")
    drawn = set(drawn_rows(40, np.empty(0, dtype=np.int64), 4, 0).tolist())
    bad = next(row for row in range(40) if row not in drawn)
    matrix[bad, 1] = np.nan
    np.save(tmp_path / "corpus.npy", matrix)
    with pytest.raises(DataError, match=rf"row {bad} \(id 'd{bad}'\), column 1 is nan"):
        open_sample(tmp_path, 4)


def test_a_judged_id_that_occurs_twice_is_named_with_its_rows(tmp_path: Path) -> None:
    folder(tmp_path, "npy", rows_of(40))
    ids = [f"d{row}" for row in range(40)]
    ids[35] = "d2"
    (tmp_path / "corpus.ids.txt").write_text("".join(f"{id_}\n" for id_ in ids), "utf-8")
    with pytest.raises(DataError, match=r"id 'd2' occurs at row 2 and again at row 35"):
        open_sample(tmp_path, 8)


def test_shards_of_different_widths_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, "parquet-shards", rows_of(40))
    wider = Embeddings(["e0"], np.ones((1, 7), dtype=np.float32), ["text"])
    (WRITERS["parquet"](tmp_path, "wide", wider)).rename(tmp_path / "corpus" / "part-002.parquet")
    with pytest.raises(DataError, match=r"part-002.parquet: row 0 has 7 dims, but 6 are expected"):
        open_sample(tmp_path, 8)


@pytest.mark.parametrize("largest_in_memory", [100, parquet_reader.IN_MEMORY])
def test_shards_of_different_dtypes_are_refused(
    largest_in_memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_reader, "IN_MEMORY", largest_in_memory)
    folder(tmp_path, "parquet-shards", rows_of(40, np.float16))
    other = Embeddings(["e0"], np.ones((1, 6), dtype=np.float32), ["text"])
    WRITERS["parquet"](tmp_path, "other", other).rename(tmp_path / "corpus" / "part-002.parquet")
    for read in (lambda: open_sample(tmp_path, 8), lambda: read_vectors(tmp_path / "corpus")):
        with pytest.raises(
            DataError, match=r"part-002.parquet: its vectors are float32, those before it float16"
        ):
            read()


def test_float32_products_lose_nothing_that_the_axes_of_many_rows_could_show() -> None:
    # Energies fall over nine decades, as those of embeddings that leave some axes nearly empty.
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    rows: FloatArray = ((rng.standard_normal((20_000, 64)) * np.logspace(0, -4.5, 64)) @ rotation).astype(
        np.float32
    )
    many = int(MANY_PRODUCTS / 64**2)
    quick, exact = Moments(64, many + 1), Moments(64, many)
    for moments in (quick, exact):
        moments.add(rows)
    assert quick.rows == exact.rows == 20_000
    of_quick, of_exact = (np.linalg.eigvalsh(one.second) for one in (quick, exact))
    np.testing.assert_allclose(of_quick, of_exact, rtol=1e-6, atol=ROUNDING)
    np.testing.assert_allclose(quick.mean, exact.mean, rtol=1e-9)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 30), st.integers(0, 99))
def test_parts_in_any_order_add_up(sizes: list[int], rows: int, seed: int) -> None:
    matrix = rows_of(sum(sizes)).vectors
    merged = Moments(6)
    for part in reversed(np.split(matrix, np.cumsum(sizes)[:-1])):
        merged.merge(moments_of(part))
    np.testing.assert_allclose(merged.second, moments_of(matrix).second, rtol=1e-12, atol=1e-15)
    assert merged.rows == len(matrix)
    drawn = drawn_rows(len(matrix), np.empty(0, dtype=np.int64), rows, seed)
    assert len(set(drawn.tolist())) == len(drawn) == min(rows, len(matrix))


def test_every_row_is_as_likely_as_any_other() -> None:
    none = np.empty(0, dtype=np.int64)
    counts = np.bincount(np.concatenate([drawn_rows(50, none, 10, seed) for seed in range(500)]))
    assert counts.sum() == 5000
    assert 60 < counts.min() and counts.max() < 140  # 100 on average, standard deviation 9


def test_an_opened_input_is_sampled_without_a_folder(tmp_path: Path) -> None:
    corpus = rows_of(40)
    path = WRITERS["parquet-row-groups"](tmp_path, "corpus", corpus)
    kept, whole = sampled(streamed(".parquet").source(path), "corpus", 5, always={"d7"}, seed=1)
    assert "d7" in kept.ids and len(kept) == 5
    assert whole.moments.rows == 40


def test_all_judged_rows_are_drawn_even_if_they_are_more_than_the_limit() -> None:
    judged = np.arange(0, 40, 2)
    np.testing.assert_array_equal(drawn_rows(40, judged, 8, 3), judged)
    np.testing.assert_array_equal(drawn_rows(20, np.arange(20), 8, 3), np.arange(20))


@pytest.mark.parametrize("form", ["parquet", "parquet-shards", "parquet-row-groups", "parquet-list"])
def test_many_vectors_are_mapped_from_a_file_that_holds_the_same(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = WRITERS[form](tmp_path, "corpus", rows_of(40, np.float16))
    in_memory = read_vectors(path)
    monkeypatch.setattr(parquet_reader, "IN_MEMORY", 100)
    mapped = read_vectors(path)
    assert isinstance(mapped.vectors, np.memmap)
    assert list(mapped.ids) == list(in_memory.ids)
    assert mapped.texts == in_memory.texts and mapped.titles is None
    np.testing.assert_array_equal(mapped.vectors, in_memory.vectors)


def test_no_room_for_the_decoded_vectors_is_one_line_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = WRITERS["parquet"](tmp_path, "corpus", rows_of(40))
    monkeypatch.setattr(parquet_reader, "IN_MEMORY", 100)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # refused as on a full disk
    try:
        with pytest.raises(OutputError, match=r"corpus.parquet: its vectors cannot be decoded .*set TMPDIR"):
            read_vectors(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def in_shards(path: Path, corpus: Embeddings) -> list[Path]:
    path.mkdir()
    folder(path, "parquet-shards", corpus)
    return sorted((path / "corpus").glob("*.parquet"))


def read_with(path: Path, keep: Path, **how: Any) -> tuple[Dataset, list[int]]:
    """The sample, and the numbers of rows that were reported while the corpus was read."""
    seen: list[int] = []
    dataset = open_sample(
        path, how.pop("rows", 8), keep=keep, progress=lambda done, _: seen.append(done), **how
    )
    return dataset, seen


@pytest.mark.parametrize("form", ["parquet-shards", "npy", "arrow"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_was_read_is_kept_and_not_read_again(form: str, dtype: type, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    corpus = rows_of(40, dtype)
    folder(tmp_path / "data", form, corpus)
    (first, read), (again, unread) = (read_with(tmp_path / "data", tmp_path / "kept") for _ in range(2))
    assert read[-1] == 40 and unread == []
    assert again.corpus.ids == first.corpus.ids
    assert again.corpus.vectors.dtype == dtype
    np.testing.assert_array_equal(again.corpus.vectors, first.corpus.vectors)
    np.testing.assert_array_equal(again.moments.second, first.moments.second)
    np.testing.assert_array_equal(again.moments.mean, first.moments.mean)
    assert again.moments.rows == 40
    assert again.fingerprint("train") == first.fingerprint("train")
    assert len(again.judged("train")) == 2


@pytest.mark.parametrize("how", [{"seed": 1}, {"rows": 9}, {"split": None}])
def test_another_sample_is_read_again(how: dict[str, Any], tmp_path: Path) -> None:
    in_shards(tmp_path / "data", rows_of(40))
    read_with(tmp_path / "data", tmp_path / "kept")
    assert read_with(tmp_path / "data", tmp_path / "kept", **how)[1][-1] == 40


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    shards = in_shards(tmp_path / "data", rows_of(40))
    before, _ = read_with(tmp_path / "data", tmp_path / "kept")
    time = shards[0].stat()
    changed = rows_of(40)
    (tmp_path / "other").mkdir()
    WRITERS["parquet-shards"](
        tmp_path / "other", "corpus", Embeddings(changed.ids, -changed.vectors, changed.texts)
    )
    (tmp_path / "other" / "corpus" / shards[0].name).replace(shards[0])
    os.utime(shards[0], ns=(time.st_atime_ns, time.st_mtime_ns))  # of the same size and time, of other bytes
    after, read = read_with(tmp_path / "data", tmp_path / "kept")
    assert read[-1] == 40
    assert after.fingerprint() != before.fingerprint()


def test_ids_with_line_breaks_are_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    corpus = rows_of(40)
    ids = [f"a\n{id_} é" for id_ in corpus.ids]
    WRITERS["parquet"](tmp_path / "data", "corpus", Embeddings(ids, corpus.vectors))
    first, again = (read_with(tmp_path / "data", tmp_path / "kept", split=None)[0] for _ in range(2))
    assert list(again.corpus.ids) == list(first.corpus.ids)


def test_a_damaged_file_is_read_again(tmp_path: Path) -> None:
    in_shards(tmp_path / "data", rows_of(40))
    read_with(tmp_path / "data", tmp_path / "kept")
    (tmp_path / "kept").write_bytes((tmp_path / "kept").read_bytes()[:-9])
    assert read_with(tmp_path / "data", tmp_path / "kept")[1][-1] == 40
