"""Values of `smec.config.TrainConfig` that have a name: presets, and the candidates of preset "default"."""

from __future__ import annotations

from typing import Any

GENERAL: dict[str, Any] = {
    "schedule": "joint",
    "turned": False,
    "coordinates": "rotated",
    "memory": {"loss": "none"},
    "optimiser": {"steps": 120, "passes": 2.0, "negatives": 512, "hard_negatives": 8},
    "validation": {"every": 20, "mixtures": (0.25, 0.5, 0.75)},
}
"""One nested matrix, all sizes at once, few steps: what it learns holds for documents that nobody judged."""

UNLABELLED = "unlabelled"
"""Name of the candidate that reads no label."""

WITHOUT_LABELS: dict[str, Any] = {
    "coordinates": "principal",
    "distillation": {"tempering": 0.15, "anchors": 64},
    "optimiser": {"steps": 200, "passes": 4.0, "learning_rate": 6e-3},
    "validation": {"every": 100, "patience": 100, "mixtures": ()},
}
"""The originals, with their strong axes weakened a little, teach queries and documents; no label is read. The
last step ships, as no agreement with the originals tells which step retrieves best."""

CANDIDATES: dict[str, dict[str, Any]] = {
    # Queries without their judgements, and documents: what labels have to beat.
    UNLABELLED: {**WITHOUT_LABELS, "start": "pca", "rank": {"weight": 0.0}},
    # It goes on from there with the labels, and the originals still teach: best where the originals are good.
    "distilled": {
        "start": "unlabelled",
        "coordinates": "principal",
        "distillation": {"tempering": 0.15},
    },
    # Labels weigh more, and the teacher's strong axes are weakened: best where one direction, such as a
    # language or a site, drowns what queries ask for.
    "tempered": {
        "start": "unlabelled",
        "rank": {"weight": 3.0},
        "distillation": {"tempering": 0.6},
    },
    # The full size learns from the labels first, and then teaches all sizes: best with thousands of labels.
    # Not with folds of a growing corpus: with few labels it fits the judged documents.
    "trained": {
        "schedule": "distilled",
        "turned": True,
        "coordinates": "principal",
        "optimiser": {"steps": 150, "negatives": 1024, "hard_negatives": 0},
        "validation": {"every": 25, "mixtures": ()},
    },
}
"""Settings that `default` compares on held-out queries; they replace those of its configuration."""

PRESETS: dict[str, dict[str, Any]] = {
    "default": {**GENERAL, "candidates": (UNLABELLED, "distilled", "tempered", "trained")},
    # Identity start, one residual layer per stage, ADS, graded pairwise rank loss and absolute
    # similarity differences (Eq. 7 and 8). The paper's optimiser, batch, queue size and k are
    # not known to us: batch 128 and rate 1e-3 are Matryoshka-Adaptor's, its direct forerunner.
    "paper": {
        "schedule": "sequential",
        "turned": False,
        "start": "identity",
        "layers": "fresh",
        "selection": "ads",
        "rank": {"loss": "pairwise", "sentences": 0.0},
        "memory": {"loss": "absolute", "weight": 1.0, "size": 4096, "neighbours": 10, "anchors": 128},
        "optimiser": {
            "steps": 200,
            "passes": 0.0,
            "growth": 0.0,
            "learning_rate": 1e-3,
            "averaging": 0.0,
            "batch": 128,
            "negatives": 0,
        },
        "validation": {"every": 40},
    },
}

ADAPTED: dict[str, Any] = {
    **GENERAL,
    "queries": "own",
    "candidates": (),
    "coordinates": "principal",
    "distillation": {"anchors": 0},
}
"""Settings with which queries learn a matrix of their own for documents that stay as they are; a random
document teaches nothing there, as it has the same vector on both sides."""

UNSUPERVISED: dict[str, dict[str, Any]] = {
    "default": {**WITHOUT_LABELS, "candidates": ()},
    "paper": {"distillation": {"weight": 0.0}},
}
"""Changes of a preset that trains without labels."""
