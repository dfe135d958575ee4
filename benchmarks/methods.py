"""What is compared: every method by the name that tables call it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import Any

from benchmarks.figures import SHIPPED
from smec import Dataset, extend, train
from smec.baselines import BASELINES, fit_baseline
from smec.config import Preset, TrainConfig, build_config
from smec.encoder import Encoder, default_dims
from smec.feedback import Feedback
from smec.presets import CANDIDATES
from smec.with_feedback import WithFeedback

PROTOCOL = "documents"
"""Rules by which methods learn: train queries are held out by document. Part of a cell's name, so that
figures from before are not found any more."""

NO_GATE = "no gate"
FEEDBACK = "feedback"
"""Variants of a training of smec, beside what it ships."""


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
    variant : str
        Which encoder of the training: what it ships, or of smec `NO_GATE` or `FEEDBACK`. All come from one
        training, which is one cell.
    training : str or None
        Name of the training where another variant has it too.
    """

    name: str
    supervised: bool = True
    learned: bool = True
    preset: Preset | None = None
    overlay: dict[str, Any] = field(default_factory=dict, hash=False)
    extended: bool = False
    full: bool = False
    variant: str = SHIPPED
    training: str | None = None

    @property
    def trained_name(self) -> str:
        """Name of the training, which variants share."""
        return self.training or self.name

    def as_variant(self, variant: str, name: str) -> Method:
        """Another encoder of the same training."""
        return replace(self, variant=variant, name=name, training=self.trained_name)

    def specification(self) -> dict[str, Any]:
        """All that decides what its training gives on given data, but for the seed."""
        if self.preset is None:
            settings = trained_settings(self.name)
            if settings is not None:
                return {"baseline": self.name, "settings": {**settings, **self.overlay}, "protocol": PROTOCOL}
            return {"baseline": self.name, **({"settings": self.overlay} if self.overlay else {})}
        config = build_config(self.preset, supervised=self.supervised, **self.overlay)
        flags = {name: True for name in ("extended", "full") if getattr(self, name)}
        return {
            "smec": config.model_dump(mode="json", exclude={"seed", "own"}),
            "candidates": {name: CANDIDATES[name] for name in config.candidates},
            "protocol": PROTOCOL,
            **flags,
        }

    def fit(self, dataset: Dataset, seed: int) -> Encoder:
        """Fit what it ships to a dataset, for D/2 to D/32; the test split is not looked at."""
        if self.preset is None or self.full or self.extended:
            return self.encoders(dataset, seed)[SHIPPED]
        return train(dataset, config=self.config(seed))

    def encoders(self, dataset: Dataset, seed: int) -> dict[str, Encoder]:
        """The same, and every other variant that the training has."""
        if self.preset is None:
            return {
                SHIPPED: fit_baseline(self.name, dataset, default_dims(dataset.dim), seed, **self.overlay)
            }
        config = self.config(seed)
        if self.full:
            return {SHIPPED: train(dataset, config=config.model_copy(update={"dims": (dataset.dim,)}))}
        if self.extended:
            *dims, last = default_dims(dataset.dim)
            shorter = train(dataset, config=config.model_copy(update={"dims": tuple(dims)}))
            return {SHIPPED: extend(shorter, dataset, last)}
        return _variants(dataset, config)

    def config(self, seed: int) -> TrainConfig:
        """Configuration of the training, of a preset of smec."""
        return build_config(self.preset, supervised=self.supervised, seed=seed, **self.overlay)


def _variants(dataset: Dataset, config: TrainConfig) -> dict[str, Encoder]:
    from smec.method.trainer import train_with_candidates

    shipped, ungated = train_with_candidates(dataset, config)
    found: dict[str, Encoder] = {SHIPPED: shipped, NO_GATE: ungated}
    if shipped.manifest.feedback is not None:
        feedback = Feedback.from_dataset(dataset, weight=shipped.manifest.feedback.weight)
        found[FEEDBACK] = WithFeedback(shipped, feedback)
    return found


def trained_settings(name: str) -> dict[str, Any] | None:
    """Settings that a baseline is trained with; None if it is not trained step by step."""
    settings = getattr(import_module(BASELINES[name].split(":")[0]), "SETTINGS", None)
    return None if settings is None else asdict(settings)


def smec(name: str, preset: Preset = "default", *, supervised: bool = True, **overlay: Any) -> Method:
    """A preset of smec, or a variant of one."""
    return Method(name, supervised, True, preset, overlay)


DEFAULT = smec("smec default")
DEFAULT_UNSUPERVISED = smec("smec default", supervised=False)
PAPER = smec("smec paper", "paper")
PAPER_UNSUPERVISED = smec("smec paper", "paper", supervised=False)
PCA = Method("pca", supervised=False, learned=False)

SUPERVISED = (
    DEFAULT,
    DEFAULT.as_variant(FEEDBACK, "smec default + feedback"),
    PAPER,
    PAPER.as_variant(NO_GATE, "smec paper, no gate"),
    Method("matryoshka-adaptor"),
    Method("search-adaptor"),
    Method("mrl"),
    Method("mrl-weighted"),
    Method("chain"),
    Method("adawidth"),
    Method("dive"),
    Method("query-adapter"),
    Method("leanvec-es", learned=False),
    Method("leanvec-fw", learned=False),
    Method("pca-feedback", learned=False),
)
"""Use the train queries; LeanVec their vectors alone. "pca-feedback" is the control for feedback."""

UNSUPERVISED = (
    DEFAULT_UNSUPERVISED,
    PAPER_UNSUPERVISED,
    PAPER_UNSUPERVISED.as_variant(NO_GATE, "smec paper, no gate"),
    Method("matryoshka-adaptor-unsupervised", supervised=False),
    Method("dive-unsupervised", supervised=False),
    PCA,
    Method("pca-centred", supervised=False, learned=False),
    Method("pca-whitened", supervised=False, learned=False),
    Method("spectemp", supervised=False, learned=False),
    Method("truncate", supervised=False, learned=False),
    Method("variance", supervised=False, learned=False),
    Method("random-dims", supervised=False),
    Method("random", supervised=False),
)
"""Read no label. ``smec default`` learns from queries, too; the others see the corpus alone."""
