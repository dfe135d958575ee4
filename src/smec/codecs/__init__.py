"""How a small vector is stored: codecs by name, each calibrated once on a corpus and kept in the artefact.

======== ===================== =========================================================
name     bytes for d dims      what is stored
======== ===================== =========================================================
float32  4 d                   the numbers
float16  2 d                   the numbers, rounded
int8     d                     256 steps per dimension between two stored quantiles
int4     d / 2                 16 steps, two dimensions a byte
binary   d / 8                 above or below a stored median, one bit per dimension
itq      d / 8                 the same after a learned rotation (iterative quantisation)
pqN      N                     places in N codebooks of 256 parts (product quantisation)
opqN     N                     the same after a learned rotation
rabitq   d / 8 + 8             one bit per dimension after a random rotation, two factors
======== ===================== =========================================================

Codes are faiss's own wherever it has the codec, so its indexes read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from smec.errors import ConfigError, DataError
from smec.vectors import Float32Array, FloatArray, check_vectors, take_rows

Codes = NDArray[Any]
"""Shape (n, w): uint8, or float32 or float16 for the codecs of these names."""

MOST_ROWS = 65_536
"""Rows that a calibration looks at, drawn with its seed where there are more."""


class Codec(Protocol):
    """Stores unit vectors of one size; calibrated, so that a single vector is coded as in any batch."""

    @property
    def name(self) -> str:
        """As in the table above, "pq16"."""

    @property
    def dim(self) -> int:
        """Width of the vectors."""

    @property
    def code_bytes(self) -> int:
        """Bytes of one vector's code."""

    def encode(self, vectors: Float32Array) -> Codes:
        """Codes of the rows of ``vectors``, shape (n, dim)."""

    def decode(self, codes: Codes) -> Float32Array:
        """What the codes stand for, shape (n, dim): its product with a query is the query's score."""

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The calibration, by name."""


class _Home(Protocol):
    """What the module of a codec offers."""

    def code_bytes(self, kind: str, count: int, dim: int) -> int:
        """Bytes of one code; ConfigError where this codec cannot pack so many dims."""

    def fit(self, kind: str, count: int, vectors: Float32Array, seed: int) -> Codec:
        """Calibrate on unit rows."""

    def restore(self, kind: str, count: int, dim: int, tensors: Mapping[str, NDArray[Any]]) -> Codec:
        """Make the codec of a calibration again."""


_HOMES = {
    "float32": "floats",
    "float16": "floats",
    "int8": "scalar",
    "int4": "scalar",
    "binary": "binary",
    "itq": "binary",
    "pq": "product",
    "opq": "product",
    "rabitq": "rabitq",
}
NAMES = "float32, float16, int8, int4, binary, itq, pqN, opqN (N bytes) or rabitq"
FREE = ("float32", "float16")
"""Need no calibration."""
EVERY_TIME = ("int8", "int4", "binary")
"""Calibrated whenever a compressor is trained: that takes no time and a few numbers per dimension."""


def code_bytes(name: str, dim: int) -> int:
    """Bytes per vector of ``dim`` dims.

    Raises
    ------
    ConfigError
        No such codec, or it cannot pack so many dims.
    """
    home, kind, count = _home(name)
    return home.code_bytes(kind, count, dim)


def packs(name: str, dim: int) -> bool:
    """Whether a codec can store vectors of ``dim`` dims; ConfigError if there is no such codec."""
    _home(name)
    try:
        code_bytes(name, dim)
    except ConfigError:
        return False
    return True


def usual(dims: Sequence[int], trained_for: str | None = None) -> list[str]:
    """Those of `EVERY_TIME`, and the codec of the training, that can store at least one of the sizes."""
    names = dict.fromkeys((*EVERY_TIME, *([trained_for] if trained_for is not None else [])))
    return [name for name in names if any(packs(name, dim) for dim in dims)]


def check_installed(name: str) -> None:
    """Raise MissingExtraError where a codec needs faiss and it is not installed."""
    if name not in (*FREE, "binary"):
        import_module("smec.codecs.quantizers").faiss(name)


def sampled(vectors: FloatArray, seed: int) -> FloatArray:
    """The rows that a calibration looks at, in their order."""
    if len(vectors) <= MOST_ROWS:
        return np.asarray(vectors)
    rows = np.random.default_rng([seed, 11]).choice(len(vectors), MOST_ROWS, replace=False)
    return take_rows(vectors, np.sort(rows))


def fit_codec(name: str, vectors: Float32Array, seed: int = 0) -> Codec:
    """Calibrate a codec on the vectors that it is going to store.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    vectors : ndarray of shape (n, d), float32
        Unit rows; at most `MOST_ROWS` of them are looked at.
    seed : int
        Of that choice, of codebooks and of random rotations.

    Raises
    ------
    ConfigError
        No such codec, or it cannot pack so many dims.
    DataError
        Unusable rows, or fewer than its codebooks need.
    MissingExtraError
        faiss is not installed: ``pip install 'smec[faiss]'``.
    """
    home, kind, count = _home(name)
    check_vectors(vectors, f"codec {name}")
    home.code_bytes(kind, count, vectors.shape[1])
    return home.fit(kind, count, np.ascontiguousarray(sampled(vectors, seed), dtype=np.float32), seed)


def restore_codec(name: str, dim: int, tensors: Mapping[str, NDArray[Any]]) -> Codec:
    """Make a calibrated codec from its `Codec.tensors`.

    Raises
    ------
    ConfigError
        No such codec.
    KeyError
        A tensor is missing.
    MissingExtraError
        faiss is not installed.
    """
    home, kind, count = _home(name)
    return home.restore(kind, count, dim, tensors)


def check_codes(codes: Codes, codec: Codec) -> Codes:
    """Return ``codes`` if they can be this codec's, else DataError."""
    array = np.asarray(codes)
    if array.ndim != 2 or array.shape[1] * array.dtype.itemsize != codec.code_bytes:
        raise DataError(
            f"{codec.name}: codes of {codec.dim} dims take {codec.code_bytes} bytes a row, got shape "
            f"{array.shape} of {array.dtype}"
        )
    return array


def _home(name: str) -> tuple[_Home, str, int]:
    product = re.fullmatch(r"(o?pq)([1-9]\d{0,3})", name)
    kind, count = (product[1], int(product[2])) if product else (name, 0)
    if kind not in _HOMES or (kind in ("pq", "opq") and not product):
        raise ConfigError(f"codec {name!r} is unknown; use {NAMES}")
    return cast("_Home", import_module(f"smec.codecs.{_HOMES[kind]}")), kind, count
