"""rabitq: one bit per dimension after a random rotation of the centred rows, with two factors (faiss)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.codecs import Codes, check_codes
from smec.codecs.quantizers import faiss, numbers
from smec.errors import ConfigError
from smec.vectors import Float32Array

FACTORS = 8
"""Bytes beside the bits: the row's length and the product with its own code."""


class RaBitQ:
    """A calibrated RaBitQ quantizer.

    Parameters
    ----------
    centre : ndarray of shape (dim,), float32
        Mean of the rotated rows.
    rotation : ndarray of shape (dim, dim), float32
        Orthonormal; rows are multiplied by it first.
    """

    name = "rabitq"

    def __init__(self, centre: Float32Array, rotation: Float32Array) -> None:
        self.centre = centre
        self.rotation = rotation
        self.dim = len(centre)
        module = faiss(self.name)
        self._quantizer = module.RaBitQuantizer(self.dim, module.METRIC_INNER_PRODUCT)
        self._centroid = np.ascontiguousarray(centre, dtype=np.float32)
        self.code_bytes = int(self._quantizer.code_size)

    def encode(self, vectors: Float32Array) -> Codes:
        """uint8 codes, shape (n, code_bytes)."""
        module = faiss(self.name)
        rows = np.ascontiguousarray(vectors @ self.rotation, dtype=np.float32)
        codes = np.empty((len(rows), self.code_bytes), dtype=np.uint8)
        self._quantizer.compute_codes_core(
            module.swig_ptr(rows), module.swig_ptr(codes), len(rows), module.swig_ptr(self._centroid)
        )
        return codes

    def decode(self, codes: Codes) -> Float32Array:
        """The estimate that a float query is multiplied with, rotated back, shape (n, dim)."""
        module = faiss(self.name)
        codes = np.ascontiguousarray(check_codes(codes, self))
        rows = np.empty((len(codes), self.dim), dtype=np.float32)
        self._quantizer.decode_core(
            module.swig_ptr(codes), module.swig_ptr(rows), len(codes), module.swig_ptr(self._centroid)
        )
        return rows @ self.rotation.T

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Centre and rotation."""
        return {"centre": self.centre, "rotation": self.rotation}


def code_bytes(kind: str, count: int, dim: int) -> int:
    """A bit per dimension and the factors; ConfigError where the bits do not fill their bytes."""
    if dim % 8:
        raise ConfigError(f"codec rabitq: packs eight dims a byte, so it cannot store {dim} dims; use int8")
    return dim // 8 + FACTORS


def fit(kind: str, count: int, vectors: Float32Array, seed: int) -> RaBitQ:
    """A random rotation drawn with the seed, and the mean of the rotated rows."""
    dim = vectors.shape[1]
    random = faiss("rabitq").RandomRotationMatrix(dim, dim)
    random.init((seed + 1234) & 0x7FFFFFFF)  # faiss takes an int of 32 bits
    rotation = numbers(random.A, "rabitq").reshape(dim, dim).T.copy()
    return RaBitQ((vectors @ rotation).mean(axis=0), rotation)


def restore(kind: str, count: int, dim: int, tensors: Mapping[str, NDArray[Any]]) -> RaBitQ:
    """From centre and rotation."""
    return RaBitQ(tensors["centre"], tensors["rotation"])
