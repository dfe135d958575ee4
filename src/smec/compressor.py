"""The compressor: what training ends in and what users hold (numpy and safetensors only).

Records of the artefact need pydantic, and are imported when a compressor is loaded, saved or assembled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smec import attachment, contents
from smec.artefact_files import CONFIG_FILE, FILES, TENSORS_FILE, Tensors, tensors_hash
from smec.block import Block, check_sizes, restored, shrunk
from smec.codecs import FREE, Codec, restore_codec
from smec.encoder import served
from smec.errors import ArtefactError, ConfigError, DataError
from smec.hub import OnHub
from smec.vectors import (
    Float32Array,
    FloatArray,
    check_table,
    check_vectors,
    made_unit,
    normalise,
    row_energy,
    usable,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from typing_extensions import Self

    from smec.artefact import Manifest
    from smec.feedback import Feedback

CANARY_TOLERANCE = 1e-4
"""How far a canary may move when BLAS or the processor is another one."""


class Compressor(OnHub):
    """Small, unit-length vectors of several sizes from one artefact.

    Parameters
    ----------
    blocks : sequence of Block
        Every size in exactly one of them.
    manifest : Manifest
        Where the blocks came from; its ``blocks``, ``dims`` and hash are those of ``blocks``
        after `assemble`, which is how one is made.
    tensors : dict
        The named tensors as they are on disk.
    """

    hub_files = FILES

    def __init__(self, blocks: Sequence[Block], manifest: Manifest, tensors: Tensors) -> None:
        self.manifest = manifest
        self.tensors = tensors
        self.name = "smec"
        self._blocks = {dim: block for block in blocks for dim in block.dims}

    @property
    def input_dim(self) -> int:
        """D, the width of the embeddings it takes."""
        return self.manifest.input_dim

    @property
    def dims(self) -> tuple[int, ...]:
        """Served sizes, descending."""
        return self.manifest.dims

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of what makes document vectors: the same vectors come out, the same fingerprint.

        Calibrations are left out, and matrices for queries: a compressor and one that was adapted from it can
        read each other's documents.
        """
        encoding = contents.of_encoding(self.tensors)
        return tensors_hash(contents.without_queries(encoding, self.manifest.blocks))

    def made(self, fingerprint: object, dim: int) -> bool:
        """Whether a compressor of this fingerprint makes the same document vectors of a served size.

        That is this one, and those that it was extended from.
        """
        blocks = self.manifest.blocks
        earlier = [
            blocks[:count] for count in range(1, len(blocks) + 1)
        ]  # `extend` adds smaller sizes behind
        return any(
            fingerprint == tensors_hash(contents.of_documents(self.tensors, of))
            for of in earlier
            if any(dim in block.dims for block in of)
        )

    @cached_property
    def query_fingerprint(self) -> str:
        """sha256 of what makes the vectors of queries and documents; `fingerprint` where they share it."""
        return tensors_hash(contents.of_encoding(self.tensors))

    @property
    def own_queries(self) -> tuple[int, ...]:
        """Sizes at which queries have a matrix of their own: there `encode_queries` differs from `encode`."""
        return tuple(dim for dim in self.dims if self._blocks[dim].query is not None)

    @property
    def codecs(self) -> Mapping[int, tuple[str, ...]]:
        """Size -> the codecs that store it: the free ones, and those that are calibrated."""
        calibrated = self.manifest.codecs
        return {dim: (*FREE, *(c.codec for c in calibrated if c.dim == dim)) for dim in self.dims}

    def codec(self, name: str, dim: int | None = None) -> Codec:
        """The codec ``name``, calibrated for vectors of a served size (the largest by default).

        Raises
        ------
        ConfigError
            ``dim`` is not served, or the codec is not calibrated for it.
        MissingExtraError
            The codec needs faiss: ``pip install 'smec[faiss]'``.
        """
        width = served(dim, self.dims, self.name)
        if name not in self.codecs[width]:
            raise ConfigError(
                f"{self.name}: size {width} is not calibrated for codec {name!r}; it has "
                f"{', '.join(self.codecs[width])}; `smec calibrate` adds others"
            )
        prefix = contents.CALIBRATION.format(dim=width, name=name)
        tensors = {n.removeprefix(prefix): t for n, t in self.tensors.items() if n.startswith(prefix)}
        try:
            return restore_codec(name, width, tensors)
        except KeyError as error:
            raise ArtefactError(f"{self.name}: the calibration of {name} lacks the tensor {error}") from error

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Sizes that the gate gave to a baseline, with its name."""
        return {dim: block.method for dim, block in self._blocks.items() if block.method != "smec"}

    @property
    def blocks(self) -> list[Block]:
        """Every block once, by the largest size that it serves."""
        return list({id(block): block for block in map(self.block, self.dims)}.values())

    def block(self, dim: int) -> Block:
        """The block that serves ``dim``."""
        return self._blocks[dim]

    def encode(
        self,
        vectors: FloatArray,
        dim: int | None = None,
        *,
        ids: Sequence[str] | None = None,
        feedback: Feedback | None = None,
    ) -> Float32Array:
        """Compress embeddings: one matrix product, plus a bias if the size has one, and L2 normalisation.

        Parameters
        ----------
        vectors : ndarray of shape (n, D) or (D,)
            float16, float32 or float64; their length does not matter.
        dim : int, optional
            One of ``dims``; the largest by default.
        ids : sequence of n str, optional
            Ids of the documents; needed with ``feedback`` and not used without.
        feedback : Feedback, optional
            Moves the judged documents first; the others come out bit for bit as without it.

        Returns
        -------
        ndarray of shape (n, dim) or (dim,), float32
            Unit rows.

        Raises
        ------
        ConfigError
            ``dim`` is not served, or there is feedback but no ids.
        DataError
            Another width than D, another number of ids, or a row with NaN, Inf or only zeros.
        """
        width = served(dim, self.dims, self.name)
        rows = check_table(np.atleast_2d(vectors), "encode", dim=self.input_dim)
        if feedback is not None:
            if ids is None:
                raise ConfigError("encode: feedback moves documents by their ids; pass ids")
            rows = feedback.move(rows, ids)
        encoded = self._encoded(rows, width, queries=False)
        return encoded[0] if np.ndim(vectors) == 1 else encoded

    def encode_queries(self, vectors: FloatArray, dim: int | None = None) -> Float32Array:
        """Compress query embeddings; the same as `encode` but at the sizes of ``own_queries``.

        Parameters
        ----------
        vectors : ndarray of shape (n, D) or (D,)
            float16, float32 or float64; their length does not matter.
        dim : int, optional
            One of ``dims``; the largest by default.

        Returns
        -------
        ndarray of shape (n, dim) or (dim,), float32
            Unit rows, to be compared with those of `encode` of the same size.

        Raises
        ------
        ConfigError
            ``dim`` is not served.
        DataError
            Another width than D, or a row with NaN, Inf or only zeros.
        """
        width = served(dim, self.dims, self.name)
        rows = check_table(np.atleast_2d(vectors), "encode", dim=self.input_dim)
        encoded = self._encoded(rows, width, queries=True)
        return encoded[0] if np.ndim(vectors) == 1 else encoded

    def _encoded(self, rows: FloatArray, width: int, *, queries: bool) -> Float32Array:
        # What is unusable in a row shows in its product, which is smaller to look at.
        with np.errstate(over="ignore", invalid="ignore"):
            floats = np.asarray(rows, dtype=np.float32)
            small = self._blocks[width].product(floats, width, queries=queries)
        energy = row_energy(small)
        if not usable(energy):
            check_vectors(rows, "encode")
            check_vectors(small, f"encode, compressed to {width} dims")
        return made_unit(small, energy)

    def shrink(self, vectors: FloatArray, dim: int, *, queries: bool = False) -> Float32Array:
        """Make vectors that this compressor has already compressed smaller, without the originals.

        Parameters
        ----------
        vectors : ndarray of shape (n, d), d one of ``dims``
        dim : int
            A smaller served size.
        queries : bool
            They are vectors of queries: where these have a matrix of their own, only a prefix can be made of
            them, as heads belong to the matrix of documents.

        Returns
        -------
        ndarray of shape (n, dim), float32
            Unit rows: a prefix where the sizes are nested, else a product with the stored head.

        Raises
        ------
        ConfigError
            ``dim`` is not served, or cannot be made from vectors of this size.
        DataError
            The vectors' width is not a served size, or a row is not usable, or is not any more when it is
            small.
        """
        rows = check_vectors(vectors, "shrink")
        served(dim, self.dims, self.name)
        if rows.shape[1] not in self.dims:
            sizes = ", ".join(map(str, self.dims))
            raise DataError(f"shrink: vectors have {rows.shape[1]} dims, but compressed ones have {sizes}")
        small = shrunk(self._blocks, normalise(rows), dim, queries=queries)
        check_vectors(small, f"shrink, compressed to {dim} dims")
        return small

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the artefact folder ``path``, whole or not at all (``force`` replaces one)."""
        from smec import artefact
        from smec.card import model_card

        artefact.write(Path(path), self.manifest, self.tensors, model_card(self.manifest), force=force)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an artefact folder.

        Raises
        ------
        ArtefactError
            Missing, foreign, damaged, of an unknown format version, not matching its hash, or with
            blocks that do not serve its sizes.
        """
        from smec import artefact

        manifest, tensors = artefact.read(Path(path))
        try:
            blocks = [restored(record, tensors) for record in manifest.blocks]
        except KeyError as error:
            raise ArtefactError(f"{path}: {TENSORS_FILE} lacks the tensor {error}") from error
        check_sizes(blocks, manifest, f"{path}: {CONFIG_FILE}")
        compressor = cls(blocks, manifest, tensors)
        compressor.name = f"smec:{path}"
        return compressor

    def attach(self, model: SentenceTransformer, dim: int | None = None) -> SentenceTransformer:
        """The embedding model with small output of a served size (the largest by default).

        ``model`` itself is not changed. Where queries have a matrix of their own, ``encode_query`` uses it;
        ``encode`` and ``encode_document`` use that of documents. ``truncate_dim`` may be set to sizes of the
        same block; the library does not bring them to unit length again unless ``encode`` is told
        ``normalize_embeddings=True``.

        Raises
        ------
        ConfigError
            ``dim`` is not served, or the model's vectors are not D wide.
        MissingExtraError
            ``pip install 'smec[sentence-transformers]'``.
        """
        width = served(dim, self.dims, self.name)
        block = self._blocks[width]
        query = None if block.query is None else block.leading(width, queries=True)[0]
        return attachment.attach(model, *block.leading(width), query)

    @classmethod
    def assemble(
        cls,
        blocks: Sequence[Block],
        manifest: Mapping[str, object],
        canaries: FloatArray,
        mean: FloatArray,
        codecs: Sequence[Codec] = (),
    ) -> Compressor:
        """Make a compressor from folded blocks.

        Parameters
        ----------
        blocks : sequence of Block
        manifest : mapping
            The `Manifest` fields other than ``blocks``, ``dims``, ``input_dim`` and the hash.
        canaries : ndarray of shape (c, D)
            A few corpus rows, kept with their outputs at every size.
        mean : ndarray of shape (D,)
            Mean of the unit-length corpus.
        """
        stored = contents.corpus_tensors(blocks, canaries, mean) | contents.calibrations(codecs)
        return cls(blocks, *contents.filled(blocks, manifest, stored, codecs))
