"""LangChain and LlamaIndex: compressed vectors in their own stores find what the full ones find."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from smec.compressor import Compressor
from smec.data import Dataset
from smec.errors import ConfigError, DataError
from smec.integrations.langchain import CompressedEmbeddings
from smec.integrations.llama_index import CompressedEmbedding

ROWS = 60


@pytest.fixture(scope="module")
def pairs(dataset: Dataset) -> list[tuple[str, str]]:
    """Questions of the demo, each with its answer, no answer twice."""
    judged = dataset.judged("test")
    assert dataset.queries is not None and dataset.queries.texts is not None
    assert dataset.corpus.texts is not None
    found: dict[str, str] = {}
    for query in judged.ids[:ROWS]:
        answer = dataset.corpus.texts[dataset.corpus.row(next(iter(judged.qrels[query])))]
        found[answer] = dataset.queries.texts[dataset.queries.row(query)]
    return [(question, answer) for answer, question in found.items()]


@pytest.fixture(scope="module")
def langchain(model_folder: str) -> Embeddings:
    return HuggingFaceEmbeddings(model_name=model_folder, model_kwargs={"device": "cpu"})


@pytest.fixture(scope="module")
def llama_index(model_folder: str) -> BaseEmbedding:
    return HuggingFaceEmbedding(model_folder, device="cpu")


def test_langchain_store(
    langchain: Embeddings, compressor: Compressor, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    compressor.save(tmp_path / "model")
    embeddings = CompressedEmbeddings(langchain, tmp_path / "model", dim=96)
    store = InMemoryVectorStore(embeddings)
    store.add_texts([answer for _, answer in pairs])
    assert {len(entry["vector"]) for entry in store.store.values()} == {96}
    found = [store.similarity_search(question, k=1)[0].page_content for question, _ in pairs]
    assert np.mean([text == answer for text, (_, answer) in zip(found, pairs, strict=True)]) > 0.7

    async def search() -> list[str]:
        apart = InMemoryVectorStore(embeddings)
        await apart.aadd_texts([answer for _, answer in pairs])
        return [(await apart.asimilarity_search(q, k=1))[0].page_content for q, _ in pairs[:5]]

    assert asyncio.run(search()) == found[:5]


def test_langchain_vectors_are_the_compressors(langchain: Embeddings, compressor: Compressor) -> None:
    small = CompressedEmbeddings(langchain, compressor)
    expected = compressor.encode(np.asarray(langchain.embed_documents(["gout"])), 96)
    np.testing.assert_allclose(small.embed_documents(["gout"]), expected, atol=1e-6)
    np.testing.assert_allclose(small.embed_query("gout"), expected[0], atol=1e-6)
    assert small.embed_documents([]) == []
    with pytest.raises(ConfigError, match="size 7 is not served"):
        CompressedEmbeddings(langchain, compressor, 7)
    with pytest.raises(DataError, match="vectors have 96 dims, but 384 are expected"):
        CompressedEmbeddings(small, compressor).embed_query("gout")

    class Ragged(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[0.1] * 384, [0.1] * 383]

        def embed_query(self, text: str) -> list[float]:
            return [0.1]

    with pytest.raises(DataError, match="not all of one width"):
        CompressedEmbeddings(Ragged(), compressor).embed_documents(["a", "b"])


def test_llama_index_store(
    llama_index: BaseEmbedding, compressor: Compressor, pairs: list[tuple[str, str]]
) -> None:
    embedding = CompressedEmbedding(llama_index, compressor, dim=96)
    nodes = [TextNode(text=answer) for _, answer in pairs]
    retriever = VectorStoreIndex(nodes, embed_model=embedding).as_retriever(similarity_top_k=1)
    found = [retriever.retrieve(question)[0].text for question, _ in pairs]
    assert np.mean([text == answer for text, (_, answer) in zip(found, pairs, strict=True)]) > 0.7

    async def search() -> list[str]:
        return [(await retriever.aretrieve(question))[0].text for question, _ in pairs[:5]]

    assert asyncio.run(search()) == found[:5]


def test_llama_index_keeps_the_sizes_apart_in_its_cache(
    llama_index: BaseEmbedding, compressor: Compressor
) -> None:
    cache = IngestionCache()
    widths = []
    for dim in (96, 24):
        embedding = CompressedEmbedding(llama_index, compressor, dim=dim)
        pipeline = IngestionPipeline(transformations=[embedding], cache=cache)
        (node,) = pipeline.run(nodes=[TextNode(text="gout", id_="n")])
        widths.append(len(node.embedding))
    assert widths == [96, 24]


def test_llama_index_vectors_are_the_compressors(llama_index: BaseEmbedding, compressor: Compressor) -> None:
    small = CompressedEmbedding(llama_index, compressor, dim=24)
    expected = compressor.encode(np.asarray(llama_index.get_text_embedding("gout"))[None], 24)[0]

    async def asked() -> list[list[float]]:
        batch = await small.aget_text_embedding_batch(["gout"])
        return [await small.aget_text_embedding("gout"), await small.aget_query_embedding("gout"), *batch]

    vectors = [small.get_text_embedding("gout"), small.get_query_embedding("gout"), *asyncio.run(asked())]
    vectors += small.get_text_embedding_batch(["gout"])
    np.testing.assert_allclose(vectors, [expected] * len(vectors), atol=1e-6)
    assert (small.dim, small.model_name) == (24, llama_index.model_name)
    known = small.to_dict()
    assert (known["smec_dim"], known["smec_compressor"]) == (24, compressor.fingerprint)
    with pytest.raises(DataError, match="vectors have 24 dims, but 384 are expected"):
        CompressedEmbedding(small, compressor).get_query_embedding("gout")


def test_langchain_embeds_queries_and_documents_by_their_own_matrices(
    langchain: Embeddings, own_queries: Compressor, compressor: Compressor
) -> None:
    small = CompressedEmbeddings(langchain, own_queries, 24)
    full = np.asarray(langchain.embed_documents(["gout"]))
    stored, asked = compressor.encode(full, 24), own_queries.encode_queries(full, 24)[0]
    assert np.abs(stored[0] - asked).max() > 0.1
    np.testing.assert_allclose(small.embed_documents(["gout"]), stored, atol=1e-6)
    np.testing.assert_allclose(small.embed_query("gout"), asked, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(small.aembed_documents(["gout"])), stored, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(small.aembed_query("gout")), asked, atol=1e-6)


def test_llama_index_embeds_queries_and_documents_by_their_own_matrices(
    llama_index: BaseEmbedding, own_queries: Compressor, compressor: Compressor
) -> None:
    small = CompressedEmbedding(llama_index, own_queries, dim=24)
    full = np.asarray(llama_index.get_text_embedding("gout"))
    stored, asked = compressor.encode(full, 24), own_queries.encode_queries(full, 24)
    np.testing.assert_allclose(small.get_text_embedding("gout"), stored, atol=1e-6)
    np.testing.assert_allclose(small.get_text_embedding_batch(["gout"]), [stored], atol=1e-6)
    np.testing.assert_allclose(small.get_query_embedding("gout"), asked, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(small.aget_query_embedding("gout")), asked, atol=1e-6)
    before = CompressedEmbedding(llama_index, compressor, dim=24)
    assert small.to_dict() == before.to_dict()  # documents that are stored or cached stay valid
