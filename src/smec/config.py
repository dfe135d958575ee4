"""One validated object for a training; every ingredient of the method is one of its fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from smec.errors import ConfigError
from smec.presets import CANDIDATES, PRESETS, UNLABELLED, UNSUPERVISED

if TYPE_CHECKING:
    from smec.artefact import Manifest

Preset = Literal["default", "paper"]
CorpusKind = Literal["growing", "fixed"]


class _Settings(BaseModel):
    # Strict: neither true nor "3" is a number.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _without_numpy(cls, value: Any) -> Any:
        """Numbers of numpy as Python's, which alone are numbers to strict validation."""
        if isinstance(value, list | tuple):
            return tuple(one.item() if isinstance(one, np.generic) else one for one in value)
        return value.item() if isinstance(value, np.generic) else value


class RankConfig(_Settings):
    """The supervised loss (paper, section 3.1 and Eq. 8; design section 3)."""

    loss: Literal["infonce", "pairwise"] = "infonce"
    temperature: float = Field(0.05, gt=0)
    """Divides cosines (range -1 to 1) before the softmax or the logistic."""
    weight: float = Field(1.0, ge=0)
    """Factor of the rank loss."""
    sentences: float | None = Field(None, ge=0)
    """Factor of InfoNCE on sentences of documents, where the dataset has a split of them. None: chosen on
    held-out queries, 0 among what is compared."""


class DistillationConfig(_Settings):
    """Distillation of the small sizes from the trained full size (schedule "distilled"), or from the
    originals (schedule "joint").
    """

    weight: float = Field(1.0, ge=0)
    """Factor of the distillation loss beside the rank loss; 0: no distillation."""
    tempering: float = Field(0.0, ge=0, le=1)
    """Schedule "joint": the originals teach with their principal axes scaled by
    eigenvalue^(-tempering/2)."""
    anchors: int = Field(64, ge=0)
    """Random documents per step whose similarities are taught besides those of the queries, by the trained
    full size (schedule "distilled") or where no label is read; without any queries, ``optimiser.batch`` more.
    With more than 1,000 judged queries to fit fewer, in proportion: the more the labels say, the less the
    teacher has to."""
    temperature: float = Field(0.05, gt=0)
    """Of teacher and student."""
    learning_rate: float = Field(8e-3, gt=0)
    """Of the stage that is taught, whose start is good and whose teacher holds it."""
    passes: float = Field(6.0, ge=0)
    """More steps than ``optimiser.steps`` where these make fewer passes over the train queries: with
    many labels the small sizes go on gaining."""
    negatives: int = Field(2048, ge=0)
    """Random documents per step of that stage: steps are cheaper there, and small sizes need more."""


class MemoryConfig(_Settings):
    """S-XBM (paper, section 3.4): which neighbours to align, and with which loss."""

    loss: Literal["listwise", "absolute", "none"] = "listwise"
    weight: float | None = Field(None, ge=0)
    """Factor of the memory loss beside the rank loss; None: 300 / (queries to fit), at most 3, as the
    fewer the labels, the more the original similarities are worth; below .5 it is left out, where it
    gains nothing and takes time. Without labels the memory loss is the only one."""
    size: int = Field(2048, ge=2)
    """Embeddings in the FIFO queue."""
    neighbours: int = Field(8, ge=1)
    """Entries aligned per anchor."""
    sampling: Literal["nearest", "random"] = "nearest"
    """``nearest`` is S-XBM; ``random`` the plain XBM it improves on."""
    anchors: int = Field(16, ge=0)
    """Documents of the batch that are aligned besides its queries."""
    temperature: float = Field(0.05, gt=0)
    """Of teacher and student in the listwise loss."""


class OptimiserConfig(_Settings):
    """AdamW with a linear warm-up and a cosine decay in every stage."""

    steps: int = Field(150, ge=1)
    """Optimiser steps of the first stage."""
    passes: float = Field(2.0, ge=0)
    """More steps where these do not make so many passes over the train queries; without any, over at most
    10,000 documents."""
    growth: float = Field(0.5, ge=0, le=1)
    """Later stages take ``steps * (d_1 / columns) ** growth``: their steps are cheaper, and small
    sizes gain the most from more of them. 0: all stages alike; 1: all stages cost alike."""
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    averaging: float = Field(0.97, ge=0, lt=1)
    """Decay of the moving average of the parameters that is checked and kept; 0: none."""
    batch: int = Field(64, ge=1)
    """Judged queries per step, and as many of the unjudged ones; without queries, documents."""
    negatives: int = Field(1024, ge=0)
    """Random corpus documents per step, besides the positives of the other queries."""
    hard_negatives: int = Field(0, ge=0)
    """Nearest documents of each query of a step, by the originals' cosine, added to the random ones."""


