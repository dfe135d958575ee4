"""HTTP endpoints that smec asks: one client, with a key, retries and a rate limit."""

BYTES_PER_TOKEN = 4
"""Of UTF-8, about, in the English of the usual tokenizers. Other languages take more tokens."""
