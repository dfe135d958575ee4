"""Work of a whole training, counted before it starts: stages of all candidates and folds, and the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from smec.config import TrainConfig, ValidationConfig, candidate_config
from smec.method.candidates import candidate_configs
from smec.method.folds import Fold, Start
from smec.method.kept_axes import CHECKED
from smec.method.plans import StagePlan
from smec.method.schedule import OnProgress
from smec.presets import UNLABELLED
from smec.training.loop import Progress, Unit
from smec.training.work import Kind, OnWork, Work

PREPARED = Kind("preparations")
MIXED = Kind("checks", "mixtures")
LIFTED = Kind("checks", "all documents")
GATE = Kind("checks", "gate")
CHOICE = Kind("checks", "choice of size and codec")
FEEDBACK = Kind("checks", "feedback")
CODECS = Kind("checks", "codecs")
"""Parts that encode and search about what a check does, counted in checks."""


@dataclass(frozen=True)
class StageWork:
    """One stage of one training.

    Attributes
    ----------
    name : str
        Stages of one name take the same time.
    steps : int
    every : int
        Steps between two checks.
    mixtures : int
        Mixtures of the candidate before, which are scored before the stage begins. Their time has that in
        which the stage begins.
    """

    name: str
    steps: int
    every: int
    mixtures: int = 0

    def all(self) -> Counter[Kind]:
        """Count all of the stage."""
        first = {MIXED: self.mixtures} if self.mixtures else {Kind("begins", self.name): 1}
        return Counter(first) + self.left(0, "begins")

    def left(self, step: int, unit: Unit) -> Counter[Kind]:
        """Count what is left after a unit, with which so many steps are done."""
        before = unit in ("begins", "starts")
        checked = 0 if before else self.checks(step if unit == "checks" else step - 1)
        ahead = Counter(
            {
                Kind("starts", self.name): int(unit == "begins"),
                Kind("checks", self.name): self.checks(self.steps) - checked,
                Kind("steps", self.name): self.steps - step,
            }
        )
        return +ahead

    def checks(self, step: int) -> int:
        """Number of checks until a step, that before the first one among them."""
        return step // self.every + 1 + (step == self.steps and step % self.every > 0)


@dataclass(frozen=True)
class Workload:
    """All work of a training.

    Attributes
    ----------
    rounds : sequence of sequence of StageWork
        Stages in their order: those of the candidates, those with sentences, those for new documents.
    mixtures : sequence of int
        Mixtures that are scored at the end of each round.
    final : mapping of Kind to float
        What follows the last stage.
    """

    rounds: Sequence[Sequence[StageWork]]
    mixtures: Sequence[int]
    final: Mapping[Kind, float]

    def total(self) -> dict[Kind, float]:
        """Units of all kinds."""
        return self.left(0, 0)

    def left(self, number: int, stage: int) -> dict[Kind, float]:
        """Units from a stage of a round on, both from 0; it has not begun."""
        ahead: Counter[Kind] = Counter(dict(self.final))
        for place, stages in enumerate(self.rounds):
            if place < number:
                continue
            for one in stages[stage if place == number else 0 :]:
                ahead.update(one.all())
            ahead[MIXED] += self.mixtures[place]
        return dict(+ahead)


def workload(
    start: Start,
    config: TrainConfig,
    folds: Sequence[Fold],
    weights: Sequence[float],
    final: Mapping[Kind, float],
) -> Workload:
    """Count the work of a training.

    Parameters
    ----------
    start : Start
    config : TrainConfig
    folds : sequence of Fold
    weights : sequence of float
        Weights of sentences that are compared with 0.
    final : mapping of Kind to float
        What follows the stages.
    """
    configs = candidate_configs(config, len(folds))
    first = list(_stages(start, configs, folds))
    rounds, mixtures = [first], [_mixtures(list(configs.values())[-1], folds)]
    labelled = [of for name, of in configs.items() if name != UNLABELLED] or list(configs.values())
    with_sentences = {f"sentences {weight}": labelled[-1] for weight in weights}
    rounds.append(list(_stages(start, with_sentences, folds)))
    mixtures.append(_mixtures(labelled[-1], folds) if weights else 0)
    rounds.append(list(_new_documents(start, config, labelled[-1], folds)))
    mixtures.append(0)
    return Workload(rounds, mixtures, final)


def _stages(
    start: Start, configs: Mapping[str | None, TrainConfig] | Mapping[str, TrainConfig], folds: Sequence[Fold]
) -> Iterator[StageWork]:
    before = 0
    for name, settings in configs.items():
        for fold in folds:
            for plan in start.plans(settings, fold):
                yield _stage(name, plan, settings.validation, before)
                before = 0
        before = _mixtures(settings, folds)


def _stage(name: str | None, plan: StagePlan, validation: ValidationConfig, mixtures: int) -> StageWork:
    return StageWork(f"{name or 'training'} {plan.number + 1}", plan.steps, validation.every, mixtures)


def _mixtures(settings: TrainConfig, folds: Sequence[Fold]) -> int:
    return len(settings.validation.mixtures) * len(folds)


def _new_documents(
    start: Start, config: TrainConfig, settings: TrainConfig, folds: Sequence[Fold]
) -> Iterator[StageWork]:
    """Stages of the further training that a fixed corpus has for its new documents."""
    if not (config.supervised and config.corpus == "fixed"):
        return
    first = candidate_config(settings, UNLABELLED)
    for name, of in ((UNLABELLED, first), ("new documents", settings)):
        if name == UNLABELLED and settings.start != "unlabelled":
            continue
        for plan in start.plans(of, folds[0]):
            yield _stage(name, plan, of.validation, 0)


def final_work(
    start: Start, config: TrainConfig, folds: Sequence[Fold], stored: int, *, lifted: bool
) -> dict[Kind, float]:
    """Count what follows the stages, in scores of all sizes on one fold, which is what a check takes.

    Parameters
    ----------
    start : Start
        Of the training as a whole.
    config : TrainConfig
    folds : sequence of Fold
    stored : int
        Sizes and codecs to choose from.
    lifted : bool
        Whether it is trained in kept axes, where checks search a sample.
    """
    rivals = len(start.baselines)
    count, gate, feedback = len(folds), rivals + 2, 0
    if config.supervised:
        # Agreement with the originals searches these too, in full width.
        agreement = rivals + 5 if UNLABELLED in candidate_configs(config, count) else 0
        gate = count * (rivals + agreement)
        feedback = count * 14  # three weights and none, for three groups of queries
    choice = count * stored / len(start.sizes)
    larger = max(1.0, len(folds[0].pool.rows) / CHECKED) if lifted else 1.0
    final = {LIFTED: count * lifted, GATE: gate, CHOICE: choice, FEEDBACK: feedback, CODECS: 4.0}
    return {kind: larger * units for kind, units in final.items() if units}


@dataclass
class Reporter:
    """Tells what work is done and left, and of the steps among it, to those who asked.

    Attributes
    ----------
    load : Workload
    steps : callable or None
        Given a `Progress` after every step.
    work : callable or None
        Given a `Work` after every piece.
    """

    load: Workload
    steps: OnProgress | None
    work: OnWork | None
    _final: dict[Kind, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._final = dict(self.load.final)
        self._say(PREPARED, 1, self.load.total())

    def round(self, number: int) -> OnProgress:
        """Return the callback of the stages of one round."""
        stages = self.load.rounds[number]

        def told(progress: Progress) -> None:
            place = progress.stage - 1
            if self.work is not None and place < len(stages):
                stage = stages[place]
                left = stage.left(progress.step, progress.unit)
                left.update(self.load.left(number, place + 1))
                kind, units = Kind(progress.unit, stage.name), 1
                if progress.unit == "begins" and stage.mixtures:
                    kind, units = MIXED, stage.mixtures
                self._say(kind, units, {of: float(count) for of, count in left.items() if count > 0})
            if self.steps is not None and progress.unit == "steps":
                self.steps(progress)

        return told

    def ended(self, number: int) -> None:
        """Say that a round is over, with the mixtures at its end."""
        self._say(MIXED, self.load.mixtures[number], self.load.left(number + 1, 0))

    def finished(self, kind: Kind) -> None:
        """Say that a part of what follows the stages is done."""
        units = self._final.pop(kind, 0)
        if units:
            self._say(kind, units, dict(self._final))

    def _say(self, kind: Kind, units: float, left: Mapping[Kind, float]) -> None:
        if self.work is not None:
            self.work(Work(kind, units, left))
