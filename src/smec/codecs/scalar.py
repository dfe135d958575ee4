"""int8 and int4: even steps between two stored quantiles of each dimension (faiss's scalar quantizer).

With lo and span of a dimension, a number is stored as ``floor(n * (x - lo) / span)``, clipped to 0..n, and
read back as ``lo + span * (code + .5) / n``, n being 255 or 15. Two dimensions of int4 share a byte, the even
one in its low half.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.codecs import Codes, check_codes
from smec.codecs.quantizers import faiss, fill
from smec.errors import ConfigError
from smec.vectors import Float32Array

STEPS = {"int8": 255, "int4": 15}
CLIPPED = {"int8": 0.0005, "int4": 0.005}
"""Share of a dimension's numbers that is clipped at each end: rare numbers would coarsen all steps."""


class Scalar:
    """A calibrated scalar quantizer.

    Parameters
    ----------
    name : {"int8", "int4"}
    ranges : ndarray of shape (2, dim), float32
        The lower end of each dimension, and the span to the upper one.
    """

    def __init__(self, name: str, ranges: Float32Array) -> None:
        self.name = name
        self.ranges = ranges
        self.dim = int(ranges.shape[1])
        self._quantizer = _quantizer(name, self.dim)
        fill(self._quantizer.trained, ranges, name)
        self.code_bytes = int(self._quantizer.code_size)

    def encode(self, vectors: Float32Array) -> Codes:
        """uint8 codes, shape (n, code_bytes)."""
        codes: Codes = self._quantizer.compute_codes(np.ascontiguousarray(vectors, dtype=np.float32))
        return codes

    def decode(self, codes: Codes) -> Float32Array:
        """The middle of each step, shape (n, dim)."""
        rows: Float32Array = self._quantizer.decode(np.ascontiguousarray(check_codes(codes, self)))
        return rows

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The ranges."""
        return {"ranges": self.ranges}


def code_bytes(kind: str, count: int, dim: int) -> int:
    """One byte per dimension, or half of one; ConfigError for int4 of odd dims."""
    if kind == "int4" and dim % 2:
        raise ConfigError(f"codec int4: packs two dims a byte, so it cannot store {dim} dims; use int8")
    return dim if kind == "int8" else dim // 2


def fit(kind: str, count: int, vectors: Float32Array, seed: int) -> Scalar:
    """Ranges between two quantiles of each dimension."""
    # Not faiss's own training: with several threads it does not give the same ranges every time.
    clipped = CLIPPED[kind]
    low, high = np.quantile(vectors, [clipped, 1 - clipped], axis=0)
    return Scalar(kind, np.array([low, np.maximum(high - low, 1e-9)], dtype=np.float32))


def restore(kind: str, count: int, dim: int, tensors: Mapping[str, NDArray[Any]]) -> Scalar:
    """From the ranges."""
    return Scalar(kind, tensors["ranges"])


def _quantizer(name: str, dim: int) -> Any:
    module = faiss(name).ScalarQuantizer
    return module(dim, module.QT_8bit if name == "int8" else module.QT_4bit)
