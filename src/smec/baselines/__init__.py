"""Methods to compare with and to fall back to, by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from smec.data import Dataset
from smec.encoder import Encoder, check_dims
from smec.errors import ConfigError
from smec.vectors import FloatArray

BASELINES: dict[str, str] = {
    "truncate": "smec.baselines.truncation:fit_truncation",
    "pca": "smec.baselines.pca:fit_pca",
    "pca-centred": "smec.baselines.pca:fit_centred_pca",
    "random": "smec.baselines.random_projection:fit_random_projection",
}
"""Name -> "module:function", imported when it is first used.

Each function takes ``(dataset, dims, *, seed=0)`` and returns an `Encoder` of that name.
"""


def fit_baseline(name: str, dataset: Dataset | FloatArray, dims: Sequence[int], seed: int = 0) -> Encoder:
    """Fit a baseline to a corpus and, where it learns from them, to the train queries.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    dataset : Dataset or ndarray of shape (n, D)
        A bare array is a corpus without queries; float16, float32 or float64, of any length, may
        be a memory map.
    dims : sequence of int
        Sizes to serve, descending.
    seed : int
        Of what is random.

    Raises
    ------
    ConfigError
        No such baseline, or sizes that do not descend from at most D.
    DataError
        Unusable vectors, or no judged train queries for a baseline that learns from them.
    """
    if name not in BASELINES:
        raise ConfigError(f"baseline {name!r} is not known; use one of {', '.join(BASELINES)}")
    opened = dataset if isinstance(dataset, Dataset) else Dataset(dataset, name=name)
    module, function = BASELINES[name].split(":")
    encoder: Encoder = getattr(import_module(module), function)(
        opened, check_dims(tuple(dims), opened.dim), seed=seed
    )
    return encoder
