"""LeanVec (arXiv 2312.16335), its variants for queries that are distributed unlike the documents.

Queries q and documents x get matrices A and B of their own, such that ``<Aᵀq, Bᵀx>`` is near ``<q, x>``
on the train queries Q and the corpus X::

    L(A, B) = |Q A Bᵀ Xᵀ - Q Xᵀ|²,   columns of A and B orthonormal

"leanvec-es" (eigenvector search): A = B = the leading eigenvectors of
``(1 - β)/m QᵀQ + β/n XᵀX`` for the β of the least L. "leanvec-fw" (Frank-Wolfe): the constraint
becomes its convex hull, spectral norm at most 1, and A and B take steps in turn. The variant for queries
distributed as the documents, A = B = the leading eigenvectors of XᵀX, is uncentred PCA: "pca".

Only the vectors of the judged train queries are looked at, not their judgements. Every size has its own
solution. Rows have unit length and are not centred, as in the paper.

Read as follows. LeanVec scores by the inner product of the small vectors; here they are made unit-length
as every method's are, which leaves a query's ranking to the direction of the small documents alone.
Frank-Wolfe starts at the eigenvector search, and its steps, whose length the paper takes from a falling
schedule, minimise L along their direction, which L being quadratic there is exact: L never rises and
ends lower than by the schedule. It stops when a turn gains less than a thousandth of L, or L is
next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, polar
from scipy.optimize import minimize_scalar

from smec.baselines.pca import signed
from smec.data import Dataset
from smec.data.moments import moments_of
from smec.encoder import Projection, ProjectionPerSize

Matrix = NDArray[np.float64]

TURNS = 100
"""Most turns of Frank-Wolfe, one step of A and one of B each."""

LEAST_GAIN = 1e-3
"""Share of the loss that a turn must gain to be followed by another."""

NEGLIGIBLE = 1e-5
"""Share of the mean squared inner product below which the loss is not worth a turn."""

PRECISION = 0.01
"""Of β."""


def fit_leanvec_es(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> ProjectionPerSize:
    """Search for the mixture of both second moments whose eigenvectors serve the train queries best.

    Parameters
    ----------
    dataset : Dataset
        Its corpus is read block by block; it may be a memory map.
    dims : tuple of int
        Sizes to serve, descending, none above D.
    seed : int
        Not used: nothing is random here.

    Raises
    ------
    DataError
        No judged train queries.
    """
    moments = Moments(dataset)
    shared = {dim: moments.eigenvector_search(dim) for dim in dims}
    return ProjectionPerSize(_projections(shared, "leanvec-es"), "leanvec-es")


def fit_leanvec_fw(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> ProjectionPerSize:
    """Minimise the loss over a matrix for queries and another for documents by Frank-Wolfe.

    Parameters and errors are those of `fit_leanvec_es`.
    """
    moments = Moments(dataset)
    pairs = {dim: moments.frank_wolfe(moments.eigenvector_search(dim)) for dim in dims}
    queries = {dim: pair[0] for dim, pair in pairs.items()}
    documents = {dim: pair[1] for dim, pair in pairs.items()}
    return ProjectionPerSize(
        _projections(documents, "leanvec-fw"), "leanvec-fw", queries=_projections(queries, "leanvec-fw")
    )


class Moments:
    """Second moments of the train queries and of the corpus, all that the loss depends on.

    Parameters
    ----------
    dataset : Dataset

    Raises
    ------
    DataError
        No judged train queries.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.queries: Matrix = moments_of(dataset.judged("train").vectors).second
        self.documents: Matrix = dataset.moments.second

    def loss(self, a: Matrix, b: Matrix) -> float:
        """L(A, B) / (m n) for A and B of shape (D, d), the mean squared error of an inner product."""
        of_queries, of_documents = self.queries @ a, self.documents @ b
        small = np.vdot(a.T @ of_queries, b.T @ of_documents)
        cross = np.vdot(of_queries, of_documents)
        return max(0.0, float(np.vdot(self.queries, self.documents) - 2 * cross + small))

    def eigenvector_search(self, dim: int) -> Matrix:
        """Orthonormal columns (D, dim) for both sides."""

        def axes(beta: float) -> Matrix:
            mixture = (1 - beta) * self.queries + beta * self.documents
            last = len(mixture) - 1
            return signed(eigh(mixture, subset_by_index=(last - dim + 1, last))[1][:, ::-1])

        def loss(beta: float) -> float:
            shared = axes(beta)
            return self.loss(shared, shared)

        return axes(_least(loss))

    def frank_wolfe(self, start: Matrix) -> tuple[Matrix, Matrix]:
        """A and B (D, d), both from ``start``."""
        a = b = start
        loss = self.loss(a, b)
        for _ in range(TURNS):
            if loss <= NEGLIGIBLE * np.vdot(self.queries, self.documents):
                break
            a = _step(a, b, self.queries, self.documents)
            b = _step(b, a, self.documents, self.queries)
            before, loss = loss, self.loss(a, b)
            if before - loss <= LEAST_GAIN * before:
                break
        return a, b


def _least(loss: Callable[[float], float]) -> float:
    found = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": PRECISION})
    # A bounded search never tries its ends; at 1 stands PCA.
    return float(found.x) if found.fun < loss(1.0) else 1.0


def _step(own: Matrix, other: Matrix, own_moment: Matrix, other_moment: Matrix) -> Matrix:
    """Move ``own`` towards the vertex that the gradient points to, as far as the loss falls."""
    reach = other_moment @ other
    inner = other.T @ reach
    gradient = own_moment @ (own @ inner - reach)
    direction = -polar(gradient)[0] - own
    slope = float(np.vdot(gradient, direction))
    curvature = float(np.vdot(own_moment @ direction @ inner, direction))
    length = min(1.0, -slope / curvature) if slope < 0 < curvature else 0.0
    return own + length * direction


def _projections(matrices: dict[int, Matrix], name: str) -> dict[int, Projection]:
    return {dim: Projection(matrix.astype(np.float32), (dim,), name) for dim, matrix in matrices.items()}
