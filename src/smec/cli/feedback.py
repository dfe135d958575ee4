"""``smec feedback``: judged documents of a compressed output, moved without compressing the others again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.feedback import Feedback


def read_feedback(compressor: Compressor, dataset: Path, weight: float | None) -> Feedback:
    """The feedback of a dataset folder's train split, with the weight of the option or of the compressor.

    Raises
    ------
    ConfigError
        There is no weight, or it is not a number above 0.
    DataError
        The folder has no usable queries and train judgements.
    """
    from smec.feedback import Feedback, chosen_weight

    return Feedback.from_dataset(dataset, weight=chosen_weight(compressor.manifest.feedback, weight))
