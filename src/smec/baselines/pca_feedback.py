"""PCA with feedback: the control for what feedback gains without a trained matrix."""

from __future__ import annotations

from smec.baselines.pca import fit_pca
from smec.data import Dataset
from smec.encoder import Projection
from smec.feedback import Feedback
from smec.with_feedback import WithFeedback

NAME = "pca-feedback"
WEIGHT = 2.0
"""The largest weight that training chooses from."""


def fit_pca_feedback(dataset: Dataset, dims: tuple[int, ...], *, seed: int = 0) -> WithFeedback:
    """Fit PCA to the corpus as it is, and move judged documents by the train judgements before it.

    Parameters
    ----------
    dataset : Dataset
        With train queries.
    dims : tuple of int
        Sizes to serve, descending, none above D.
    seed : int
        Not used: nothing is random here.

    Raises
    ------
    DataError
        The dataset has no judged train queries.
    """
    feedback = Feedback.from_dataset(dataset, weight=WEIGHT)
    pca = Projection(fit_pca(dataset, dims).matrix, dims, NAME)
    return WithFeedback(pca, feedback, NAME)
