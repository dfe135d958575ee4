"""Methods to compare with and to fall back to, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from smec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from smec.data import Dataset
    from smec.encoder import Encoder
    from smec.vectors import FloatArray

BASELINES: dict[str, str] = {
    "truncate": "smec.baselines.truncation:fit_truncation",
    "pca": "smec.baselines.pca:fit_pca",
    "pca-centred": "smec.baselines.pca:fit_centred_pca",
    "pca-whitened": "smec.baselines.pca:fit_whitened_pca",
    "pca-feedback": "smec.baselines.pca_feedback:fit_pca_feedback",
    "spectemp": "smec.baselines.spectral_tempering:fit_spectral_tempering",
    "leanvec-es": "smec.baselines.leanvec:fit_leanvec_es",
    "leanvec-fw": "smec.baselines.leanvec:fit_leanvec_fw",
    "variance": "smec.baselines.selection:fit_variance",
    "random-dims": "smec.baselines.selection:fit_random_dims",
    "random": "smec.baselines.random_projection:fit_random_projection",
    "matryoshka-adaptor": "smec.baselines.matryoshka_adaptor:fit_matryoshka_adaptor",
    "matryoshka-adaptor-unsupervised": (
        "smec.baselines.matryoshka_adaptor:fit_unsupervised_matryoshka_adaptor"
    ),
    "search-adaptor": "smec.baselines.search_adaptor:fit_search_adaptor",
    "mrl": "smec.baselines.mrl:fit_mrl",
    "mrl-weighted": "smec.baselines.mrl:fit_weighted_mrl",
    "chain": "smec.baselines.chain:fit_chain",
    "adawidth": "smec.baselines.adawidth:fit_adawidth",
    "query-adapter": "smec.baselines.query_adapter:fit_query_adapter",
    "dive": "smec.baselines.dive:fit_dive",
    "dive-unsupervised": "smec.baselines.dive:fit_unsupervised_dive",
}
"""Name -> "module:function", imported when it is first used.

Each function takes ``(dataset, dims, *, seed=0)`` and returns an `Encoder` of that name.
"""

_EXTRAS = {"torch": "train", "scipy": "eval", "kneed": "eval"}


def fit_baseline(
    name: str, dataset: Dataset | FloatArray, dims: Sequence[int], seed: int = 0, **settings: Any
) -> Encoder:
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
    **settings
        Fields of `LearningSettings` in place of a learned baseline's own, for tuning it.

    Raises
    ------
    ConfigError
        No such baseline, or sizes that do not descend from at most D.
    DataError
        Unusable vectors, or no judged train queries for a baseline that learns from them.
    MissingExtraError
        The baseline needs a library that is not installed.
    """
    # Not at the top: the command line's help lists the names above without loading numpy.
    from smec.data import Dataset
    from smec.encoder import check_dims

    if name not in BASELINES:
        raise ConfigError(f"baseline {name!r} is not known; use one of {', '.join(BASELINES)}")
    opened = dataset if isinstance(dataset, Dataset) else Dataset(dataset, name=name)
    module, function = BASELINES[name].split(":")
    try:
        home = import_module(module)
    except ModuleNotFoundError as error:
        library = str(error.name).split(".")[0]
        if library not in _EXTRAS:
            raise
        raise MissingExtraError(library, _EXTRAS[library], f"baseline {name!r}") from error
    tuned = {"settings": replace(home.SETTINGS, **settings)} if settings else {}
    encoder: Encoder = getattr(home, function)(
        opened, check_dims(tuple(dims), opened.dim), seed=seed, **tuned
    )
    return encoder
