"""An encoder whose vectors are stored by a codec: documents are coded, queries stay floats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smec.codecs import Codec, code_bytes, fit_codec, packs, sampled
from smec.compressor import Compressor
from smec.encoder import Encoder, served
from smec.feedback import Feedback
from smec.vectors import Float32Array, FloatArray
from smec.with_feedback import WithFeedback


class Coded:
    """Answers as the encoder it wraps, with documents as their codes stand for them.

    Parameters
    ----------
    encoder : Encoder
    codecs : mapping of int to Codec
        Size -> its codec, sizes descending.
    """

    def __init__(self, encoder: Encoder, codecs: Mapping[int, Codec]) -> None:
        self.encoder = encoder
        self.codecs = dict(codecs)
        self.name = encoder.name
        self.input_dim = encoder.input_dim
        self.dims = tuple(self.codecs)

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Sizes that the gate gave to a baseline, with its name."""
        given: Mapping[int, str] = getattr(self.encoder, "fallbacks", {})
        return {dim: name for dim, name in given.items() if dim in self.codecs}

    @property
    def feedback(self) -> Feedback | None:
        """Feedback that moves documents before they are encoded, if there is any."""
        moving: Feedback | None = getattr(self.encoder, "feedback", None)
        return moving

    def encode(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """What the documents' codes stand for, shape (n, dim), float32; not of unit length.

        Raises
        ------
        ConfigError
            ``dim`` is not served.
        DataError
            Another width than D, or an unusable row.
        """
        width = served(dim, self.dims, self.name)
        codec = self.codecs[width]
        return codec.decode(codec.encode(self.encoder.encode(vectors, width)))

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Queries as floats, unit rows: asymmetric scoring."""
        return self.encoder.encode_queries(vectors, served(dim, self.dims, self.name))


def coded(
    encoder: Encoder, name: str, vectors: FloatArray, dims: Sequence[int] | None = None, seed: int = 0
) -> Coded:
    """An encoder with a codec for those of the sizes that it can pack.

    Parameters
    ----------
    encoder : Encoder
        A compressor's own calibration is used; another encoder is calibrated on the corpus here.
    name : str
        Of the codec, as in `smec.codecs`.
    vectors : ndarray of shape (n, D)
        The corpus.
    dims : sequence of int, optional
        All served sizes by default.
    seed : int
        Of the calibration.

    Raises
    ------
    ConfigError
        No such codec, none of the sizes can be packed, or a compressor is not calibrated for any of them.
    MissingExtraError
        faiss is not installed.
    """
    sizes = [dim for dim in dims or encoder.dims if packs(name, dim)]
    if not sizes:
        code_bytes(name, (dims or encoder.dims)[0])  # says why
    calibrated = encoder.encoder if isinstance(encoder, WithFeedback) else encoder
    if isinstance(calibrated, Compressor):
        known = [dim for dim in sizes if name in calibrated.codecs[served(dim, encoder.dims, encoder.name)]]
        return Coded(encoder, {dim: calibrated.codec(name, dim) for dim in known or sizes})
    sample = sampled(vectors, seed)
    return Coded(encoder, {dim: fit_codec(name, encoder.encode(sample, dim), seed) for dim in sizes})
