"""Training straight from a collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from integrations.databases.conftest import Url
from integrations.databases.filled import KINDS, fill
from small_compressor import corpus
from smec import Compressor, Dataset
from smec.cli.main import app
from smec.data import Embeddings
from smec.databases.training import open_corpus
from smec.errors import DataError


@pytest.mark.parametrize("kind", ["lancedb", "chroma", "qdrant", "postgresql"])
def test_a_collection_is_the_same_corpus_as_a_file(kind: str, url: Url) -> None:
    assert kind in KINDS
    rows = corpus(50)
    if kind == "qdrant":  # it stores unit vectors for cosine
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    fill(url(kind, "docs"), rows)
    opened = open_corpus(url(kind, "docs"), 20)
    assert (len(opened.corpus), opened.moments.rows) == (20, 50)
    ids = [str(n) if kind == "qdrant" else f"d{n}" for n in range(50)]
    whole = Dataset(Embeddings(ids, rows))
    np.testing.assert_allclose(opened.moments.second, whole.moments.second, rtol=1e-5)
    for id_, vector in zip(opened.corpus.ids, opened.corpus.vectors, strict=True):
        np.testing.assert_allclose(vector, rows[ids.index(id_)], atol=1e-6)


def test_training_with_and_without_judgements(url: Url, tmp_path: Path) -> None:
    fill(url("lancedb", "docs"), corpus(200))
    (tmp_path / "asked" / "qrels").mkdir(parents=True)
    np.save(tmp_path / "asked" / "queries.npy", corpus(200)[:40] + 0.1)
    (tmp_path / "asked" / "queries.ids.txt").write_text("".join(f"q{n}\n" for n in range(40)))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(40))
    (tmp_path / "asked" / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    asked = open_corpus(url("lancedb", "docs"), 50, queries=tmp_path / "asked")
    assert len(asked.corpus) == 50
    assert len(asked.judged("train")) == 40
    with pytest.raises(DataError, match=r"must hold queries\.\* and qrels/train\.tsv"):
        open_corpus(url("lancedb", "docs"), 50, queries=tmp_path / "asked" / "qrels")

    command = ["train", url("lancedb", "docs"), "-o", str(tmp_path / "model"), "--dims", "8,4"]
    refused = CliRunner().invoke(app, command)
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "--unsupervised" in refused.stderr and "--queries" in refused.stderr
    done = CliRunner().invoke(app, [*command, "--unsupervised"])
    assert done.exit_code == 0, done.output
    assert "smec migrate 'lancedb://" in done.stdout
    assert Compressor.load(tmp_path / "model").dims == (8, 4)


def test_a_log_in_shards_or_without_ids_teaches_beside_a_collection(url: Url, tmp_path: Path) -> None:
    fill(url("lancedb", "docs"), corpus(200))
    rows = corpus(200)[:40] + np.float32(0.1)
    (tmp_path / "shards").mkdir()
    for name, part in (("a", rows[:30]), ("b", rows[30:])):
        pq.write_table(pa.table({"vector": list(part)}), tmp_path / "shards" / f"{name}.parquet")
    np.save(tmp_path / "log.npy", rows)
    hashes = set()
    for log in ("shards", "log.npy"):
        words = ["train", url("lancedb", "docs"), "-o", str(tmp_path / f"of-{log}"), "--dims", "8,4"]
        done = CliRunner().invoke(app, [*words, "--unsupervised", "--queries", str(tmp_path / log)])
        assert done.exit_code == 0, done.output
        assert "found: 40 queries, 0 of them judged; 200 documents" in done.stdout
        hashes.add(Compressor.load(tmp_path / f"of-{log}").manifest.data["log"])
    assert len(hashes) == 1
