"""``migrate``: the vectors of a collection, made small, into another one of any database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from smec.artefact_files import tensors_hash
from smec.codecs import Codec, Codes, code_bytes
from smec.compressor import Compressor
from smec.databases import open_collection
from smec.databases.address import parse_target
from smec.databases.collection import PAGE_ROWS, Collection, Page, Shape, Stamp
from smec.databases.comparison import RowSample, Side, ask, furthest
from smec.databases.origin import Origin
from smec.encoder import served
from smec.errors import ConfigError, DatabaseError, DataError, OutputError
from smec.vectors import FloatArray, check_vectors

VERIFIED = 256
"""Rows that are read back and compared."""
TOLERANCE = {"float32": 1e-5, "float16": 1e-3, "binary": 0.01}
"""How far a number that is read back may be from the one that is made again; of bits, the share that may
differ, as a number beside its threshold may round to the other side."""

OnRows = Callable[[int, int], None]


@dataclass(frozen=True)
class Migrated:
    """What `migrate` has done.

    Parameters
    ----------
    source, target : Side
        Before and after.
    rows : int
        In the target.
    reused : int
        Of them from an earlier run.
    verified : int
        Rows that were read back.
    queries : int
        Rows of the source that were searched for in both.
    overlap : float
        Mean share of the ten nearest rows in the source that are among the ten of the target.
    """

    source: Side
    target: Side
    rows: int
    reused: int
    verified: int
    queries: int
    overlap: float


def migrate(
    compressor: Compressor,
    source: str,
    target: str,
    *,
    dim: int | None = None,
    codec: str = "float32",
    resume: bool = False,
    any_data: bool = False,
    page_rows: int = PAGE_ROWS,
    progress: OnRows | None = None,
) -> Migrated:
    """Write a collection's vectors, compressed, with their ids and payload into a new collection.

    It is read in pages, so memory does not grow with its rows. The target is stamped with the
    compressor's fingerprint before the first row; afterwards it is indexed and counted, a sample is read
    back, and the same queries are asked of both collections.

    Parameters
    ----------
    compressor : Compressor
    source, target : str
        URLs, see `smec.databases`.
    dim : int, optional
        Size to write, the largest served by default.
    codec : str
        "float32", "float16" or "binary", where the target can hold it.
    resume : bool
        Write what an earlier run has not written.
    any_data : bool
        Take rows too that do not look like what the compressor was trained on.
    page_rows : int
        Rows read and written together.
    progress : callable, optional
        Called with (rows done, rows in all) after each page.

    Raises
    ------
    ConfigError
        A URL or a size that is none, options of a target, or a codec that it cannot hold.
    DataError
        The source has no vectors, several columns of them, vectors of another model or width, or an
        unusable row; names it. Or what was written is not what was read.
    OutputError
        The target exists, and ``resume`` is not set or it is not of such a migration.
    DatabaseError
        A database cannot be reached or refuses, at the start or midway; rows that are written stay.
    """
    stored = compressor.codec(codec, served(dim, compressor.dims, compressor.name))
    parse_target(target)
    with ExitStack() as stack:
        full = stack.enter_context(open_collection(source))
        shape = checked_shape(full)
        if shape.dim != compressor.input_dim:
            raise DataError(
                f"{full.name}: its vectors have {shape.dim} dims, but the compressor takes "
                f"{compressor.input_dim}"
            )
        small = stack.enter_context(open_collection(target))
        _prepare(small, shape, _stamp(compressor, stored, full.name, shape), resume=resume)
        sample = RowSample(VERIFIED)
        try:
            coder = _Coder(compressor, stored, None if any_data else Origin(compressor))
            rows, reused = _copy(full, small, coder, sample, resume, page_rows, progress)
        except DatabaseError as error:
            raise DatabaseError(f"{error}; what is written stays, go on with --resume") from error
        small.build_index()
        codes = stored.encode(compressor.encode(sample.vectors, stored.dim))
        _verify(small, codec, sample, codes, rows)
        asked = ask(full, small, sample.ids, sample.vectors, codes)
        before, after = asked.milliseconds
        # The numbers of a source are not read as they are stored: half-precision counts as float32.
        wide = Side(full.name, shape.dim, "float32", 4 * shape.dim, full.size(), before)
        bytes_ = code_bytes(codec, stored.dim)
        narrow = Side(small.name, stored.dim, codec, bytes_, small.size(), after)
    return Migrated(wide, narrow, rows, reused, len(sample.ids), asked.queries, asked.overlap)


def checked_shape(collection: Collection) -> Shape:
    """What a collection of full vectors holds.

    Raises
    ------
    DataError
        There is none, or it holds no vectors or those that a compressor has made.
    """
    shape = collection.shape()
    if shape is None:
        raise DataError(f"{collection.name}: there is no such collection")
    stamp = collection.stamp()
    if stamp is not None:
        raise DataError(
            f"{collection.name}: holds vectors that smec has compressed to {stamp.dim} dims, from "
            f"{stamp.source}; read that one"
        )
    if not shape.dim or not collection.count():
        raise DataError(f"{collection.name}: holds no vectors (0 rows)")
    return shape


def _stamp(compressor: Compressor, stored: Codec, source: str, shape: Shape) -> Stamp:
    tensors = stored.tensors()
    return Stamp(
        model=compressor.fingerprint,
        dim=stored.dim,
        codec=stored.name,
        calibration=tensors_hash(tensors) if tensors else None,
        source=source,
        vector=shape.vector,
        id=shape.id.name,
        free=shape.columns is None,
    )


def _prepare(target: Collection, like: Shape, stamp: Stamp, *, resume: bool) -> None:
    """Create the target, or make sure that it is the one to go on with."""
    if stamp.codec not in target.codecs:
        raise ConfigError(
            f"{target.name}: holds vectors as {' or '.join(target.codecs)}, not as {stamp.codec}"
        )
    if target.shape() is None:
        target.create(like, stamp)
        return
    before = target.stamp()
    if before is None:
        raise OutputError(
            f"{target.name}: exists and bears no stamp of smec, so its vectors may be any model's; name "
            "another collection"
        )
    for field, what in (
        ("model", "model"),
        ("dim", "size"),
        ("codec", "codec"),
        ("calibration", "calibration"),
    ):
        if getattr(before, field) != getattr(stamp, field):
            raise OutputError(
                f"{target.name}: holds vectors of another {what} ({getattr(before, field)}, not "
                f"{getattr(stamp, field)}), which cannot be mixed; name another collection"
            )
    if before.source != stamp.source:
        raise OutputError(f"{target.name}: was made from {before.source}; name another collection")
    if not resume:
        raise OutputError(
            f"{target.name}: exists already; finish it with --resume, or name another collection"
        )
    if before.feedback is not None:
        raise OutputError(
            f"{target.name}: `smec feedback` has moved documents in it, so it is finished; encode later "
            "documents and write them, or name another collection"
        )


@dataclass
class _Coder:
    """Makes the pages to write of those that are read."""

    compressor: Compressor
    codec: Codec
    origin: Origin | None

    def check(self, page: Page, name: str, first_row: int) -> FloatArray:
        """The page's vectors, if a compressor can take them."""
        ids = [str(id_) for id_ in page.ids]
        dim = self.compressor.input_dim
        vectors = check_vectors(page.vectors, name, dim=dim, ids=ids, first_row=first_row)
        if self.origin is not None:
            self.origin.check(vectors, ids, name)
        return vectors

    def small(self, page: Page) -> Page:
        """The page with codes in the place of its vectors."""
        codes: Codes = self.codec.encode(self.compressor.encode(page.vectors, self.codec.dim))
        return Page(page.ids, codes, page.payload)


