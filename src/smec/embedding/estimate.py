"""What an embedding will take, before it starts."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable
from contextlib import closing
from dataclasses import dataclass

from smec.embedding import Role, TextEncoder
from smec.embedding.cache import text_key
from smec.embedding.source import Text, TextSource
from smec.endpoint import BYTES_PER_TOKEN


@dataclass(frozen=True)
class Estimate:
    """How much there is to embed.

    Parameters
    ----------
    texts : int
        In corpus and queries, with the sentences.
    cached : int
        Of these, texts whose vectors an earlier run has left.
    missing : int
        What is to be embedded: the others, each once.
    characters, tokens : int
        Of what is missing; a token is taken to be `smec.endpoint.BYTES_PER_TOKEN` bytes of UTF-8.
    calls : int
        Of the encoder, at least.
    """

    texts: int
    cached: int
    missing: int
    characters: int
    tokens: int
    calls: int

    def cost(self, price_per_million_tokens: float) -> float:
        """In the currency of the price."""
        return self.tokens * price_per_million_tokens / 1e6


def estimate(source: TextSource, encoder: TextEncoder, cache: Container[bytes]) -> Estimate:
    """Read all texts once, check them, and count what is not in the cache.

    Raises
    ------
    DataError
        A text or its id cannot be used.
    """
    texts = cached = missing = characters = bytes_ = calls = 0
    parts: tuple[tuple[Role, Iterable[Text]], ...] = (
        ("document", source.checked("document")),
        ("query", source.checked("query")),
        ("query", source.sentences),
    )
    with closing(sqlite3.connect("")) as seen:  # a private file that SQLite makes and deletes by itself
        seen.execute("CREATE TABLE keys (key BLOB PRIMARY KEY) WITHOUT ROWID")
        for role, of_part in parts:
            identity, before = encoder.identity(role), missing
            for text in of_part:
                texts += 1
                key = text_key(identity, text.whole)
                if key in cache:
                    cached += 1
                elif seen.execute("INSERT OR IGNORE INTO keys VALUES (?)", (key,)).rowcount:
                    missing += 1
                    characters += len(text.whole)
                    bytes_ += len(text.whole.encode())
            calls += -(-(missing - before) // encoder.texts_per_call)
    return Estimate(texts, cached, missing, characters, -(-bytes_ // BYTES_PER_TOKEN), calls)
