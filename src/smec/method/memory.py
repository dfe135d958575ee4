"""S-XBM, the selectable cross-batch memory (paper, section 3.4).

A FIFO queue of original embeddings. The encoder is frozen, so they never drift and the queue
holds their rows in the pool instead of copies of them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from smec.config import MemoryConfig
from smec.evaluation.neighbours import DUPLICATE
from smec.training.pool import Pool
from smec.vectors import IntArray


class CrossBatchMemory:
    """The queue and the choice of neighbours.

    Parameters
    ----------
    pool : Pool
        Its documents fill the queue at the start, so that no step sees an empty one.
    config : MemoryConfig
        Its ``size``, ``neighbours`` and ``sampling``.
    seed, stage : int
    """

    def __init__(self, pool: Pool, config: MemoryConfig, seed: int, stage: int) -> None:
        self._pool = pool
        self._config = config
        self._key = [seed, 2, stage]
        usable = np.setdiff1d(np.arange(len(pool.rows)), pool.held_out_rows, assume_unique=True)
        rng = np.random.default_rng(self._key)
        count = min(config.size, len(usable))
        self.rows = torch.from_numpy(rng.choice(usable, size=count, replace=False))
        """Tensor of int64, the oldest entry first: the memory's whole state."""

    def push(self, rows: IntArray) -> None:
        """Append pool rows; the oldest leave."""
        self.rows = torch.cat([self.rows, torch.from_numpy(rows)])[-len(self.rows) :]

    def neighbours(
        self, anchors: Tensor, step: int, mine: slice | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Entries to align with some of the anchors.

        Parameters
        ----------
        anchors : Tensor of shape (a, D)
            Original embeddings, unit rows.
        step : int
            Seeds the random choice.
        mine : slice, optional
            Which anchors are looked at; all by default.

        Returns
        -------
        teacher : Tensor of shape (anchors looked at, k)
            Cosines of the originals.
        rows : Tensor of shape (u,), int64
            The distinct pool rows among all neighbours.
        places : Tensor of the shape of ``teacher``, int64
            Where in ``rows`` each neighbour stands.
        """
        mine = mine or slice(None)
        queue = torch.unique(self.rows).to(anchors.device)
        # In bf16 near neighbours would count as duplicates.
        with torch.autocast(anchors.device.type, enabled=False):
            cosines = anchors[mine] @ self._pool.documents[queue].T
        count = min(self._config.neighbours, len(queue))
        if self._config.sampling == "random":
            generator = torch.Generator().manual_seed(
                int(np.random.default_rng([*self._key, step]).integers(2**62))
            )
            preference = torch.rand((len(anchors), len(queue)), generator=generator)[mine]
            chosen = preference.to(anchors.device).topk(count).indices
        else:
            chosen = cosines.masked_fill(cosines > DUPLICATE, -1.0).topk(count).indices
        rows, places = torch.unique(queue[chosen], return_inverse=True)
        return cosines.gather(1, chosen), rows, places
