"""The codecs that a training looks through: calibrated anew, as the vectors that they store move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec.codecs import Codec, fit_codec

ROWS = 2048
"""Documents that a calibration looks at."""


class StageCodecs:
    """The codec of every size of a stage that is stored by one.

    Parameters
    ----------
    name : str or None
        What stores the sizes; None: nothing does.
    sizes : sequence of int
    documents : Tensor of shape (n, w)
        As the stage takes them.
    seed, stage : int
        Of the documents that are looked at, and of codebooks.
    every : int
        Steps after which a calibration is made anew: a multiple of it is where a training resumes.
    """

    def __init__(
        self, name: str | None, sizes: Sequence[int], documents: Tensor, seed: int, stage: int, every: int
    ) -> None:
        self._name = name
        self._sizes = sizes
        self._documents = documents
        self._seed = seed
        self._stage = stage
        self._every = every
        self._turn = -1
        self._codecs: dict[int, Codec] = {}

    def calibrate(self, matrix: Tensor, step: int) -> None:
        """Look at documents as the matrix of shape (w, columns) makes them, where it is time."""
        turn = step // self._every
        if self._name is None or turn == self._turn:
            return
        self._turn = turn
        count = len(self._documents)
        rng = np.random.default_rng([self._seed, 17, self._stage, turn])
        rows = torch.from_numpy(rng.choice(count, min(count, ROWS), replace=False))
        with torch.no_grad():
            wide = (self._documents[rows] @ matrix).float().cpu()
            for size in self._sizes:
                vectors = functional.normalize(wide[:, :size]).numpy()
                self._codecs[size] = fit_codec(self._name, vectors, self._seed)

    @property
    def any(self) -> bool:
        """Whether any size is stored by a codec."""
        return bool(self._codecs)

    def get(self, size: int) -> Codec | None:
        """What stores this size; None where it is stored as floats."""
        return self._codecs.get(size)
