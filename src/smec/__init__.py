"""smec: make the embeddings you already have 8-32x smaller, and retrieve as well or better.

The public names are imported when they are first used, so that ``import smec`` costs
nothing and ``Compressor`` needs neither torch nor scipy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smec.bulk.compress import compress
    from smec.compressor import Compressor
    from smec.config import TrainConfig
    from smec.data import Dataset, Embeddings
    from smec.errors import SmecError
    from smec.evaluation.comparison import evaluate
    from smec.feedback import Feedback
    from smec.method.adaptation import adapt
    from smec.method.extension import extend
    from smec.method.trainer import train
    from smec.verification import verify

__version__ = "0.1.0"

_HOMES = {
    "Compressor": "smec.compressor",
    "Dataset": "smec.data",
    "Embeddings": "smec.data",
    "Feedback": "smec.feedback",
    "SmecError": "smec.errors",
    "TrainConfig": "smec.config",
    "adapt": "smec.method.adaptation",
    "compress": "smec.bulk.compress",
    "evaluate": "smec.evaluation.comparison",
    "extend": "smec.method.extension",
    "train": "smec.method.trainer",
    "verify": "smec.verification",
}

__all__ = [
    "Compressor",
    "Dataset",
    "Embeddings",
    "Feedback",
    "SmecError",
    "TrainConfig",
    "adapt",
    "compress",
    "evaluate",
    "extend",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'smec' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
