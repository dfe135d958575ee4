"""What a run of the benchmark covers: the whole of it, or the quick form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Datasets and seeds of a run.

    Attributes
    ----------
    datasets : tuple of str
        Reference datasets, by folder name.
    seeds : tuple of int
        Of whatever is learned.
    quick : bool
        The main table alone, on the sample that smec carries.
    """

    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    quick: bool = False


WHOLE = Plan(("scifact-mpnet", "cranfield-mpnet", "medquad-minilm", "grocery-effnet"), (0, 1, 2, 3, 4))
QUICK = Plan(("medquad",), (0,), quick=True)
MULTIMODAL = "grocery-multimodal"
"""Made by ``multimodal_data.py``."""
