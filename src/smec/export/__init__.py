"""A compressor for other software: exporters by the name of their target, imported when they are used.

====================== ================================================================= ==============
target                 what is written                                                   extra
====================== ================================================================= ==============
numpy                  folder: arrays, and a module of a few lines that needs only numpy  none
onnx                   file: a graph of standard operators                               onnx
torchscript            file: ``torch.jit.load`` reads it                                 train
faiss                  folder: a VectorTransform, and empty indexes behind it            faiss
sentence-transformers  folder: the embedding model with small output                     the same name
====================== ================================================================= ==============

Where queries have a matrix of their own, a file gets a second one beside it, ``NAME.queries.SUFFIX``, and a
folder holds what makes both sides.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

from smec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from smec.compressor import Compressor
    from smec.export.order import Order

InputType = Literal["float32", "float16"]


class Exporter(Protocol):
    """What the module of a target offers."""

    def write(self, order: Order, output: Path) -> None:
        """Write the file ``output``, or into the empty folder; ConfigError where it cannot be done."""


@dataclass(frozen=True)
class Target:
    """A module that exports, and what it takes.

    Parameters
    ----------
    home : str
    folder : bool
        It writes a folder, not a file.
    options : tuple of str
        Those of ``codec``, ``encoder`` and ``input_type`` that it takes.
    """

    home: str
    folder: bool
    options: tuple[str, ...]


TARGETS: dict[str, Target] = {
    "numpy": Target("smec.export.numpy", folder=True, options=("codec",)),
    "onnx": Target("smec.export.onnx", folder=False, options=("codec", "input_type")),
    "torchscript": Target("smec.export.torchscript", folder=False, options=("codec",)),
    "faiss": Target("smec.export.faiss", folder=True, options=("codec",)),
    "sentence-transformers": Target("smec.export.sentence_transformers", folder=True, options=("encoder",)),
}

_EXTRAS = {
    "torch": "train",
    "onnx": "onnx",
    "faiss": "faiss",
    "sentence_transformers": "sentence-transformers",
}


def export(
    compressor: Compressor,
    target: str,
    output: str | Path,
    *,
    dim: int | None = None,
    codec: str = "float32",
    encoder: str | Path | None = None,
    input_type: InputType = "float32",
    force: bool = False,
) -> Order:
    """Write a size of a compressor for other software.

    Parameters
    ----------
    compressor : Compressor
    target : str
        One of `TARGETS`.
    output : str or Path
        File or folder, as the target has it. Where queries have a matrix of their own, `queries_file` stands
        beside a file.
    dim : int, optional
        A served size; the largest by default.
    codec : str
        What the export makes of a vector; one that the compressor is calibrated for and the target can make.
    encoder : str or Path, optional
        The embedding model, which "sentence-transformers" needs: a folder, or a name that it knows.
    input_type : {"float32", "float16"}
        Of the embeddings that an ONNX graph takes; the others take both.
    force : bool
        Replace ``output`` if it exists, and with it the file for queries that an earlier export left.

    Returns
    -------
    Order
        What was exported; `Order.in_words` tells which sizes are prefixes.

    Raises
    ------
    ConfigError
        No such target, size or codec, an option that the target does not take, or an embedding model of
        another width.
    MissingExtraError
        The target's library is not installed.
    OutputError
        ``output`` or the file for queries exists, ``output`` holds the embedding model, or the disk refuses.
        Whatever is raised, no output appears.
    """
    # Not at the top: the command line's help lists the targets without loading numpy.
    from smec.atomic import check_free, check_keeps, replacing
    from smec.encoder import served
    from smec.export.order import Order

    if target not in TARGETS:
        raise ConfigError(f"export to {target!r} is not known; use one of {', '.join(TARGETS)}")
    entry = TARGETS[target]
    asked = {
        "codec": codec != "float32",
        "encoder": encoder is not None,
        "input_type": input_type != "float32",
    }
    for option in (name for name, given in asked.items() if given and name not in entry.options):
        raise ConfigError(f"export to {target}: takes no {option.replace('_', ' ')}")
    if "encoder" in entry.options and encoder is None:
        raise ConfigError(f"export to {target}: needs the embedding model; name it with --encoder")
    if encoder is not None and Path(encoder).exists():
        check_keeps(Path(output), Path(encoder))
    width = served(dim, compressor.dims, compressor.name)
    compressor.codec(codec, width)  # refuses what is not calibrated
    order = Order(compressor, width, codec, None if encoder is None else str(encoder), input_type)
    exporter = _exporter(target, entry.home)
    other = None if entry.folder else queries_file(output)
    if other is not None:
        check_free(other, force=force)  # beside a file that has none, it would be another compressor's
    with ExitStack() as stack:
        part = stack.enter_context(replacing(Path(output), force=force, folder=entry.folder))
        exporter.write(order, part)
        if order.own_queries and other is not None:
            exporter.write(
                order.for_queries, stack.enter_context(replacing(other, force=force, folder=False))
            )
    if other is not None and not order.own_queries:
        other.unlink(missing_ok=True)
    return order


def queries_file(output: str | Path) -> Path:
    """The file for queries beside a file for documents: ``small.queries.onnx`` beside ``small.onnx``."""
    path = Path(output)
    return path.with_name(f"{path.stem}.queries{path.suffix}")


def _exporter(target: str, home: str) -> Exporter:
    try:
        return cast("Exporter", import_module(home))
    except ModuleNotFoundError as error:
        library = str(error.name).split(".")[0]
        if library not in _EXTRAS:
            raise
        raise MissingExtraError(library, _EXTRAS[library], f"export to {target}") from error
