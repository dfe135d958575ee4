"""The clients that applications have, unchanged, before MiniLM behind the proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from integrations.server.encoders import embedded_by_minilm, encoder_upstream, minilm
from server.proxies import NAME, compressor, expected, proxy
from server.recorded_upstream import recorded_upstream
from server.recorded_upstream import texts as recorded_texts
from smec.canaries import with_canary_texts
from smec.demo import demo_dataset
from smec.vectors import Float32Array

TEXTS = ["How is asthma treated ?", "What causes hay fever ?", "An entirely different sentence."]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("real") / "model"
    with_canary_texts(compressor(), demo_dataset(), queries=True).save(folder)
    with encoder_upstream(embedded_by_minilm) as upstream, proxy(upstream, folder) as (address, service):
        while service.models.named(NAME).watch.refusal() is not None:
            pass
        # The recorded embeddings of smec's sample are this encoder's: its canaries say so.
        drift = service.metrics.registry.get_sample_value("smec_drift_cosine", {"model": NAME})
        assert drift is not None and drift > 0.9995
        yield address


def small(texts: list[str], dim: int = 96) -> Float32Array:
    return compressor().encode(embedded_by_minilm(texts), dim)


@pytest.mark.parametrize("dim", [96, 48])
def test_the_openai_client(url: str, dim: int) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        answer = client.embeddings.create(model=NAME, input=TEXTS, dimensions=dim)
        tokens = [minilm().tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
        by_tokens = client.embeddings.create(model=NAME, input=tokens, dimensions=dim)
    np.testing.assert_allclose([e.embedding for e in answer.data], small(TEXTS, dim), atol=1e-5)
    decoded = [minilm().tokenizer.decode(ids) for ids in tokens]
    np.testing.assert_allclose([e.embedding for e in by_tokens.data], small(decoded, dim), atol=1e-5)


def test_the_asynchronous_openai_client(url: str) -> None:
    import asyncio

    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            calls = [client.embeddings.create(model=NAME, input=text) for text in TEXTS]
            return [answer.data[0].embedding for answer in await asyncio.gather(*calls)]

    np.testing.assert_allclose(asyncio.run(ask()), small(TEXTS), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_langchain(url: str) -> None:
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        model=NAME, base_url=f"{url}/v1", api_key="none", dimensions=48, check_embedding_ctx_length=False
    )
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), small(TEXTS, 48), atol=1e-5)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[0]), small(TEXTS[:1], 48)[0], atol=1e-5)


@contextmanager
def bytes_as_tokens() -> Iterator[None]:
    """tiktoken with a table of the 256 bytes, as its own come from the network."""
    import tiktoken
    from tiktoken.registry import ENCODINGS

    usual = dict(ENCODINGS)
    ranks = {bytes([byte]): byte for byte in range(256)}
    made = tiktoken.Encoding("cl100k_base", pat_str=r"(?s).", mergeable_ranks=ranks, special_tokens={})
    ENCODINGS["cl100k_base"] = made
    yield
    ENCODINGS.clear()
    ENCODINGS.update(usual)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_langchain_as_it_is_by_default_with_token_lists(tmp_path: Path) -> None:
    from langchain_openai import OpenAIEmbeddings

    asked = recorded_texts()[:5]
    with recorded_upstream() as upstream, proxy(upstream, tmp_path / "model") as (url, _), bytes_as_tokens():
        embeddings = OpenAIEmbeddings(model=NAME, base_url=f"{url}/v1", api_key="none", dimensions=48)
        np.testing.assert_allclose(embeddings.embed_documents(asked), expected(asked, 48), atol=1e-5)
    assert isinstance(upstream.asked[0]["input"][0], list)


@pytest.mark.filterwarnings("ignore")
def test_mtebs_model_for_openai(url: str) -> None:
    from mteb.models.model_implementations.openai_models import OpenAIModel

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client, bytes_as_tokens():
        model = OpenAIModel(NAME, max_tokens=8000, embed_dim=48, client=client)
        np.testing.assert_allclose(encoded_by(model), small(TEXTS, 48), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_mtebs_wrapper_for_compatible_apis(url: str) -> None:
    from mteb.models import OpenAIAPIEncodeWrapper

    # As mteb says of all servers but vLLM: without the chat template.
    model = OpenAIAPIEncodeWrapper(
        endpoint_url=url, model_name=NAME, api_key="none", modalities=["text"], use_chat_template=False
    )
    np.testing.assert_allclose(encoded_by(model), small(TEXTS), atol=1e-5)


def encoded_by(model: Any) -> Any:
    import mteb
    from torch.utils.data import DataLoader

    rows: Any = [{"text": text} for text in TEXTS]
    metadata = mteb.get_task("STS12").metadata
    loader = DataLoader(rows, batch_size=2)
    return np.asarray(model.encode(loader, task_metadata=metadata, hf_split="test", hf_subset="default"))
