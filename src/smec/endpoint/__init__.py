"""HTTP endpoints that smec asks: one client, with a key, retries and a rate limit."""

BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 that make a token of the usual tokenizers, in English. Other languages take more tokens."""
