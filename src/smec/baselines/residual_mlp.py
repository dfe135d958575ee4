"""The adaptor of Search-Adaptor and Matryoshka-Adaptor: ``c + f(c)``, f an MLP with one hidden layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smec.baselines.learning import Parameters
from smec.encoder import served
from smec.vectors import Float32Array, FloatArray, check_vectors, normalise

HIDDEN = 512
"""Of the one implementation that states it; the papers say "shallow"."""


def start_parameters(dim: int, width: int, seed: int) -> dict[str, Tensor]:
    """``Linear(dim, HIDDEN)``, ReLU, ``Linear(HIDDEN, width)``; the last layer is zero, so f is too."""
    generator = torch.Generator().manual_seed(seed)
    bound = dim**-0.5  # as torch.nn.Linear draws it
    return {
        "in": torch.empty(dim, HIDDEN).uniform_(-bound, bound, generator=generator),
        "in_bias": torch.zeros(HIDDEN),
        "out": torch.zeros(HIDDEN, width),
        "out_bias": torch.zeros(width),
    }


def change(parameters: Parameters, rows: Tensor) -> Tensor:
    """f: what the adaptor adds to ``rows`` (n, D), of shape (n, width)."""
    hidden = functional.relu(rows @ parameters["in"] + parameters["in_bias"])
    return hidden @ parameters["out"] + parameters["out_bias"]


def adapt(parameters: Parameters, rows: Tensor) -> Tensor:
    """``c + f(c)`` for ``rows`` (n, D); an f of fewer columns is added to the leading ones alone."""
    return rows[:, : parameters["out"].shape[1]] + change(parameters, rows)


def mean_adaptor(adaptors: Sequence[Parameters]) -> dict[str, Tensor]:
    """One adaptor whose f is the mean of those of ``adaptors``: their hidden layers, side by side."""
    return {
        "in": torch.cat([one["in"] for one in adaptors], dim=1),
        "in_bias": torch.cat([one["in_bias"] for one in adaptors]),
        "out": torch.cat([one["out"] for one in adaptors]) / len(adaptors),
        "out_bias": torch.stack([one["out_bias"] for one in adaptors]).mean(dim=0),
    }


class AdaptedEncoder:
    """Serves each size from a trained adaptor, one for all sizes or one per size.

    Parameters
    ----------
    basis : Tensor of shape (D, D)
        Coordinates that the adaptors take.
    adaptors : mapping
        Size -> parameters; sizes may share them.
    name : str
        What tables call it.
    """

    def __init__(self, basis: Tensor, adaptors: Mapping[int, Parameters], name: str) -> None:
        self._basis = basis
        self._adaptors = dict(adaptors)
        self.name = name

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings it takes."""
        return len(self._basis)

    @property
    def dims(self) -> tuple[int, ...]:
        """Served sizes, descending."""
        return tuple(self._adaptors)

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Encode ``(n, D)`` to ``(n, dim)`` float32 unit rows; the largest size without ``dim``.

        Raises
        ------
        ConfigError
            ``dim`` is not one of ``dims``.
        DataError
            Another width than D, or a row with NaN, Inf or only zeros.
        """
        width = served(dim, self.dims, self.name)
        rows = normalise(np.asarray(check_vectors(vectors, self.name, dim=self.input_dim), dtype=np.float32))
        with torch.no_grad():
            adapted = adapt(self._adaptors[width], torch.from_numpy(rows) @ self._basis)
        return normalise(adapted.numpy()[:, :width])

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Queries and documents share the adaptor."""
        return self.encode(vectors, dim)
