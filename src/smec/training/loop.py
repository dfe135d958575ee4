"""One plain loop: step, check, keep the best, stop early. It knows no method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from smec.config import OptimiserConfig, ValidationConfig
from smec.errors import DataError
from smec.training.processes import ALONE, Processes

Unit = Literal["begins", "starts", "checks", "steps"]

WARM_UP = 20
"""Steps over which the learning rate rises."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands; given to the caller after every step."""

    stage: int
    """From 1."""
    stages: int
    sizes: tuple[int, ...]
    """Sizes in the stage's loss."""
    step: int
    steps: int
    loss: float
    """NaN before the first step."""
    score: float | None
    """Of the last check."""
    metric: str
    unit: Unit = "steps"
    """Work that was done since the call before: a step, a check, what precedes the first check of a stage, or
    what precedes the stage. `smec.train` calls its caller back after steps alone."""


@dataclass
class LoopState:
    """All that a stage needs to go on where it stopped, bit for bit."""

    parameters: dict[str, Tensor]
    step: int = 0
    loss: float = math.nan
    best_step: int = -1
    best_score: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    """Moving average of the parameters, which is what checks score; empty before the first step."""
    moments: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """AdamW's first and second moments and step count, by parameter."""
    history: list[tuple[int, float]] = field(default_factory=list)
    """Step and validation score of each check."""


def optimise(
    state: LoopState,
    loss_at: Callable[[Mapping[str, Tensor], int], Tensor],
    score: Callable[[Mapping[str, Tensor]], float],
    optimiser: OptimiserConfig,
    validation: ValidationConfig,
    *,
    steps: int,
    on_check: Callable[[], None],
    on_step: Callable[[LoopState], None],
    processes: Processes = ALONE,
) -> None:
    """Minimise ``loss_at`` with AdamW; ``state.best`` ends as the averaged parameters of the best check.

    Step 0 is checked too, so that a training that only harms ends where it started.

    Parameters
    ----------
    state : LoopState
        Changed in place.
    loss_at : callable
        (parameters, step) -> scalar loss; must depend on nothing else that changes. With several
        processes, this one's share of the loss: the shares are added.
    score : callable
        Parameters -> validation score, higher is better.
    steps : int
        Length of the learning rate's schedule.
    on_check : callable
        Called after each check, when ``state`` is whole: the place to save it.
    on_step : callable
        Called after each step.
    processes : Processes
        That take the same steps.

    Raises
    ------
    DataError
        The loss is not finite.
    """
    leaves = {name: tensor.requires_grad_() for name, tensor in state.parameters.items()}
    adam = torch.optim.AdamW(
        list(leaves.values()), lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay
    )
    for name, leaf in leaves.items():
        adam.state[leaf] = state.moments.setdefault(name, {})
    while True:
        # A resumed state has been checked at its step already.
        if state.step % validation.every == 0 or state.step == steps:
            if not state.history or state.history[-1][0] != state.step:
                _check(state, score)
                on_check()
            if state.step == steps or _stale(state, validation):
                return
        for group in adam.param_groups:
            group["lr"] = optimiser.learning_rate * _schedule(state.step, steps)
        loss = loss_at(leaves, state.step)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        loss = processes.add_up(loss, leaves.values())
        if not torch.isfinite(loss):
            raise DataError(
                f"the loss became {loss.item()} at step {state.step}; lower optimiser.learning_rate"
            )
        adam.step()
        state.step += 1
        state.loss = loss.item()
        _average(state, leaves, optimiser.averaging)
        on_step(state)


def load_optimiser() -> None:
    """Load what torch imports when the first optimiser is made: seconds that belong to no stage."""
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])


def _average(state: LoopState, leaves: Mapping[str, Tensor], decay: float) -> None:
    # The first steps weigh less than ``decay`` says, or the start would linger in the average.
    decay = min(decay, state.step / (state.step + 5))
    for name, leaf in leaves.items():
        now = leaf.detach()
        before = state.average.get(name)
        state.average[name] = now.clone() if before is None else before.lerp_(now, 1 - decay)


def _check(state: LoopState, score: Callable[[Mapping[str, Tensor]], float]) -> None:
    candidate = {name: leaf.detach() for name, leaf in (state.average or state.parameters).items()}
    with torch.no_grad():
        value = score(candidate)
    state.history.append((state.step, value))
    if value > state.best_score:
        state.best_score, state.best_step = value, state.step
        state.best = {name: tensor.clone() for name, tensor in candidate.items()}


def _stale(state: LoopState, validation: ValidationConfig) -> bool:
    return state.step - state.best_step >= validation.patience * validation.every


def _schedule(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
