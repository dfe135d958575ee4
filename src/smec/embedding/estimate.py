"""What an embedding will take, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from smec.embedding import Role, TextEncoder
from smec.embedding.cache import VectorCache, text_key
from smec.embedding.source import TextSource

BYTES_PER_TOKEN = 4
"""Of UTF-8, about, in the English of the usual tokenizers. Other languages take more tokens."""


@dataclass(frozen=True)
class Estimate:
    """How much there is to embed.

    Parameters
    ----------
    texts : int
        In corpus and queries.
    cached : int
        Of these, texts whose vectors an earlier run has left.
    characters, tokens : int
        Of what is not cached; a token is taken to be `BYTES_PER_TOKEN` bytes of UTF-8.
    calls : int
        Of the encoder, at least.
    """

    texts: int
    cached: int
    characters: int
    tokens: int
    calls: int

    def cost(self, price_per_million_tokens: float) -> float:
        """In the currency of the price."""
        return self.tokens * price_per_million_tokens / 1e6


def estimate(source: TextSource, encoder: TextEncoder, cache: VectorCache) -> Estimate:
    """Read all texts once, check them, and count what is not in the cache.

    Raises
    ------
    DataError
        A text or its id cannot be used.
    """
    texts = cached = characters = bytes_ = calls = 0
    roles: tuple[Role, ...] = ("document", "query")
    for role in roles:
        identity, missing = encoder.identity(role), 0
        for text in source.checked(role):
            texts += 1
            if text_key(identity, text.whole) in cache:
                cached += 1
                continue
            missing += 1
            characters += len(text.whole)
            bytes_ += len(text.whole.encode())
        calls += -(-missing // encoder.texts_per_call)
    return Estimate(texts, cached, characters, -(-bytes_ // BYTES_PER_TOKEN), calls)
