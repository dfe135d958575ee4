"""The server, before upstreams that answer with recorded embeddings."""
