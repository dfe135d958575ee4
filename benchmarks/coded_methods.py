"""What is compared at equal bytes: smec with the codes that it chooses from, and rivals' codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.methods import Method, smec
from smec import Compressor, Dataset
from smec.baselines import fit_baseline
from smec.calibration import calibrate
from smec.codecs import FREE, packs
from smec.coded import Coded, coded
from smec.encoder import default_dims

BUDGETS = (8, 16, 32, 64, 128, 256, 512)
"""Bytes per vector."""

MOST_PARTS = 128
"""Of OPQ, which learns a rotation for hours beyond; larger budgets have this."""


TRAINED_SHARE = 4
"""OPQ after a trained rival codes D/4 dims, in which such a rival keeps nearly all that it gains."""


@dataclass(frozen=True)
class Stored:
    """Vectors of one size under one codec.

    Attributes
    ----------
    dim : int
    codec : str
    encoder : Coded
    held_out : float or None
        Score on held-out train queries, by which smec chooses; rivals have none.
    """

    dim: int
    codec: str
    encoder: Coded
    held_out: float | None = None


@dataclass(frozen=True)
class CodedSmec:
    """A training that scores sizes and codecs within the largest budget on held-out queries."""

    method: Method
    learned = True

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.method.name

    def specification(self) -> dict[str, Any]:
        """All that decides what it gives on given data, but for the seed."""
        return {"coded": self.method.specification()}

    def stored(self, dataset: Dataset, seed: int) -> list[Stored]:
        """Every size and codec that the training considered; the test split is not looked at."""
        compressor = self.method.fit(dataset, seed)
        assert isinstance(compressor, Compressor) and compressor.manifest.choice is not None
        considered = compressor.manifest.choice.considered
        corpus = dataset.corpus.vectors
        for one in considered:
            if one.codec not in (*FREE, *compressor.codecs[one.dim]):
                compressor = calibrate(compressor, corpus, [one.codec], dims=[one.dim], seed=seed)
        return [
            Stored(one.dim, one.codec, coded(compressor, one.codec, corpus, [one.dim]), one.score)
            for one in considered
        ]


@dataclass(frozen=True)
class CodedRival:
    """A baseline with a codec, at each budget as many dims or parts as fit.

    Attributes
    ----------
    name : str
        What tables call it.
    baseline : str
    kind : str
        Its codec; "opq" gets a number of parts.
    learned : bool
        Trained with the train labels, and with a seed.
    """

    name: str
    baseline: str
    kind: str
    learned: bool = False

    def specification(self) -> dict[str, Any]:
        """All that decides what it gives on given data."""
        fitted = Method(self.baseline).specification() if self.learned else {"baseline": self.baseline}
        return {"coded": {**fitted, "codec": self.kind, "budgets": list(BUDGETS), "parts": MOST_PARTS}}

    def stored(self, dataset: Dataset, seed: int) -> list[Stored]:
        """One size and codec per budget, where it has any; calibrated on the corpus."""
        pairs = list(dict.fromkeys(filter(None, (self._fitting(dataset.dim, budget) for budget in BUDGETS))))
        coded_sizes = {dim for dim, _ in pairs}
        trained = set(default_dims(dataset.dim)) if self.learned and self.kind == "opq" else set()
        sizes = sorted(coded_sizes | trained, reverse=True)
        encoder = fit_baseline(self.baseline, dataset, sizes, seed)
        return [
            Stored(dim, codec, coded(encoder, codec, dataset.corpus.vectors, [dim], seed))
            for dim, codec in pairs
        ]

    def _fitting(self, width: int, budget: int) -> tuple[int, str] | None:
        if self.kind == "int8":
            return min(width, budget), "int8"
        if self.kind == "binary":
            return min(width, 8 * budget), "binary"
        if self.kind == "int4":
            return min(width, 2 * budget), "int4"
        if self.kind == "rabitq":  # eight bytes of factors beside the bits
            dims = min(width, 8 * (budget - 8))
            return (dims, "rabitq") if dims > 0 else None
        dims = width // TRAINED_SHARE if self.learned else width
        parts = max(n for n in range(1, min(budget, MOST_PARTS) + 1) if dims % n == 0)
        return dims, f"{self.kind}{parts}"


POST_HOC = CodedSmec(smec("smec, coded afterwards", budget=max(BUDGETS)))


def aware(width: int) -> dict[str, CodedSmec]:
    """Codec -> the training of vectors of ``width`` dims that looks through it.

    All sizes that pack for binary and int4; for product codes D/8 and D/16, where those are more than two
    dims a part; for int8 the sizes of at most 32 bytes.
    """
    every, middle = default_dims(width), (width // 8, width // 16)
    bits = tuple(dim for dim in every if packs("binary", dim))
    sizes: dict[str, tuple[int, ...] | None] = {
        "binary": None if bits == every else bits,
        "int4": None,
        **{
            f"pq{parts}": tuple(dim for dim in middle if dim > 2 * parts and dim % parts == 0)
            for parts in (8, 16, 32)
        },
        "int8": tuple(dim for dim in every if dim <= 32),
    }
    return {
        codec: CodedSmec(smec(f"smec, trained for {codec}", codec=codec, dims=dims, budget=max(BUDGETS)))
        for codec, dims in sizes.items()
        if dims != ()
    }


RIVALS = (
    CodedRival("PCA + int8", "pca", "int8"),
    CodedRival("PCA + binary", "pca", "binary"),
    CodedRival("truncation + binary", "truncate", "binary"),
    CodedRival("OPQ", "truncate", "opq"),
    CodedRival("PCA + RaBitQ", "pca", "rabitq"),
    CodedRival("mrl + int4", "mrl", "int4", learned=True),
    CodedRival("mrl + OPQ", "mrl", "opq", learned=True),
    CodedRival("chain + int4", "chain", "int4", learned=True),
    CodedRival("chain + OPQ", "chain", "opq", learned=True),
)
"""OPQ codes the full vectors, or D/4 dims of a trained rival; RaBitQ codes as many principal axes as fit, or
all of them."""
