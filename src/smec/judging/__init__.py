"""Judgements of unjudged queries, by a reranker or a language model behind an HTTP endpoint."""