class ValidationConfig(_Settings):
    """Held-out train queries (or vectors): early stopping and the no-harm gate see only these."""

    share: float = Field(0.15, gt=0, lt=1)
    """Of the train queries (at least 30 where a quarter of them are as many); without labels, of
    the corpus."""
    most: int = Field(1000, ge=1)
    """Upper limit of held-out queries (or vectors)."""
    folds: int = Field(4, ge=1)
    """Trainings where fewer than ``few`` queries are judged: each holds out another part of them, their
    matrices are averaged, and the gate sees all queries. 1: one training always. Not with fresh layers."""
    few: int = Field(1000, ge=0)
    """Judged train queries from which one held-out part is enough to tell a gain from luck."""
    every: int = Field(25, ge=1)
    """Steps between two checks."""
    patience: int = Field(5, ge=1)
    """Checks without improvement that end a stage."""
    mixtures: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field((), strict=False)
    """Shares of the learned change that are compared with the whole of it: ``start + share * change`` of the
    last check. Only where one stage trains all sizes."""
    gate: bool = True
    """Replace a size that is not better than the baselines by the best of them."""


class TrainConfig(_Settings):
    """How a compressor is trained."""

    preset: Preset = "default"
    dims: tuple[int, ...] | None = Field(None, strict=False)
    """Served sizes, descending; D/2 to D/32 by default."""
    supervised: bool = True
    seed: int = Field(0, ge=0)
    corpus: CorpusKind = "growing"
    """Growing: held-out queries that ask for documents without a fitted judgement decide. Fixed, for a corpus
    that is judged throughout: all held-out queries decide."""
    candidates: tuple[str, ...] = Field((), strict=False)
    """Names of `CANDIDATES` that are trained and compared on held-out queries; the best one ships. Their
    settings replace those of this configuration, but for ``own``. Empty: this configuration alone."""
    own: dict[str, Any] = Field(default_factory=dict)
    """Settings that were given beside the preset and that a candidate would replace: all candidates keep
    them. Filled in by `build_config`."""
    start: Literal["pca", "identity", "unlabelled"] = "pca"
    """Where the first stage starts: principal axes of the corpus, the given coordinates, or the map of
    candidate "unlabelled", which is then trained first."""
    tempering: float = Field(0.3, ge=0, le=1)
    """Principal axes are scaled by eigenvalue^(-tempering/2): 0 is PCA, 1 whitening. Not used with
    start "identity"."""
    coordinates: Literal["rotated", "principal"] = "principal"
    """Coordinates of the trained residual: the leading half of the principal axes (as many as the largest
    size at least), or these in a random rotation. AdamW moves all coordinates at one pace: in rotated
    ones, over which a strong axis is spread, such an axis is weakened sooner."""
    layers: Literal["nested", "fresh"] = "nested"
    """One matrix shared by all sizes and refined stage by stage, or a layer of its own per stage."""
    schedule: Literal["distilled", "sequential", "joint"] = "distilled"
    """The full size first, which then teaches all sizes at once; SMRL; or all sizes at once as in
    MRL, with as many steps as SMRL's stages have without growth."""
    turned: bool = True
    """Turn a nested layer to the axes of agreement before each stage but the first, where there are
    300 queries to fit and one training."""
    selection: Literal["prefix", "ads"] = "prefix"
    """Keep the leading dimensions, or learn which ones to keep (ADS)."""
    queries: Literal["shared", "own"] = "shared"
    """One matrix for documents and queries, or one for each: both start the same, and both are learned. A
    second matrix mostly learns judged documents by heart. Needs schedule "joint" without a memory loss, and
    queries to learn from; candidate "trained" is left out."""
    codec: str | None = None
    """Documents are compared, checked and judged as this codec stores them; None: as floats."""
    budget: int | None = Field(None, ge=1)
    """Bytes per vector: choose the size and codec that score best within them."""
    target: float | None = Field(None, gt=0)
    """Share of the full vectors' score: choose the size and codec that reach it with the fewest bytes."""
    rank: RankConfig = RankConfig()
    distillation: DistillationConfig = DistillationConfig()
    memory: MemoryConfig = MemoryConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    validation: ValidationConfig = ValidationConfig()
    pool: int = Field(100_000, ge=2)
    """Most corpus rows held in memory: all judged ones and a random sample of the others."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.schedule != "sequential" and (self.selection == "ads" or self.layers == "fresh"):
            raise ValueError(
                f"schedule {self.schedule!r} trains prefixes of one nested matrix: "
                "no 'ads', no 'fresh' layers"
            )
        if unknown := [name for name in self.candidates if name not in CANDIDATES]:
            raise ValueError(f"candidate {unknown[0]!r} is unknown; there are {', '.join(CANDIDATES)}")
        if self.candidates and not self.supervised:
            raise ValueError("candidates are compared on judged queries: without labels there are none")
        if self.candidates and (self.selection == "ads" or self.layers == "fresh"):
            raise ValueError("candidates train one nested matrix: no 'ads', no 'fresh' layers")
        return self

    @model_validator(mode="after")
    def _signals(self) -> TrainConfig:
        """Check what is learned from, and what is stored."""
        if self.start == "unlabelled" and (self.schedule != "joint" or not self.supervised):
            raise ValueError("start 'unlabelled' goes on with labels: it needs them, and schedule 'joint'")
        if self.codec is not None and self.selection == "ads":
            raise ValueError("a codec stores prefixes: selection 'ads' trains without one; use 'prefix'")
        if not self.supervised and self.schedule == "distilled":
            raise ValueError("schedule 'distilled' learns from labels; use 'sequential' or 'joint'")
        if self.budget is not None and self.target is not None:
            raise ValueError("a budget or a target, not both")
        taught = self.schedule == "joint" and self.distillation.weight > 0
        if not self.supervised and self.memory.loss == "none" and not taught:
            raise ValueError(
                "without labels there is nothing to learn: it takes a memory.loss, or schedule 'joint' with "
                "a distillation.weight"
            )
        return self

    @model_validator(mode="after")
    def _fit_for_own_queries(self) -> TrainConfig:
        if self.queries == "shared":
            return self
        if self.selection == "ads" or self.layers == "fresh":
            raise ValueError(
                "queries 'own' are learned in one nested matrix beside that of the documents: no 'ads', no "
                "'fresh' layers"
            )
        if self.schedule != "joint" or self.candidates == ("trained",):
            raise ValueError(
                "queries 'own' are learned at all sizes at once: set schedule 'joint', and no candidate "
                "'trained' alone"
            )
        if self.memory.loss != "none":
            raise ValueError(
                "queries 'own': the memory loss compares all vectors by one matrix; set memory.loss 'none'"
            )
        return self


def build_config(
    preset: str | None = None,
    *,
    supervised: bool | None = None,
    file: str | Path | None = None,
    **fields: Any,
) -> TrainConfig:
    """A preset, overlaid by a JSON file, overlaid by ``fields`` (None means not given).

    A file may name its own preset and ``supervised``; arguments that are given win over it.

    Raises
    ------
    ConfigError
        An unknown preset or field, a value out of range, or an unreadable file.
    """
    document = read_document(Path(file)) if file is not None else {}
    preset = preset or document.get("preset", "default")
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown; there are {', '.join(PRESETS)}")
    if supervised is None:
        supervised = document.get("supervised", True)
    given = {name: value for name, value in fields.items() if value is not None}
    if document.get("own") or given.get("own"):
        raise ConfigError("configuration: own: smec fills it in; remove it, and set these fields themselves")
    top = {"preset": preset, "supervised": supervised}
    layers = [PRESETS[preset], {} if supervised else UNSUPERVISED[preset], document, given, top]
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = overlay(merged, layer)
    config = parsed(TrainConfig, merged, "configuration")
    replaced: dict[str, Any] = {}
    for name in _named(config):
        replaced = overlay(replaced, CANDIDATES[name])
    own = _common(overlay(document, given), replaced)
    return config.model_copy(update={"own": own}) if own else config


def _named(config: TrainConfig) -> set[str]:
    """Candidates whose settings are used: those that are named, and what these start from."""
    starts = {config.start, *(CANDIDATES[name].get("start") for name in config.candidates)}
    return {*config.candidates, *([UNLABELLED] if "unlabelled" in starts else [])}


def _common(given: Mapping[str, Any], replaced: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``given`` that ``replaced`` has too, of objects in both likewise."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in replaced:
            of = _common(value, replaced[name]) if isinstance(value, dict) else value
            if of != {}:
                found[name] = of
    return found


def candidate_config(config: TrainConfig, name: str) -> TrainConfig:
    """The configuration of one of `CANDIDATES`: its settings, in place of those of ``config`` but its own."""
    document = overlay(overlay(config.model_dump(), CANDIDATES[name]), config.own)
    return parsed(TrainConfig, {**document, "candidates": ()}, f"candidate {name}")


def trained_config(manifest: Manifest) -> TrainConfig:
    """Read the configuration that a compressor was trained with: that of the chosen candidate, if any."""
    config = parsed(TrainConfig, manifest.training, "the compressor's configuration")
    chosen = None if manifest.validation is None else manifest.validation.candidate
    config = config if chosen is None else candidate_config(config, chosen)
    if manifest.sentences is None or manifest.sentences.weight is None:
        return config
    rank = config.rank.model_copy(update={"sentences": manifest.sentences.weight})
    return config.model_copy(update={"rank": rank})


Settings = TypeVar("Settings", bound=BaseModel)


def parsed(kind: type[Settings], document: Any, where: str) -> Settings:
    """``document`` as a validated ``kind``; the first fault as a one-line ConfigError."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "as a whole"
        said = first["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
        raise ConfigError(f"{where}: {field}: {said}") from error


def read_document(file: Path) -> dict[str, Any]:
    """The object in a JSON file; ConfigError when there is none."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{file}: not a JSON file: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: must be a JSON object of configuration fields")
    return document


def overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the fields of ``top``; objects in both are merged."""
    merged = dict(base)
    for name, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = overlay(merged[name], value) if both else value
    return merged
