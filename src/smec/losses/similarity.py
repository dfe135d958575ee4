"""Losses that align similarities of compressed vectors with those of the originals (no labels)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


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


def listwise_kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over anchors of ``KL(softmax(teacher / t) || softmax(student / t))``.

    Only the order and spacing of an anchor's neighbours matter, not the level of its
    similarities, which a small space cannot keep.

    Parameters
    ----------
    student, teacher : Tensor of shape (anchors, neighbours)
    temperature : float

    Returns
    -------
    Tensor of shape ()
    """
    target = functional.softmax(teacher / temperature, dim=1)
    return functional.kl_div(
        functional.log_softmax(student / temperature, dim=1), target, reduction="batchmean"
    )
