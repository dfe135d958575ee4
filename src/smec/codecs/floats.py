"""float32 and float16: the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.codecs import Codes, check_codes
from smec.vectors import Float32Array


@dataclass(frozen=True)
class Floats:
    """Numbers of the type ``name``."""

    name: str
    dim: int

    @property
    def code_bytes(self) -> int:
        """Bytes of one vector."""
        return self.dim * np.dtype(self.name).itemsize

    def encode(self, vectors: Float32Array) -> Codes:
        """The rows as this type."""
        return vectors.astype(self.name, copy=False)

    def decode(self, codes: Codes) -> Float32Array:
        """The rows as float32."""
        return check_codes(codes, self).astype(np.float32, copy=False)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Nothing to keep."""
        return {}


def code_bytes(kind: str, count: int, dim: int) -> int:
    """Two or four bytes per dimension."""
    return Floats(kind, dim).code_bytes


def fit(kind: str, count: int, vectors: Float32Array, seed: int) -> Floats:
    """Nothing to calibrate."""
    return Floats(kind, vectors.shape[1])


def restore(kind: str, count: int, dim: int, tensors: Mapping[str, NDArray[Any]]) -> Floats:
    """Nothing to restore."""
    return Floats(kind, dim)