def _copy(
    full: Collection,
    small: Collection,
    coder: _Coder,
    sample: RowSample,
    resume: bool,
    page_rows: int,
    progress: OnRows | None,
) -> tuple[int, int]:
    """Write what is not there yet; returns how many rows were read, and how many of them were there."""
    total, read, reused = full.count(), 0, 0
    # What an earlier run has written shows in the target itself: no record of it can be lost or wrong.
    resume = resume and small.count() > 0
    for page in full.pages(page_rows):
        sample.offer(page.ids, coder.check(page, full.name, read))
        there = small.existing(page.ids) if resume else [False] * len(page.ids)
        missing = [row for row, known in enumerate(there) if not known]
        if missing:
            small.write(coder.small(page if len(missing) == len(there) else page.only(missing)))
        read += len(page.ids)
        reused += len(there) - len(missing)
        if progress is not None:
            progress(read, total)
    if read != total:
        raise DataError(
            f"{full.name}: {read:,} rows came, but there were {total:,}; are ids null or twice in it, or did "
            "it change meanwhile?"
        )
    return read, reused


def _verify(small: Collection, codec: str, sample: RowSample, codes: Codes, rows: int) -> None:
    """Raise DataError unless all rows are in the target, and those of the sample are what they should be."""
    there = small.count()
    if there != rows:
        raise DataError(
            f"{small.name}: holds {there:,} rows, but {rows:,} were read; are ids twice in the source, or "
            "did it change meanwhile?"
        )
    worst = furthest(small.fetch(sample.ids), codes)
    if not worst <= TOLERANCE[codec]:  # NaN is not
        raise DataError(
            f"{small.name}: what is read back differs from what was written by {worst:.1e} (allowed "
            f"{TOLERANCE[codec]:.0e}); do not use it"
        )
