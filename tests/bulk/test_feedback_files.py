"""``smec compress --feedback`` and ``smec feedback`` on files and folders of shards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import small_compressor
from feedback_data import IDS, LATER, QRELS, ROWS, write_dataset, write_table
from small_compressor import corpus
from smec import Feedback, compress
from smec.bulk.feedback import update_output
from smec.bulk.manifest import MANIFEST_FILE, read_manifest, write_record
from smec.bulk.sharded import compress_shards
from smec.calibration import calibrate
from smec.cli.main import app
from smec.compressor import Compressor
from smec.errors import ConfigError, DataError, OutputError
from smec.feedback import FeedbackStamp
from smec.vectors import FloatArray

COMPRESSOR = calibrate(small_compressor.compressor(), corpus(), ["binary"], dims=[8])
SUFFIXES = (".parquet", ".arrow", ".npy")
KEPT = [row for row in range(ROWS) if row not in (3, 10, 57, 20)]
"""Documents that no feedback of these tests judges."""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "first")


@pytest.fixture
def later(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "later", LATER)


def feedback(folder: Path) -> Feedback:
    return Feedback.from_dataset(folder, weight=2)


def read(path: Path) -> FloatArray:
    if path.is_dir():
        return np.concatenate([read(shard) for shard in sorted(path.glob("*.parquet"))])
    if path.suffix == ".npy":
        return np.asarray(np.load(path))
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).read_all()
    name = "vector" if "vector" in table.column_names else "code"
    codes: FloatArray = np.array(table[name].combine_chunks().flatten()).reshape(len(table), -1)
    return codes


def note(path: Path) -> dict[str, object]:
    if path.suffix == ".npy":
        text = path.with_name(f"{path.stem}.smec.json").read_bytes()
    else:
        schema = pq.read_schema(path) if path.suffix == ".parquet" else pa.ipc.open_file(path).schema
        text = schema.metadata[b"smec"]
    found: dict[str, object] = json.loads(text)["feedback"]
    return found


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("codec", ["float32", "float16", "binary"])
def test_only_judged_documents_change_and_the_file_tells_of_it(
    codec: str, suffix: str, first: Path, tmp_path: Path
) -> None:
    corpus_file, moving = first / "corpus.parquet", feedback(first)
    compress(COMPRESSOR, corpus_file, tmp_path / f"plain{suffix}", codec=codec)
    done = compress(COMPRESSOR, corpus_file, tmp_path / f"moved{suffix}", codec=codec, feedback=moving)
    assert (done.rows, done.moved, done.judged) == (ROWS, 3, 4)
    plain, moved = read(tmp_path / f"plain{suffix}"), read(tmp_path / f"moved{suffix}")
    assert plain[KEPT].tobytes() == moved[KEPT].tobytes()
    if codec == "float32":
        wanted = COMPRESSOR.encode(corpus(), 8, ids=IDS, feedback=moving)
        np.testing.assert_array_equal(moved, wanted)
        assert all(plain[row].tobytes() != moved[row].tobytes() for row in (3, 10, 57))
    told = note(tmp_path / f"moved{suffix}")
    assert (told["fingerprint"], told["weight"]) == (moving.fingerprint, 2.0)
    assert told["judged"] == ["d10", "d3", "d57", "elsewhere"]


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_are_those_of_one_file_and_the_manifest_tells(
    workers: int, first: Path, tmp_path: Path
) -> None:
    moving = feedback(first)
    write_groups(first)
    compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "one.parquet", feedback=moving)
    arguments = (COMPRESSOR, first / "corpus.parquet", tmp_path / "out")
    done = compress_shards(*arguments, rows_per_shard=20, workers=workers, feedback=moving)
    assert (done.shards, done.moved, done.judged) == (3, 3, 4)
    np.testing.assert_allclose(read(tmp_path / "out"), read(tmp_path / "one.parquet"), atol=1e-6)
    manifest = read_manifest(tmp_path / "out")
    assert manifest.feedback == moving.stamp
    assert [shard.moved for shard in manifest.shards] == [2, 0, 1]
    again = compress_shards(*arguments, rows_per_shard=20, feedback=moving, resume=True)
    assert (again.reused, again.moved) == (3, 3)
    for other in (None, Feedback.from_dataset(first, weight=1)):
        with pytest.raises(ConfigError, match="was begun with other feedback or without any; resume it as"):
            compress_shards(*arguments, rows_per_shard=20, feedback=other, resume=True)


def test_ray_makes_the_shards_of_the_local_engine(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    write_groups(first)
    COMPRESSOR.save(tmp_path / "model")
    with TemporaryDirectory(prefix="ray-") as folder:  # short, for sockets; and Ray leaves a token at home
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        environment = os.environ | {"RAY_TMPDIR": folder, "HOME": folder}
        command = ["compress", tmp_path / "model", first / "corpus.parquet", "--feedback", first]
        options = ["--feedback-weight", "2", "--rows-per-shard", "20"]
        for engine in ("local", "ray"):
            call = [*command, "-o", tmp_path / engine, "--engine", engine, *options]
            program = [sys.executable, "-m", "smec", *map(str, call)]
            ran = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
            assert "feedback: 3 of 4 judged documents were in the input" in ran.stdout
    assert read(tmp_path / "ray").tobytes() == read(tmp_path / "local").tobytes()
    assert read_manifest(tmp_path / "ray").feedback == feedback(first).stamp


def write_groups(folder: Path) -> None:
    table = pq.read_table(folder / "corpus.parquet")
    pq.write_table(table, folder / "corpus.parquet", row_group_size=20)


def test_what_cannot_be_moved_is_refused(first: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", corpus())
    for make, output in ((compress, "out.parquet"), (compress_shards, "out")):
        with pytest.raises(DataError, match=r"bare\.npy: has no ids, by which feedback finds documents"):
            make(COMPRESSOR, tmp_path / "bare.npy", tmp_path / output, feedback=feedback(first))
        compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "small.parquet", dim=8, force=True)
        with pytest.raises(ConfigError, match="feedback moves full vectors, not compressed ones"):
            make(
                COMPRESSOR,
                tmp_path / "small.parquet",
                tmp_path / output,
                from_dim=8,
                dim=4,
                feedback=feedback(first),
            )
        assert not (tmp_path / output).exists()
    narrow = Feedback(("a",), np.eye(4, dtype=np.float32)[:1], 1.0, "f")
    with pytest.raises(DataError, match="its queries have 4 dims, but the compressor takes 16"):
        compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "out.parquet", feedback=narrow)


def test_a_note_of_another_run_is_never_left_beside_vectors(first: Path, tmp_path: Path) -> None:
    compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "out.npy", feedback=feedback(first))
    (tmp_path / "out.npy").unlink()
    (tmp_path / "out.ids.txt").unlink()
    with pytest.raises(OutputError, match=r"out.smec.json: exists already and would be taken for the note"):
        compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "out.npy")
    compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "out.npy", force=True)
    assert not (tmp_path / "out.smec.json").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("codec", ["float32", "binary"])
def test_other_feedback_gives_what_compressing_again_gives(
    codec: str, suffix: str, first: Path, later: Path, tmp_path: Path
) -> None:
    output, scratch = tmp_path / f"out{suffix}", tmp_path / f"scratch{suffix}"
    compress(COMPRESSOR, first / "corpus.parquet", output, codec=codec, feedback=feedback(first))
    before = read(output)
    compress(COMPRESSOR, first / "corpus.parquet", scratch, codec=codec, feedback=feedback(later))
    done = update_output(COMPRESSOR, feedback(later), later, output)
    assert (done.moved, done.judged, done.restored) == (2, 2, 2)
    np.testing.assert_allclose(read(output), read(scratch), atol=1e-6)
    assert before[KEPT].tobytes() == read(output)[KEPT].tobytes()
    assert note(output) == note(scratch)
    bytes_ = output.read_bytes()
    again = update_output(COMPRESSOR, feedback(later), later, output)
    assert (again.moved, again.restored) == (2, 0)
    assert output.read_bytes() == bytes_


def test_a_table_without_feedback_gets_it_and_keeps_its_columns(first: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    compress(COMPRESSOR, first / "corpus.parquet", output)
    before = pq.read_table(output)
    done = update_output(COMPRESSOR, feedback(first), first, output)
    assert (done.moved, done.judged, done.lacking, done.restored) == (3, 4, 0, 0)
    after = pq.read_table(output)
    assert after.drop_columns(["vector"]).equals(before.drop_columns(["vector"]))
    assert note(output)["fingerprint"] == feedback(first).fingerprint


def test_only_shards_with_judged_documents_are_written(first: Path, later: Path, tmp_path: Path) -> None:
    write_groups(first)
    out = tmp_path / "out"
    compress_shards(COMPRESSOR, first / "corpus.parquet", out, rows_per_shard=20, feedback=feedback(first))
    second = write_dataset(tmp_path / "second", {"q3": {"d3": 1}})
    stamps = {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}
    done = update_output(COMPRESSOR, feedback(second), second, out)
    assert (done.moved, done.restored) == (1, 2)
    changed = [
        file.name for file in sorted(out.glob("*.parquet")) if file.stat().st_mtime_ns != stamps[file.name]
    ]
    assert changed == ["part-00000.parquet", "part-00002.parquet"]
    assert read_manifest(out).feedback == feedback(second).stamp
    scratch = tmp_path / "scratch"
    again = partial(compress_shards, COMPRESSOR, first / "corpus.parquet", rows_per_shard=20)
    again(scratch, feedback=feedback(second))
    np.testing.assert_allclose(read(out), read(scratch), atol=1e-6)
    resumed = again(out, feedback=feedback(second), resume=True)
    assert (resumed.reused, resumed.moved) == (3, 1)


def test_a_killed_run_is_finished_by_the_same_command(first: Path, later: Path, tmp_path: Path) -> None:
    write_groups(first)
    out = tmp_path / "out"
    compress_shards(COMPRESSOR, first / "corpus.parquet", out, rows_per_shard=20, feedback=feedback(first))
    # What a run leaves that is killed after the first shard.
    shutil.copytree(out, tmp_path / "done")
    before = read_manifest(out)
    update_output(COMPRESSOR, feedback(later), later, tmp_path / "done")
    shutil.copy(tmp_path / "done" / "part-00000.parquet", out)
    pending = FeedbackStamp(fingerprint=None, weight=2, judged=("d10", "d20", "d3", "d57", "elsewhere"))
    write_record(out / MANIFEST_FILE, before.model_copy(update={"feedback": pending}))
    with pytest.raises(ConfigError, match="`smec feedback` has not finished here; run it again first"):
        compress_shards(
            COMPRESSOR,
            first / "corpus.parquet",
            out,
            rows_per_shard=20,
            feedback=feedback(later),
            resume=True,
        )
    update_output(COMPRESSOR, feedback(later), later, out)
    wanted = COMPRESSOR.encode(corpus(), 8, ids=IDS, feedback=feedback(later))
    np.testing.assert_allclose(read(out), wanted, atol=1e-6)
    manifest = read_manifest(out).feedback
    assert manifest is not None and manifest.fingerprint == feedback(later).fingerprint


def test_documents_that_the_corpus_lacks_stay_and_are_remembered(
    first: Path, later: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    compress(COMPRESSOR, first / "corpus.parquet", output, feedback=feedback(first))
    before = read(output)
    rows = [row for row in range(ROWS) if row not in (3, 20)]
    write_table(later / "corpus.parquet", [IDS[row] for row in rows], corpus()[rows])
    done = update_output(COMPRESSOR, feedback(later), later, output)
    assert (done.judged, done.lacking, done.moved, done.restored) == (2, 1, 1, 1)
    assert read(output)[3].tobytes() == before[3].tobytes()
    assert note(output)["judged"] == ["d10", "d20", "d3"]
    write_table(later / "corpus.parquet", IDS, corpus())
    assert update_output(COMPRESSOR, feedback(later), later, output).restored == 1
    wanted = COMPRESSOR.encode(corpus(), 8, ids=IDS, feedback=feedback(later))
    np.testing.assert_allclose(read(output), wanted, atol=1e-6)


def test_outputs_of_others_are_refused(first: Path, tmp_path: Path) -> None:
    def update(output: Path, by: Compressor | None = None) -> None:
        update_output(by or COMPRESSOR, feedback(first), first, output)

    with pytest.raises(OutputError, match="no such output"):
        update(tmp_path / "nothing.parquet")
    with pytest.raises(OutputError, match="was not written by `smec compress`"):
        update(first / "corpus.parquet")
    notes = tmp_path / "notes.npy"
    compress(COMPRESSOR, first / "corpus.parquet", notes, feedback=feedback(first))
    for note_, said in (
        ("{", "cannot be read as a note"),
        ("{}", "does not name compressor"),
        ("[]", "note"),
    ):
        (tmp_path / "notes.smec.json").write_text(note_)
        with pytest.raises(DataError, match=said):
            update(notes)
    with pytest.raises(OutputError, match=r"holds no _manifest\.json"):
        update(first)
    compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "out.npy")
    with pytest.raises(OutputError, match="compress it again with that"):
        update(tmp_path / "out.npy")
    compress(COMPRESSOR, first / "corpus.parquet", tmp_path / "out.parquet")
    other = small_compressor.compressor()
    other.tensors["block.0"] = other.tensors["block.0"] * 2
    with pytest.raises(OutputError, match="was made by another compressor"):
        update(tmp_path / "out.parquet", other)
    compress_shards(COMPRESSOR, first / "corpus.parquet", tmp_path / "out")
    with pytest.raises(OutputError, match="is a shard of"):
        update(tmp_path / "out" / "part-00000.parquet")


def test_a_damaged_shard_is_not_taken_over(first: Path, tmp_path: Path) -> None:
    compress_shards(COMPRESSOR, first / "corpus.parquet", tmp_path / "out")
    shard = tmp_path / "out" / "part-00000.parquet"
    bytes_ = bytearray(shard.read_bytes())
    bytes_[bytes_.index(read(shard)[5].tobytes())] ^= 1
    shard.write_bytes(bytes_)
    with pytest.raises(DataError, match="is damaged; make it again with `smec compress --resume`"):
        update_output(COMPRESSOR, feedback(first), first, tmp_path / "out")


def test_the_commands(first: Path, later: Path, tmp_path: Path) -> None:
    COMPRESSOR.save(tmp_path / "model")

    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(map(str, arguments)))
        return result.exit_code, result.stdout + result.stderr

    output = tmp_path / "out.parquet"
    command = ("compress", tmp_path / "model", first / "corpus.parquet", "-o", output, "--feedback", first)
    code, said = run(*command)
    assert code == 2 and "pass --feedback-weight (0.5, 1 or 2)" in said
    code, said = run(*command, "--feedback-weight", 2)
    assert code == 0
    assert said.endswith("feedback: 3 of 4 judged documents were in the input and have moved\n")
    code, said = run("feedback", tmp_path / "model", later, output, "--feedback-weight", 2)
    assert (code, said) == (
        0,
        f"{output}: 2 of 2 judged documents were in it and have moved\n"
        "2 documents that nobody judges any more are back where they were\n",
    )
    code, said = run("feedback", tmp_path / "model", first, output, "--feedback-weight", 2, "--json")
    assert json.loads(said) == {
        "output": str(output),
        "judged": len({doc for judged in QRELS.values() for doc, grade in judged.items() if grade}),
        "moved": 3,
        "lacking": 0,
        "restored": 1,
    }
    code, said = run("compress", tmp_path / "model", first, "-o", tmp_path / "x", "--feedback-weight", 1)
    assert code == 2 and "--feedback-weight is for --feedback" in said
