"""Whole files of embeddings made smaller, a bounded number of rows at a time."""
