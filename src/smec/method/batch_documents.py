"""Documents of a batch, and their cosines with what is asked, at every size of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from smec.method.prefix_cosines import prefix_cosines
from smec.method.projection import SizeProjection


class BatchDocuments(Protocol):
    """Documents that can be compared with queries and with each other."""

    def cosines(self, ask: SizeProjection, rows: Tensor, anchors: Tensor | None = None) -> list[Tensor]:
        """Cosines of queries and of some documents with all documents: a float32 tensor per size.

        Parameters
        ----------
        ask : SizeProjection
            Of the queries.
        rows : Tensor of shape (n, w)
            Queries, as the stage takes them.
        anchors : Tensor of shape (a,), optional
            Places of documents that ask too, behind the queries.
        """
        ...


@dataclass(frozen=True)
class PrefixDocuments:
    """Documents whose sizes are prefixes of one vector, which is stored as it is.

    Attributes
    ----------
    wide : Tensor of shape (m, columns)
        Of any length.
    """

    wide: Tensor

    def cosines(self, ask: SizeProjection, rows: Tensor, anchors: Tensor | None = None) -> list[Tensor]:
        """See `BatchDocuments`."""
        asked = ask.wide(rows)
        if anchors is not None:
            asked = torch.cat([asked, self.wide[anchors]])
        return prefix_cosines(asked, self.wide, ask.sizes)


@dataclass(frozen=True)
class TableDocuments:
    """Documents with a table for each size.

    Attributes
    ----------
    tables : sequence of (Tensor, Tensor)
        Unit rows of shape (m, size), as floats and as they are stored.
    """

    tables: Sequence[tuple[Tensor, Tensor]]

    def cosines(self, ask: SizeProjection, rows: Tensor, anchors: Tensor | None = None) -> list[Tensor]:
        """See `BatchDocuments`."""
        found = []
        for asked, (plain, stored) in zip(ask(rows), self.tables, strict=True):
            asking = asked if anchors is None else torch.cat([asked, plain[anchors]])
            found.append((asking @ stored.T).float())
        return found
