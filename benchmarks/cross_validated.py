"""A training of smec, scored on train queries alone: those that its folds hold out by document."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figures
from benchmarks.methods import Method
from smec import Dataset
from smec.method.trainer import cross_validate


@dataclass(frozen=True)
class CrossValidated:
    """Settings of smec whose worth is to be told without the test split."""

    method: Method
    learned = True

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.method.name

    def specification(self) -> dict[str, Any]:
        """All that decides what it gives on given data, but for the seed."""
        return {"cross-validated": self.method.specification()}

    def figures(self, dataset: Dataset, seed: int) -> Figures:
        """Score every held-out train query by the map of a fold that did not fit it."""
        start = time.perf_counter()
        dims, scores, new = cross_validate(dataset, self.method.config(seed))
        seconds = time.perf_counter() - start
        return Figures(dims, scores, seconds, 0.0, {}, new=tuple(map(bool, new)))
