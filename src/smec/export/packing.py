"""Codes that a few lines of arithmetic make, so that numpy, ONNX and TorchScript write the codec's own bytes.

Of a small vector y, rotated where there is a rotation, the level of dimension j is
``trunc(steps * clip((y - low) / span, 0, 1))``, or without span whether ``y > low``. ``per_byte`` levels
share a byte, the first one in its lowest place: ``sum(level[k] * (steps + 1) ** k)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smec.codecs import Codec
from smec.export.order import Order, refuse_codec
from smec.vectors import Float32Array

FLOATS = ("float32", "float16")
PACKED = "float32, float16, int8, int4, binary or itq"


@dataclass(frozen=True)
class Packing:
    """A code as arithmetic; see the module.

    Parameters
    ----------
    low : ndarray of shape (dim,)
    span : ndarray of shape (dim,), optional
    rotation : ndarray of shape (dim, dim), optional
    steps, per_byte : int
    """

    low: Float32Array
    span: Float32Array | None
    rotation: Float32Array | None
    steps: int
    per_byte: int

    @property
    def weights(self) -> Float32Array:
        """What the levels of a byte are multiplied by, shape (per_byte,)."""
        return np.power(self.steps + 1, np.arange(self.per_byte)).astype(np.float32)

    def arrays(self) -> dict[str, Float32Array]:
        """Low, span and rotation, those that there are."""
        named = {"low": self.low, "span": self.span, "rotation": self.rotation}
        return {name: array for name, array in named.items() if array is not None}


def packing(order: Order, target: str) -> Packing | None:
    """How an order's codes are made; None where the numbers themselves are stored.

    Raises
    ------
    ConfigError
        Arithmetic does not make this code (pq, opq, rabitq).
    """
    if order.codec in FLOATS:
        return None
    if order.codec not in ("int8", "int4", "binary", "itq"):
        raise refuse_codec(order, target, PACKED)
    return _of(order.compressor.codec(order.codec, order.dim))


def _of(codec: Codec) -> Packing:
    tensors = codec.tensors()
    if codec.name in ("int8", "int4"):
        low, span = tensors["ranges"]
        steps, per_byte = (255, 1) if codec.name == "int8" else (15, 2)
        return Packing(low, span, None, steps, per_byte)
    return Packing(tensors["levels"][0], None, tensors.get("rotation"), 1, 8)
