"""State of a training: what its stages have learned so far, and how a checkpoint keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smec.training.loop import LoopState


@dataclass
class Learned:
    """Results of the stages so far.

    Attributes
    ----------
    layers : list of Tensor
        Fresh: the (d_{k-1}, d_k) head of every finished stage. Nested: the one (D, d_1) layer.
    stages : list of dict
        Sizes, best step, what ADS kept and the validation curve of every finished stage.
    checks : dict of int to (Tensor, ndarray)
        The nested layer at each check of the last stage, where that trains all sizes: step -> layer of shape
        (D, d_1), and scores of shape (sizes, held-out queries).
    queries : dict of int to Tensor
        The layer of queries at each of these checks, where they have their own.
    """

    layers: list[Tensor] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[int, tuple[Tensor, NDArray[np.float64]]] = field(default_factory=dict)
    queries: dict[int, Tensor] = field(default_factory=dict)


def layer_tensors(learned: Learned) -> dict[str, Tensor]:
    """Layers of finished stages, by name."""
    return {f"layer.{number}": layer for number, layer in enumerate(learned.layers)}


def check_tensors(learned: Learned) -> dict[str, Tensor]:
    """Layers and scores of the checks of the last stage, by name."""
    found = {f"check.{step}": layer for step, (layer, _) in learned.checks.items()}
    found |= {f"query.{step}": layer for step, layer in learned.queries.items()}
    return found | {f"scores.{step}": torch.from_numpy(of) for step, (_, of) in learned.checks.items()}


def loop_tensors(state: LoopState) -> dict[str, Tensor]:
    """Parameters of a running stage, its best ones, their average and AdamW's moments, by name."""
    tensors = {f"parameter/{name}": tensor for name, tensor in state.parameters.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    tensors |= {f"average/{name}": tensor for name, tensor in state.average.items()}
    for name, moments in state.moments.items():
        tensors |= {f"moment/{name}/{key}": tensor for key, tensor in moments.items()}
    return tensors


def loop_numbers(state: LoopState) -> dict[str, Any]:
    """Steps, loss and history of a running stage."""
    names = ("step", "loss", "best_step", "best_score", "history")
    return {name: getattr(state, name) for name in names}


def loop_state(tensors: dict[str, Tensor], numbers: dict[str, Any], device: torch.device) -> LoopState:
    """State of a running stage from what `loop_tensors` and `loop_numbers` gave."""
    state = LoopState({})
    for name, tensor in tensors.items():
        kind, *rest = name.split("/")
        # AdamW counts its steps on the CPU.
        tensor = tensor if rest[-1:] == ["step"] else tensor.to(device)
        if kind == "parameter":
            state.parameters[rest[0]] = tensor
        elif kind == "best":
            state.best[rest[0]] = tensor
        elif kind == "average":
            state.average[rest[0]] = tensor
        elif kind == "moment":
            state.moments.setdefault(rest[0], {})[rest[1]] = tensor
    history = [(int(step), float(score)) for step, score in numbers["history"]]
    return replace(state, **{**numbers, "history": history})
