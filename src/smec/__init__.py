"""smec: make the embeddings you already have 8-32x smaller, and retrieve as well or better."""

__version__ = "0.1.0"
