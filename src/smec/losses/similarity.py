"""Losses that align similarities of compressed vectors with those of the originals (no labels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

NEVER = -1e4
"""Logit of what is left out of a softmax; finite, so that nothing times it is nothing."""


def absolute_difference(student: Tensor, teacher: Tensor) -> Tensor:
    """SMEC's Eq. 7: mean over anchors and neighbours of ``|sim(x_i, x_j) - sim(y_i, y_j)|``.

    Parameters
    ----------
    student, teacher : Tensor of shape (anchors, neighbours)
        Cosines of the compressed vectors and of the originals.

    Returns
    -------
    Tensor of shape ()
    """
    return (student - teacher).abs().mean()


@dataclass(frozen=True)
class Target:
    """A softmax over each row of a teacher's similarities, which several students share.

    Attributes
    ----------
    probabilities : Tensor of shape (anchors, neighbours)
    entropy : Tensor of shape ()
        Mean over the anchors, in nats.
    temperature : float
        Divides the similarities of teacher and students.
    left_out : Tensor of shape (anchors, neighbours), bool, optional
        Pairs that have no part in either softmax.
    """

    probabilities: Tensor
    entropy: Tensor
    temperature: float
    left_out: Tensor | None = None

    @classmethod
    def of(cls, teacher: Tensor, temperature: float, left_out: Tensor | None = None) -> Target:
        """Make the target of a teacher's similarities, shape (anchors, neighbours)."""
        logits = teacher / temperature
        if left_out is not None:
            logits = logits.masked_fill(left_out, NEVER)
        log = functional.log_softmax(logits, dim=1)
        probabilities = log.exp()
        entropy = -(probabilities * log).sum() / max(1, len(teacher))
        return cls(probabilities, entropy, temperature, left_out)


def listwise_kl(student: Tensor, target: Target) -> Tensor:
    """Mean over anchors of ``KL(softmax(teacher / t) || softmax(student / t))``.

    Only the order and spacing of an anchor's neighbours matter, not the level of its
    similarities, which a small space cannot keep.

    Parameters
    ----------
    student : Tensor of shape (anchors, neighbours)
    target : Target

    Returns
    -------
    Tensor of shape ()
    """
    crossed: Tensor = _CrossEntropy.apply(student, target)  # type: ignore[no-untyped-call]
    return crossed - target.entropy


class _CrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of a target and a student; the gradient is made on the way, in few passes."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, target: Target) -> Tensor:
        log = student / target.temperature
        if target.left_out is not None:
            log.masked_fill_(target.left_out, NEVER)
        log -= torch.logsumexp(log, dim=1, keepdim=True)
        value = -torch.dot(target.probabilities.flatten(), log.flatten()) / len(student)
        ctx.scale = 1 / (target.temperature * len(student))
        ctx.save_for_backward(log.exp_().sub_(target.probabilities))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return gradients[0] * ctx.scale * difference, None
