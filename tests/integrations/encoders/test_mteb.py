"""MTEB runs a compressed encoder as it runs any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import mteb
import numpy as np
import pytest
from mteb.models import CachedEmbeddingWrapper, SentenceTransformerEncoderWrapper
from mteb.results import TaskResult
from mteb.results.task_result import TaskError
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer
from torch.utils.data import DataLoader

from integrations.encoders.retrieval_task import DemoRetrieval
from smec.compressor import Compressor
from smec.data import Dataset, Embeddings
from smec.errors import ConfigError
from smec.evaluation.comparison import evaluate
from smec.integrations.mteb import CompressedEncoder, evaluate_sizes

# Of MTEB and what it calls, on its own deprecations and on scores of its tiny tasks.
pytestmark = pytest.mark.filterwarnings("default::Warning:(mteb|sklearn|scipy|numpy|datasets)")


@pytest.fixture(scope="module")
def wrapped(model: SentenceTransformer) -> SentenceTransformerEncoderWrapper:
    return SentenceTransformerEncoderWrapper(model)


@pytest.mark.timeout(900)
def test_it_passes_the_mock_run_of_mteb(
    wrapped: SentenceTransformerEncoderWrapper, compressor: Compressor
) -> None:
    run = mteb.mock_run(CompressedEncoder(wrapped, compressor, 24))
    failed = {name: one.exception for name, one in run.items() if isinstance(one, TaskError)}
    assert failed == {}
    assert run.all_passed
    assert sum(isinstance(one, TaskResult) for _, one in run.items()) >= 20


def test_its_metadata_is_that_of_small_vectors(
    wrapped: SentenceTransformerEncoderWrapper, compressor: Compressor, tmp_path: Path
) -> None:
    compressor.save(tmp_path / "model")
    meta = CompressedEncoder(wrapped, tmp_path / "model").mteb_model_meta
    assert meta.embed_dim == 96
    assert meta.name == wrapped.mteb_model_meta.name
    assert meta.experiment_kwargs == {"smec_dim": 96, "smec_compressor": compressor.fingerprint[:12]}
    assert wrapped.mteb_model_meta.embed_dim == 384
    assert wrapped.mteb_model_meta.experiment_name != meta.experiment_name
    with pytest.raises(ConfigError, match="size 7 is not served"):
        CompressedEncoder(wrapped, compressor, 7)


def test_results_by_size_are_those_of_smecs_own_evaluation(
    wrapped: SentenceTransformerEncoderWrapper, compressor: Compressor, dataset: Dataset, tmp_path: Path
) -> None:
    cached = CachedEmbeddingWrapper(wrapped, tmp_path / "vectors")
    task = DemoRetrieval(dataset)
    results = evaluate_sizes(cached, compressor, task, cache=None)
    scores = {dim: result.task_results[0].get_score() for dim, result in results.items()}
    own = evaluate(embedded(task, wrapped), [compressor])
    expected = {384: own.full["nDCG@10"]} | {one.dim: one.metrics["nDCG@10"] for one in own.results}
    assert list(scores) == [384, 96, 24]
    assert scores == pytest.approx(expected, abs=0.01)  # equal texts are in one order here, in another there
    assert len(set(scores.values())) == 3  # every size was searched for itself


def embedded(task: DemoRetrieval, wrapped: SentenceTransformerEncoderWrapper) -> Dataset:
    """The task's texts as a dataset of smec."""
    data = task.dataset["default"]["test"]
    corpus, queries = (
        Embeddings(list(table["id"]), wrapped.model.encode(list(table["text"])))
        for table in (data["corpus"], data["queries"])
    )
    return Dataset(corpus, queries, {"test": data["relevant_docs"]})


def test_queries_are_told_by_their_prompt_type(
    wrapped: SentenceTransformerEncoderWrapper, compressor: Compressor, own_queries: Compressor
) -> None:
    encoder = CompressedEncoder(wrapped, own_queries, 24)
    rows: Any = datasets.Dataset.from_dict({"text": ["gout", "asthma"]})
    task: Any = {"task_metadata": mteb.get_task("STS12").metadata, "hf_split": "test", "hf_subset": "default"}

    def encoded(model: Any, prompt_type: PromptType | None) -> Any:
        return np.asarray(model.encode(DataLoader(rows, batch_size=2), prompt_type=prompt_type, **task))

    full = encoded(wrapped, None)
    for prompt_type in (None, PromptType.document):
        np.testing.assert_allclose(encoded(encoder, prompt_type), compressor.encode(full, 24), atol=1e-5)
    asked = encoded(encoder, PromptType.query)
    np.testing.assert_allclose(asked, own_queries.encode_queries(full, 24), atol=1e-5)
    assert np.abs(asked - compressor.encode(full, 24)).max() > 0.1
    kwargs = encoder.mteb_model_meta.experiment_kwargs
    assert kwargs == {"smec_dim": 24, "smec_compressor": own_queries.query_fingerprint[:12]}
