"""What is compared: every method by the name that tables call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from smec import Dataset, extend, train
from smec.baselines import fit_baseline
from smec.config import Preset, build_config
from smec.encoder import Encoder, default_dims


@dataclass(frozen=True)
class Method:
    """A way to get small vectors.

    Attributes
    ----------
    name : str
        What tables call it.
    supervised : bool
        Sees the train queries or their judgements.
    learned : bool
        Depends on the seed, so that it is run for each of them.
    preset : str or None
        Of smec; None for a baseline of that name.
    overlay : dict
        Fields of smec's configuration that differ from the preset, or of a baseline's settings that
        differ from its own.
    extended : bool
        The smallest size is added by `smec.extend` to a compressor of the others.
    full : bool
        Trained to serve D alone.
    """

    name: str
    supervised: bool = True
    learned: bool = True
    preset: Preset | None = None
    overlay: dict[str, Any] = field(default_factory=dict, hash=False)
    extended: bool = False
    full: bool = False

    def specification(self) -> dict[str, Any]:
        """All that decides what it gives on given data, but for the seed."""
        if self.preset is None:
            return {"baseline": self.name, **({"settings": self.overlay} if self.overlay else {})}
        config = build_config(self.preset, supervised=self.supervised, **self.overlay)
        flags = {name: True for name in ("extended", "full") if getattr(self, name)}
        return {"smec": config.model_dump(mode="json", exclude={"seed"}), **flags}

    def fit(self, dataset: Dataset, seed: int) -> Encoder:
        """Fit it to a dataset for D/2 to D/32; its test split is not looked at."""
        if self.preset is None:
            return fit_baseline(self.name, dataset, default_dims(dataset.dim), seed, **self.overlay)
        config = build_config(self.preset, supervised=self.supervised, seed=seed, **self.overlay)
        if self.full:
            return train(dataset, config=config.model_copy(update={"dims": (dataset.dim,)}))
        if not self.extended:
            return train(dataset, config=config)
        *dims, last = default_dims(dataset.dim)
        shorter = train(dataset, config=config.model_copy(update={"dims": tuple(dims)}))
        return extend(shorter, dataset, last)


def smec(name: str, preset: Preset = "default", *, supervised: bool = True, **overlay: Any) -> Method:
    """A preset of smec, or a variant of one."""
    return Method(name, supervised, True, preset, overlay)


DEFAULT = smec("smec default")
DEFAULT_UNSUPERVISED = smec("smec default", supervised=False)

SUPERVISED = (
    DEFAULT,
    smec("smec paper", "paper"),
    Method("matryoshka-adaptor"),
    Method("search-adaptor"),
    Method("mrl"),
    Method("mrl-weighted"),
    Method("chain"),
    Method("adawidth"),
    Method("dive"),
    Method("leanvec-es", learned=False),
    Method("leanvec-fw", learned=False),
)
"""Learn from the train queries; LeanVec from their vectors alone."""

UNSUPERVISED = (
    DEFAULT_UNSUPERVISED,
    smec("smec paper", "paper", supervised=False),
    Method("matryoshka-adaptor-unsupervised", supervised=False),
    Method("dive-unsupervised", supervised=False),
    Method("pca", supervised=False, learned=False),
    Method("pca-centred", supervised=False, learned=False),
    Method("pca-whitened", supervised=False, learned=False),
    Method("spectemp", supervised=False, learned=False),
    Method("truncate", supervised=False, learned=False),
    Method("variance", supervised=False, learned=False),
    Method("random-dims", supervised=False),
    Method("random", supervised=False),
)
"""See the corpus alone."""
