"""A proxy before any OpenAI-compatible embeddings API that answers with small vectors."""
