"""A small real dataset that comes with the package: questions on health and their answers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path

from smec.data import Dataset


def demo_folder() -> AbstractContextManager[Path]:
    """The dataset folder that comes with smec, as a path for the length of a ``with`` block."""
    return as_file(files("smec.demo") / "medquad")


def demo_dataset() -> Dataset:
    """Open the dataset that comes with smec.

    4,000 answers and 1,500 questions of MedQuAD as 384-dim float16 embeddings, each question
    with its one answer: 1,200 in the split "train", 300 in "test". ``ATTRIBUTION.md`` beside
    the data says where it is from.

    Returns
    -------
    Dataset
        Named "medquad".
    """
    with demo_folder() as folder:
        return Dataset.open(folder)
