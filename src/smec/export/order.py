"""What one export holds: a size of a compressor, how it is stored, and what goes with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from smec import __version__
from smec.compressor import Compressor
from smec.errors import ConfigError
from smec.export import InputType
from smec.vectors import Float32Array


@dataclass(frozen=True)
class Order:
    """One size of a compressor, for other software.

    Parameters
    ----------
    compressor : Compressor
    dim : int
        A served size.
    codec : str
        One that the compressor has for the size.
    encoder : str, optional
        Folder or name of the embedding model, for the target that holds one.
    input_type : {"float32", "float16"}
        Of the embeddings that go in, for the target that has to fix it.
    queries : bool
        The export is of what makes queries, where they have a matrix of their own.
    """

    compressor: Compressor
    dim: int
    codec: str = "float32"
    encoder: str | None = None
    input_type: InputType = "float32"
    queries: bool = False

    @property
    def own_queries(self) -> bool:
        """Whether queries have a matrix of their own at this size."""
        return self.dim in self.compressor.own_queries

    @property
    def for_queries(self) -> Order:
        """The same, of what makes queries."""
        return replace(self, queries=True)

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings that go in."""
        return self.compressor.input_dim

    @property
    def matrix(self) -> Float32Array:
        """The projection, shape (D, dim)."""
        matrix, _ = self.compressor.block(self.dim).leading(self.dim, queries=self.queries)
        return np.ascontiguousarray(matrix, dtype=np.float32)

    @property
    def bias(self) -> Float32Array | None:
        """Vector that is added to the projection of a unit-length input, shape (dim,), if there is one."""
        _, bias = self.compressor.block(self.dim).leading(self.dim)
        return None if bias is None else np.ascontiguousarray(bias, dtype=np.float32)

    @property
    def prefixes(self) -> tuple[int, ...]:
        """Served sizes that the first numbers of ``dim`` are, ``dim`` among them, descending."""
        return tuple(dim for dim in self.compressor.block(self.dim).dims if dim <= self.dim)

    @property
    def separate(self) -> tuple[int, ...]:
        """Served sizes below ``dim`` that come from a matrix of their own."""
        return tuple(d for d in self.compressor.dims if d < self.dim and d not in self.prefixes)

    def stamp(self) -> dict[str, str]:
        """Where it comes from, to be kept in the export."""
        manifest = self.compressor.manifest
        side = {
            "side": "queries" if self.queries else "documents",
            "smec_query_fingerprint": self.compressor.query_fingerprint,
        }
        return {
            "smec_version": __version__,
            "smec_fingerprint": self.compressor.fingerprint,
            "source_model": manifest.source_model or "",
            "input_dim": str(self.input_dim),
            "dim": str(self.dim),
            "codec": self.codec,
            "prefixes": ",".join(map(str, self.prefixes)),
            **(side if self.own_queries else {}),
        }

    def in_words(self) -> list[str]:
        """What it makes, and which prefixes of that are sizes of their own."""
        source = self.compressor.manifest.source_model
        what = f"embeddings of {source}" if source else "embeddings"
        lines = [f"{what}, {self.input_dim} dims -> {self.dim} dims of unit length, stored as {self.codec}"]
        if self.own_queries:
            other = "documents" if self.queries else "queries"
            lines.append(f"{'queries' if self.queries else 'documents'} only: {other} have another matrix")
        if self.codec == "float32" and len(self.prefixes) > 1:
            sizes = _listed(self.prefixes[1:])
            lines.append(f"the first {sizes} numbers, brought to unit length again, are these sizes")
        if self.separate:
            named = (f"{dim} ({self.compressor.block(dim).method})" for dim in self.separate)
            lines.append(
                f"no prefix is the size {_listed(tuple(named))}, which has a matrix of its own: "
                "do not truncate to it, export it with --dim"
            )
        return lines

    def as_list(self) -> str:
        """`in_words` as a Markdown list."""
        return "\n".join(f"- {line}" for line in self.in_words())


def refuse_codec(order: Order, target: str, known: str) -> ConfigError:
    """The error for a code that a target cannot make."""
    return ConfigError(f"export to {target}: cannot make the codes of {order.codec}; use {known}")


def _listed(values: tuple[object, ...]) -> str:
    *rest, last = map(str, values)
    return f"{', '.join(rest)} or {last}" if rest else last
