"""Codecs for a compressor's sizes, calibrated on the corpus whose vectors they are to store."""

from __future__ import annotations

from collections.abc import Sequence

from smec.codecs import FREE, NAMES, Codec, code_bytes, fit_codec, packs, sampled
from smec.compressor import Compressor
from smec.contents import ASSEMBLED, CANARY_INPUTS, MEAN
from smec.encoder import served
from smec.errors import ConfigError
from smec.vectors import FloatArray


def calibrate(
    compressor: Compressor,
    vectors: FloatArray,
    codecs: Sequence[str],
    *,
    dims: Sequence[int] | None = None,
    seed: int = 0,
) -> Compressor:
    """The compressor with codecs calibrated on a corpus; what it had stays, or is replaced by name.

    Parameters
    ----------
    compressor : Compressor
    vectors : ndarray of shape (n, D)
        Embeddings of the corpus, may be a memory map; a sample of 65,536 rows is looked at.
    codecs : sequence of str
        Names as in `smec.codecs`.
    dims : sequence of int, optional
        Served sizes; all by default.
    seed : int
        Of the sample, codebooks and random rotations.

    Returns
    -------
    Compressor
        Another one with the same fingerprint. Codecs that cannot pack a size leave it out.

    Raises
    ------
    ConfigError
        No codec is named, no such codec or size, or a codec that can pack none of the sizes.
    DataError
        Embeddings of another width, unusable rows, or fewer than a codebook needs.
    MissingExtraError
        faiss is not installed: ``pip install 'smec[faiss]'``.
    """
    if not codecs:
        raise ConfigError(f"codec: name at least one of {NAMES}")
    codecs = [name for name in dict.fromkeys(codecs) if name not in FREE]
    sizes = tuple(served(dim, compressor.dims, compressor.name) for dim in dims or compressor.dims)
    sample = sampled(vectors, seed)
    fitted = [codec for dim in sizes for codec in _of_size(compressor, sample, dim, codecs, seed)]
    for name in codecs:
        if not any(codec.name == name for codec in fitted):
            code_bytes(name, sizes[0])  # says why
    replaced = {(codec.dim, codec.name) for codec in fitted}
    kept = [c for c in compressor.manifest.codecs if (c.dim, c.codec) not in replaced]
    return _with(compressor, [*(compressor.codec(c.codec, c.dim) for c in kept), *fitted])


def _of_size(
    compressor: Compressor, sample: FloatArray, dim: int, codecs: Sequence[str], seed: int
) -> list[Codec]:
    names = [name for name in codecs if packs(name, dim)]
    encoded = compressor.encode(sample, dim) if names else None
    return [fit_codec(name, encoded, seed) for name in names if encoded is not None]


def _with(compressor: Compressor, codecs: Sequence[Codec]) -> Compressor:
    return Compressor.assemble(
        compressor.blocks,
        compressor.manifest.model_dump(exclude=ASSEMBLED),
        compressor.tensors[CANARY_INPUTS],
        compressor.tensors[MEAN],
        sorted(codecs, key=lambda codec: -codec.dim),
    )
