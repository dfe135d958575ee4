"""``smec feedback`` on collections: judged documents move, everything else stays, whatever the database."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedback_data import write_dataset, write_table
from integrations.databases.conftest import Url
from integrations.databases.filled import KINDS, Rows, fill, read
from small_compressor import compressor, corpus
from smec import Feedback
from smec.calibration import calibrate
from smec.databases import open_collection
from smec.databases.feedback import update_collection
from smec.databases.migration import migrate
from smec.errors import ConfigError, DataError, OutputError

ROWS = 300
JUDGED = {"q0": {"3": 1, "4": 0}, "q1": {"3": 1, "10": 1}, "q2": {"299": 1, "no such": 1}}
LATER = {"q2": {"10": 1}, "q3": {"20": 1}}


def ids(kind: str) -> list[str]:
    return [str(row) if kind == "qdrant" else f"d{row}" for row in range(ROWS)]


def dataset(folder: Path, kind: str, qrels: dict[str, dict[str, int]]) -> Path:
    named = {q: {d if kind == "qdrant" else f"d{d}": g for d, g in docs.items()} for q, docs in qrels.items()}
    write_dataset(folder, named)
    write_table(folder / "corpus.parquet", ids(kind), corpus(ROWS))
    return folder


def matrix(rows: Rows, kind: str) -> np.ndarray:
    assert len(rows) == ROWS
    return np.array([rows[id_][0] for id_ in ids(kind)])


def assert_payload_is_the_same(before: Rows, after: Rows) -> None:
    assert {id_: fields for id_, (_, fields) in after.items()} == {id_: f for id_, (_, f) in before.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_collection_is_as_if_it_were_made_with_the_feedback(kind: str, url: Url, tmp_path: Path) -> None:
    target = url(kind, "small")
    fill(url(kind, "full"), corpus(ROWS))
    migrate(compressor(), url(kind, "full"), target)
    plain = read(target)
    for qrels, moved, judged, restored in ((JUDGED, 3, 4, 0), (LATER, 2, 2, 2), (LATER, 2, 2, 0)):
        folder = dataset(tmp_path / "data", kind, qrels)
        feedback = Feedback.from_dataset(folder, weight=2)
        done = update_collection(compressor(), feedback, folder, target)
        assert (done.moved, done.judged, done.lacking, done.restored) == (moved, judged, 0, restored)
        found = read(target)
        wanted = compressor().encode(corpus(ROWS), 8, ids=ids(kind), feedback=feedback)
        np.testing.assert_allclose(matrix(found, kind), wanted, atol=1e-6)
        assert_payload_is_the_same(plain, found)
        others = [row for row in range(ROWS) if row not in (3, 10, 20, 299)]
        np.testing.assert_array_equal(matrix(found, kind)[others], matrix(plain, kind)[others])
        with open_collection(target) as collection:
            assert collection.shape() is not None
            stamp = collection.stamp()
            assert stamp is not None and stamp.feedback == feedback.stamp
            assert collection.count() == ROWS
            assert collection.search(wanted[3], 1) == [ids(kind)[3]]
    with pytest.raises(OutputError, match="exists already; finish it with --resume"):
        migrate(compressor(), url(kind, "full"), target)
    with pytest.raises(OutputError, match="has moved documents in it, so it is finished"):
        migrate(compressor(), url(kind, "full"), target, resume=True)


@pytest.mark.parametrize("kind", ["lancedb", "postgresql"])
def test_bits_move_too(kind: str, url: Url, tmp_path: Path) -> None:
    made = calibrate(compressor(), corpus(ROWS), ["binary"], dims=[8])
    fill(url(kind, "full"), corpus(ROWS))
    migrate(made, url(kind, "full"), url(kind, "small"), codec="binary", dim=8)
    folder = dataset(tmp_path / "data", kind, JUDGED)
    feedback = Feedback.from_dataset(folder, weight=2)
    assert update_collection(made, feedback, folder, url(kind, "small")).moved == 3
    wanted = made.encode(corpus(ROWS), 8, ids=ids(kind), feedback=feedback)
    with open_collection(url(kind, "small")) as collection:
        assert collection.shape() is not None
        stored = collection.fetch(["d3", "d10", "d299", "d5"])
    np.testing.assert_array_equal(stored, made.codec("binary", 8).encode(wanted[[3, 10, 299, 5]]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_run_leaves_is_finished_by_the_same_call(kind: str, url: Url, tmp_path: Path) -> None:
    target = url(kind, "small")
    fill(url(kind, "full"), corpus(ROWS))
    migrate(compressor(), url(kind, "full"), target)
    folder = dataset(tmp_path / "data", kind, JUDGED)
    first = Feedback.from_dataset(folder, weight=2)
    update_collection(compressor(), first, folder, target)
    with open_collection(target) as collection:  # killed once it was stamped
        assert collection.shape() is not None
        stamp = collection.stamp()
        assert stamp is not None
        pending = first.stamp.model_copy(update={"fingerprint": None})
        collection.restamp(stamp.model_copy(update={"feedback": pending}))
    folder = dataset(tmp_path / "data", kind, LATER)
    later = Feedback.from_dataset(folder, weight=2)
    assert update_collection(compressor(), later, folder, target).restored == 2
    wanted = compressor().encode(corpus(ROWS), 8, ids=ids(kind), feedback=later)
    np.testing.assert_allclose(matrix(read(target), kind), wanted, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_other_collections_are_refused(kind: str, url: Url, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "data", kind, JUDGED)
    feedback = Feedback.from_dataset(folder, weight=2)
    with pytest.raises(DataError, match="no such collection"):
        update_collection(compressor(), feedback, folder, url(kind, "nothing"))
    fill(url(kind, "full"), corpus(40))
    with pytest.raises(OutputError, match="bears no stamp of smec"):
        update_collection(compressor(), feedback, folder, url(kind, "full"))
    migrate(compressor(), url(kind, "full"), url(kind, "small"))
    other = compressor()
    other.tensors["block.0"] = other.tensors["block.0"] * 2
    with pytest.raises(OutputError, match="was made by another compressor"):
        update_collection(other, feedback, folder, url(kind, "small"))
    with pytest.raises(ConfigError, match="leave out what follows"):
        update_collection(compressor(), feedback, folder, url(kind, "small") + "?vector=v")
