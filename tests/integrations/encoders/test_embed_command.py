"""``smec embed``: from texts to a dataset folder, also when it is killed or the encoder misbehaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from sentence_transformers import SentenceTransformer
from typer.testing import CliRunner, Result

from integrations.encoders.embedding_server import EmbeddingServer
from smec.cli.embed import embed
from smec.cli.main import app
from smec.data import Dataset
from smec.embedding import open_encoder
from smec.errors import ConfigError

PROGRAM = "from smec.cli.main import main; main()"
TEXTS, BATCH = 52, 8
REQUESTS = 5 + 2
"""40 documents and 12 queries, 8 at once."""


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["embed", *map(str, words)])


def arguments(texts: Path, server: EmbeddingServer) -> list[object]:
    output = texts.parent / "dataset"
    return ["minilm", texts, "-o", output, "--endpoint", server.url, "--batch-size", BATCH, "--yes"]


def test_an_endpoint_makes_a_dataset_folder(
    texts: Path, server: EmbeddingServer, model: SentenceTransformer
) -> None:
    result = run(*arguments(texts, server), "--price-per-million-tokens", "0.02")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{TEXTS} texts; to embed: ")
    assert f"{REQUESTS} requests, about 0.00" in result.stdout
    assert f"saved: {texts.parent / 'dataset'} ({TEXTS} texts, 384 dims, " in result.stdout
    assert len(server.requests) == REQUESTS
    made = Dataset.open(texts.parent / "dataset")
    lines = (texts / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert made.corpus.ids == [record["_id"] for record in records]
    assert made.corpus.texts == [record["text"] for record in records]
    expected = model.encode([record["text"] for record in records])
    np.testing.assert_allclose(made.corpus.vectors, expected, atol=1e-5)
    assert len(made.judged("test")) == 12
    assert sorted(path.name for path in texts.parent.iterdir()) == ["dataset", "texts"]


def test_a_local_model_makes_the_demos_vectors(texts: Path, model_folder: str, dataset: Dataset) -> None:
    result = run(model_folder, texts, "-o", texts.parent / "dataset")
    assert result.exit_code == 0, result.output
    made = Dataset.open(texts.parent / "dataset")
    assert made.queries is not None and dataset.queries is not None
    rows = [dataset.queries.rows[id_] for id_ in made.queries.ids]
    alike = np.einsum("ij,ij->i", made.queries.vectors, dataset.queries.vectors[rows].astype(np.float32))
    assert alike.min() > 0.99  # the demo's are float16, of the same model
    note = pq.read_schema(texts.parent / "dataset" / "corpus.parquet").metadata[b"smec.encoder"]
    assert "sentence-transformers" in json.loads(note)


def test_prompts_of_queries_and_documents(model_folder: str, model: SentenceTransformer) -> None:
    encoder = open_encoder("sentence-transformers", model_folder, prompts={"query": "query: "}, dimensions=96)
    np.testing.assert_allclose(
        encoder.embed(["gout"], "query"), model.encode(["query: gout"], truncate_dim=96), atol=1e-5
    )
    np.testing.assert_allclose(
        encoder.embed(["gout"], "document"), model.encode(["gout"], truncate_dim=96), atol=1e-5
    )


def test_killed_and_run_again_it_embeds_nothing_twice(texts: Path, server: EmbeddingServer) -> None:
    words = [*map(str, arguments(texts, server)), "--concurrency", "1"]
    server.faults += ["", "", "", "hang"]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "embed", *words]) as process:
        assert server.hanging.wait(120)
        os.kill(process.pid, signal.SIGKILL)
    assert not (texts.parent / "dataset").exists()
    assert len(server.answered) == 3 * BATCH
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert f"{TEXTS} texts, {3 * BATCH} of them in the cache" in result.stdout
    assert len(server.answered) == len(set(server.answered)) == TEXTS
    assert len(server.requests) == REQUESTS + 1  # the one that hung


def test_what_others_brought_is_kept_when_one_fails(texts: Path, server: EmbeddingServer) -> None:
    server.faults += ["", "400"]
    assert run(*arguments(texts, server)).exit_code == 2
    kept = len(server.answered)
    assert kept >= BATCH
    assert f"{kept} of them in the cache" in run(*arguments(texts, server)).stdout
    assert len(server.answered) == TEXTS


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("fewer", "the reply has 7 vectors for 8 texts; the batch: {corpus}, lines 9 to 16 (ids '"),
        ("narrow", "{corpus}: line 9 (id '"),
        ("NaN", "{corpus}: line 16 (id '"),
    ],
)
def test_unusable_replies_are_refused_with_their_place(
    texts: Path, server: EmbeddingServer, fault: str, said: str
) -> None:
    server.base64 = False
    server.faults += ["", fault]
    result = run(*arguments(texts, server), "--concurrency", "1")
    assert result.exit_code == 2
    assert said.format(corpus=texts / "corpus.jsonl") in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (texts.parent / "dataset").exists()
    assert run(*arguments(texts, server)).exit_code == 0


def test_a_cache_of_ones_own_serves_other_runs(texts: Path, server: EmbeddingServer) -> None:
    words = [*arguments(texts, server), "--cache", texts.parent / "cache"]
    assert run(*words).exit_code == 0
    again = run(*words, "--force")
    assert "to embed: 0 characters" in again.stdout
    assert len(server.requests) == REQUESTS
    assert run(*words, "--force", "--query-prompt", "query: ").exit_code == 0
    assert server.requests[-1]["input"][0].startswith("query: ")
    assert len(server.requests) == REQUESTS + 2


def test_another_model_in_the_same_folder_is_not_taken_for_the_first(
    texts: Path, model_folder: str, dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(model_folder, folder)
    words = [folder, texts, "-o", tmp_path / "dataset", "--cache", tmp_path / "cache", "--force"]
    assert run(*words).exit_code == 0
    assert "52 of them in the cache" in run(*words).stdout
    pooling = folder / "1_Pooling" / "config.json"
    modes = json.loads(pooling.read_text())
    pooling.write_text(
        json.dumps({**modes, "pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True})
    )
    assert "in the cache" not in run(*words).stdout
    made = Dataset.open(tmp_path / "dataset")
    expected = SentenceTransformer(str(folder), device="cpu").encode(list(made.corpus.texts or ()))
    np.testing.assert_allclose(made.corpus.vectors, expected, atol=1e-5)


def test_an_endpoint_that_does_not_know_dimensions(texts: Path, server: EmbeddingServer) -> None:
    server.faults += ["all dimensions"]
    result = run(*arguments(texts, server), "--dimensions", 64, "--concurrency", 1)
    assert result.exit_code == 2
    assert "asked for 64 dims, the encoder answers with 384" in result.stderr


def test_a_cache_with_two_widths(texts: Path, server: EmbeddingServer) -> None:
    """As when the model behind an endpoint is replaced by a wider one."""
    words = [*arguments(texts, server), "--cache", texts.parent / "cache"]
    assert run(*words).exit_code == 0
    with sqlite3.connect(texts.parent / "cache" / "vectors.sqlite") as cache:
        cache.execute(
            "UPDATE vectors SET vector = substr(vector, 1, 64) WHERE key IN (SELECT key FROM vectors LIMIT 3)"
        )
    cache.close()
    result = run(*words, "--force")
    assert result.exit_code == 2
    assert "use another --cache" in result.stderr


def test_repeated_texts_are_counted_and_embedded_once(texts: Path, server: EmbeddingServer) -> None:
    lines = [json.dumps({"_id": f"d{row}", "text": "gout"}) for row in range(100)]
    (texts / "corpus.jsonl").write_text("\n".join(lines))
    (texts / "queries.jsonl").unlink()
    shutil.rmtree(texts / "qrels")
    result = run(*arguments(texts, server))
    assert (
        "100 texts; to embed: 4 characters, about 1 tokens (4 bytes of UTF-8 each), 1 requests"
        in result.stdout
    )
    assert result.exit_code == 0 and server.answered == ["gout"]


def test_what_is_not_its_own_stays(texts: Path, server: EmbeddingServer) -> None:
    words = arguments(texts, server)
    other = texts.parent / "dataset.embedding"
    other.mkdir()
    (other / "precious.txt").write_text("mine")
    result = run(*words)
    assert result.exit_code == 2 and "is no cache of vectors" in result.stderr
    assert [path.name for path in other.iterdir()] == ["precious.txt"]
    for places in (
        ["-o", texts],
        ["-o", texts.parent],
        ["-o", texts.parent / "new", "--cache", texts.parent / "new" / "c"],
    ):
        refused = run("minilm", texts, "--endpoint", server.url, "--yes", "--force", *places)
        assert refused.exit_code == 2 and "name another output" in refused.stderr
    assert run("minilm", texts, "-o", ".", "--endpoint", server.url, "--dry-run").exit_code == 2
    assert (texts / "corpus.jsonl").exists() and server.requests == []


def test_a_dry_run_sends_and_leaves_nothing(texts: Path, server: EmbeddingServer) -> None:
    result = run(*arguments(texts, server), "--dry-run")
    assert result.exit_code == 0
    assert f"{REQUESTS} requests" in result.stdout
    assert server.requests == []
    assert [path.name for path in texts.parent.iterdir()] == ["texts"]


def test_without_yes_nothing_is_sent(texts: Path, server: EmbeddingServer) -> None:
    result = run(*[word for word in arguments(texts, server) if word != "--yes"])
    assert result.exit_code == 2
    assert "confirm with --yes" in result.stderr
    assert [path.name for path in texts.parent.iterdir()] == ["texts"]
    assert server.requests == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"_id": "d1", "text": " "}', "line 2 (id 'd1') has neither title nor text"),
        ('{"_id": "d0", "text": "again"}', "id 'd0' is on line 1 and again on line 2"),
        ('{"_id": "d1", "text": "\\ud800"}', "line 2 (id 'd1') holds half of a surrogate pair"),
        ('{"_id": "d1", "text": ', "line 2: not JSON"),
    ],
)
def test_bad_texts_are_refused_before_anything_is_sent(
    texts: Path, server: EmbeddingServer, line: str, said: str
) -> None:
    (texts / "corpus.jsonl").write_text('{"_id": "d0", "text": "gout"}\n' + line + "\n")
    result = run(*arguments(texts, server))
    assert result.exit_code == 2
    assert f"{texts / 'corpus.jsonl'}: {said}" in result.stderr
    assert server.requests == []


def test_settings_of_endpoints_need_one(texts: Path) -> None:
    command = typer.Typer()
    command.command()(embed)
    words: list[Any] = ["minilm", str(texts), "-o", str(texts.parent / "dataset"), "--concurrency", "2"]
    with pytest.raises(ConfigError, match="--concurrency is for an endpoint"):
        CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_model_that_is_not_there(texts: Path) -> None:
    result = run(texts.parent / "nothing", texts, "-o", texts.parent / "dataset")
    assert result.exit_code == 2
    assert "not a sentence-transformers model that can be loaded" in result.stderr
    assert len(result.stderr.splitlines()) == 1
