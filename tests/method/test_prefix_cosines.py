"""Cosines of prefixes, and their gradients, beside those of torch's own normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from smec.method.prefix_cosines import prefix_cosines

SIZES = (30, 12, 5)


def rows(count: int, columns: int = 30) -> Tensor:
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(count)).requires_grad_()


@pytest.mark.parametrize("sizes", [SIZES, (30,), (12, 5)])
def test_cosines_and_gradients_are_those_of_normalised_prefixes(sizes: tuple[int, ...]) -> None:
    queries, documents = rows(7), rows(11)
    found = prefix_cosines(queries, documents, sizes)
    expected = [normalize(queries[:, :d]) @ normalize(documents[:, :d]).T for d in sizes]
    weights = [torch.randn(7, 11, generator=torch.Generator().manual_seed(d)) for d in sizes]
    gradients = [
        torch.autograd.grad(
            sum(((w * of.exp()).sum() for w, of in zip(weights, cosines, strict=True)), torch.zeros(())),
            (queries, documents),
        )
        for cosines in (found, expected)
    ]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_row_of_zeros_has_cosine_0_and_a_finite_gradient() -> None:
    queries, documents = torch.zeros(2, 4, requires_grad=True), rows(3, 4)
    (cosines,) = prefix_cosines(queries, documents, (4,))
    assert cosines.tolist() == [[0.0] * 3] * 2
    (gradient,) = torch.autograd.grad(cosines.sum(), queries)
    assert torch.isfinite(gradient).all()
