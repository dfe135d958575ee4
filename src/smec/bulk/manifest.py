"""What a sharded compression is to do and has done: the files of its output folder.

::

    OUTPUT/
    ├── _manifest.json         a `Manifest`: the plan, and at the end its state and the shards
    ├── part-00000.parquet     finished shards
    ├── shards/00000.json      a `Shard` or a `Failure` each, until all is done
    └── .lock                  held while a run is at work
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from smec.atomic import replacing
from smec.bulk.uploads import file_sha256, here
from smec.data.fingerprint import edges_sha256
from smec.data.npy import ids_path
from smec.data.places import Location, at_once, reason
from smec.errors import ConfigError, DataError, OutputError
from smec.feedback import FeedbackStamp

MANIFEST_FILE = "_manifest.json"
"""With a line, by which those who read a folder of Parquet know that it is none of the shards."""
RECORDS = "shards"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class InputFile(_Record):
    """A file to compress, and how to tell that it is still the same."""

    path: str
    bytes: int
    mtime_ns: int
    edges_sha256: str
    """Of its first and its last MiB."""
    rows: int
    ids_sha256: str | None = None
    """Of the file of ids beside a ``.npy``."""


class Piece(_Record):
    """Rows of one input file that become one shard."""

    number: int
    input: int
    """Place among the inputs."""
    first_row: int
    rows: int

    @property
    def file(self) -> str:
        """Name of the shard."""
        return f"part-{self.number:05}.parquet"


class Shard(_Record):
    """A finished shard."""

    number: int
    rows: int
    bytes: int
    sha256: str
    moved: int = 0
    """Documents that feedback has moved."""


class Failure(_Record):
    """A shard that could not be made; ``--resume`` tries it again."""

    number: int
    error: str


class Manifest(_Record):
    """The plan of a compression, decided at its start, and where it stands."""

    format: Literal["smec-shards"] = "smec-shards"
    format_version: Literal[1] = 1
    model: str
    """Fingerprint of the compressor."""
    calibration: str | None
    """Hash of the codec's calibration, where it has one."""
    input_dim: int
    from_dim: int | None = None
    """The served size that the inputs were compressed to before."""
    dim: int
    codec: str
    feedback: FeedbackStamp | None = None
    """The feedback that has moved documents of all shards."""
    rows_per_shard: int
    inputs: tuple[InputFile, ...]
    pieces: tuple[Piece, ...]
    state: Literal["running", "complete", "incomplete"] = "running"
    shards: tuple[Shard, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def rows(self) -> int:
        """In all inputs."""
        return sum(piece.rows for piece in self.pieces)


def input_file(path: Location, rows: int) -> InputFile:
    """Describe a file as it is now.

    Raises
    ------
    DataError
        It cannot be read.
    """
    ids = ids_path(path) if path.suffix == ".npy" else None
    try:
        found = path.stat()
        ids_sha256 = file_sha256(ids) if ids is not None and ids.exists() else None
        edges = edges_sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from error
    return InputFile(
        path=str(path),
        bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        edges_sha256=edges,
        rows=rows,
        ids_sha256=ids_sha256,
    )


def check_unchanged(path: Location, described: InputFile) -> None:
    """Raise DataError unless the file has the size and the time of change that it had at the start."""
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason(error)}") from error
    if (found.st_size, found.st_mtime_ns) != (described.bytes, described.mtime_ns):
        raise DataError(f"{path}: was changed while it was read")


def check_same(output: Location, before: Manifest, now: Manifest, kept: Collection[int]) -> None:
    """Raise ConfigError unless what is kept of the job before is part of the job now.

    An input may have been repaired, if nothing that is kept came from it and it is cut as it was.
    """
    if before.feedback is not None and before.feedback.fingerprint is None:
        raise ConfigError(f"{output}: `smec feedback` has not finished here; run it again first")
    for field, what in (
        ("model", "was begun with another compressor"),
        ("calibration", "was begun with another calibration of the codec"),
        ("input_dim", "was begun for vectors of another width"),
        ("from_dim", "was begun with another --from-dim"),
        ("dim", f"was begun for {before.dim} dims, not {now.dim}"),
        ("codec", f"was begun with codec {before.codec}, not {now.codec}"),
        ("feedback", "was begun with other feedback or without any"),
        (
            "rows_per_shard",
            f"was begun with {before.rows_per_shard} rows per shard, not {now.rows_per_shard}",
        ),
    ):
        if getattr(before, field) != getattr(now, field):
            raise ConfigError(f"{output}: {what}; resume it as it was begun, or begin anew with --force")
    used = {before.pieces[number].input for number in kept}
    for place, (old, new) in enumerate(zip(before.inputs, now.inputs, strict=False)):
        repaired = old.path == new.path and place not in used and before.pieces == now.pieces
        if old != new and not repaired:
            raise ConfigError(f"{output}: the input {new.path} is not as it was; begin anew with --force")
    if len(before.inputs) != len(now.inputs):
        raise ConfigError(
            f"{output}: was begun with {len(before.inputs)} inputs, now there are {len(now.inputs)}; "
            "begin anew with --force"
        )


def write_record(path: Location, record: BaseModel) -> None:
    """Write a record, whole or not at all, in place of what is there."""
    with here(path) as file, replacing(file, force=True) as part:
        part.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Location) -> Manifest:
    """Read the manifest of an output folder.

    Raises
    ------
    OutputError
        There is none, or it is damaged or of another format.
    """
    file = folder / MANIFEST_FILE
    try:
        return Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OutputError(f"{folder}: holds no {MANIFEST_FILE}, so there is nothing to resume") from error
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise OutputError(
            f"{file}: not a readable manifest ({reason(error)}); begin anew with --force"
        ) from error


def finished(folder: Location) -> dict[int, Shard]:
    """Shards whose record is whole and whose file is as it says, by number."""
    manifest = read_manifest(folder)
    found = {shard.number: shard for shard in manifest.shards}
    for file in (folder / RECORDS).glob("*.json"):
        try:
            shard = Shard.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            continue  # a failure, or damaged: made again
        found[shard.number] = shard
    shards = list(found.values())
    files = [folder / manifest.pieces[shard.number].file for shard in shards]
    sha256 = at_once(_sha256, files)
    return {
        shard.number: shard for shard, digest in zip(shards, sha256, strict=True) if digest == shard.sha256
    }


def _sha256(file: Location) -> str | None:
    try:
        return file_sha256(file)
    except OSError:
        return None
