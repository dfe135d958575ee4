"""SMRL: sizes trained one after another, each stage with only its own two sizes in the loss
(paper, section 3.2: ``L_k = L(x[1:D_{k-1}]) + L(x[1:D_k])``): which stages a training has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from smec.config import TrainConfig
from smec.method.agreement import FEWEST


@dataclass(frozen=True)
class StagePlan:
    """What one stage trains."""

    number: int
    """From 0; seeds the stage's draws."""
    columns: int
    """Leading columns of the layer that the stage trains."""
    sizes: tuple[int, ...]
    """In the loss, descending; the last one is new."""
    served: tuple[int, ...]
    """Sizes whose stored form this stage decides; the checks score these."""
    steps: int
    learning_rate: float
    select: bool = False
    """ADS chooses the new size's dimensions among the columns."""
    turned: int = 0
    """Leading columns that are turned to the axes of agreement before the stage."""
    teacher: Literal["layer", "originals"] | None = None
    """Teacher of the stage's sizes: the layer as it is before the stage, or the originals."""


def originals_teach(config: TrainConfig) -> Literal["originals"] | None:
    """Whether sizes that are trained without a trained full size are distilled from the originals."""
    return "originals" if config.distillation.weight else None


def plan_stages(
    config: TrainConfig, input_dim: int, dims: tuple[int, ...], queries: int = 0
) -> list[StagePlan]:
    """The stages of a training for ``dims``, of embeddings of ``input_dim``, with so many queries to fit.

    Sequential: with nested layers a stage refines the columns of its two sizes in the one matrix; D
    itself is not served, so the first stage has only d_1 in its loss unless ADS selects from D. With
    fresh layers every stage has a square layer and both sizes in its loss, as the paper draws it.
    Distilled: D alone, then all served sizes at once with D as their teacher. Joint: all served sizes at
    once, with labels and the originals as their teacher.
    """
    options, ads = config.optimiser, config.selection == "ads"
    steps, taught = (
        max(options.steps, math.ceil(passes * queries / options.batch))
        for passes in (options.passes, config.distillation.passes)
    )
    rate = options.learning_rate
    if config.schedule == "joint":
        return [StagePlan(0, dims[0], dims, dims, steps, rate, teacher=originals_teach(config))]
    turns = config.turned and queries >= FEWEST
    if config.schedule == "distilled":
        turned = input_dim if turns else 0
        return [
            StagePlan(0, input_dim, (input_dim,), (input_dim,), steps, rate),
            StagePlan(
                number=1,
                columns=dims[0],
                sizes=dims,
                served=dims,
                steps=taught,
                learning_rate=config.distillation.learning_rate,
                turned=turned,
                teacher="layer",
            ),
        ]
    plans = []
    for number, (wide, dim) in enumerate(zip((input_dim, *dims), dims, strict=False)):
        nested = config.layers == "nested"
        both = wide != dim and (number > 0 or ads or not nested)
        sizes = (wide, dim) if both else (dim,)
        served = tuple(size for size in sizes if nested and size in dims) or (dim,)
        longer = round(steps * max(1.0, dims[0] / sizes[0]) ** options.growth)
        turned = sizes[0] if nested and number and turns else 0
        plans.append(
            StagePlan(number, sizes[0], sizes, served, longer, rate, select=ads and both, turned=turned)
        )
    return plans
