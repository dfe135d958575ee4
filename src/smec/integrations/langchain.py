"""LangChain: ``Embeddings`` that are compressed as they come."""

from __future__ import annotations

from pathlib import Path

from smec.compressor import Compressor
from smec.encoder import served
from smec.errors import MissingExtraError
from smec.integrations.inputs import as_table, loaded

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise MissingExtraError("langchain-core", "langchain", "smec.integrations.langchain") from error


class CompressedEmbeddings(Embeddings):
    """Any LangChain ``Embeddings`` followed by a compressor, to give to any vector store.

    Parameters
    ----------
    embeddings : langchain_core.embeddings.Embeddings
        Of the model that the compressor was trained for.
    compressor : Compressor, str or Path
        One, or the folder of one.
    dim : int, optional
        A served size; the largest by default.

    Raises
    ------
    ArtefactError
        The folder is not that of a compressor.
    ConfigError
        The size is not served.

    Notes
    -----
    All methods raise DataError where the embeddings are of another width than the compressor is for,
    or have NaN, Inf or only zeros.
    """

    def __init__(
        self, embeddings: Embeddings, compressor: Compressor | str | Path, dim: int | None = None
    ) -> None:
        self.embeddings = embeddings
        self.compressor = loaded(compressor)
        self.dim = served(dim, self.compressor.dims, self.compressor.name)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed and compress documents to unit vectors of ``dim`` numbers."""
        return self._documents(self.embeddings.embed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """Embed and compress a query."""
        return self._query(self.embeddings.embed_query(text))

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, embedding as the wrapped ``Embeddings`` does it asynchronously."""
        return self._documents(await self.embeddings.aembed_documents(texts))

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, embedding as the wrapped ``Embeddings`` does it asynchronously."""
        return self._query(await self.embeddings.aembed_query(text))

    def _documents(self, vectors: list[list[float]]) -> list[list[float]]:
        if not vectors:
            return []
        small: list[list[float]] = self.compressor.encode(as_table(vectors), self.dim).tolist()
        return small

    def _query(self, vector: list[float]) -> list[float]:
        small: list[float] = self.compressor.encode_queries(as_table(vector), self.dim).tolist()
        return small
