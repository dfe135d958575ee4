"""What lies in a dataset folder: the files of its corpus, its queries and its qrels."""

from __future__ import annotations

from pathlib import Path

from smec.data.qrels import SUFFIXES
from smec.data.readers import READERS
from smec.errors import DataError

SENTENCES = "sentences"
"""Split of the pairs that `smec embed --sentences` draws from the documents, which nobody has asked."""


def check_folder(path: Path) -> None:
    """Raise DataError unless ``path`` is a folder."""
    if not path.exists():
        raise DataError(f"{path}: no such folder")
    if not path.is_dir():
        raise DataError(f"{path}: a dataset is a folder with corpus.parquet (or the like), this is a file")


def find_corpus(folder: Path) -> Path:
    """Return the file, or the folder of shards, that holds the corpus.

    Raises
    ------
    DataError
        There is none, or more than one.
    """
    corpus = _find(folder, "corpus")
    if corpus is None:
        raise DataError(
            f"{folder}: holds no corpus; looked for corpus{{{','.join(READERS)}}} "
            "and a folder corpus/ of Parquet shards"
        )
    return corpus


def find_queries(folder: Path) -> Path | None:
    """Return the file, or the folder of shards, that holds the queries, if there is one.

    Raises
    ------
    DataError
        There is more than one.
    """
    return _find(folder, "queries")


def find_qrels(folder: Path) -> dict[str, Path]:
    """Return the file of every split in ``qrels/``, by the split's name.

    Raises
    ------
    DataError
        Two files for one split.
    """
    found: dict[str, Path] = {}
    for path in sorted((folder / "qrels").glob("[!.]*")):
        if path.suffix not in SUFFIXES:
            continue
        if path.stem in found:
            raise DataError(
                f"{path.parent}: split {path.stem!r} is in {found[path.stem].name} and {path.name}; keep one"
            )
        found[path.stem] = path
    return found


def _find(folder: Path, role: str) -> Path | None:
    found = {
        path.name: path
        for path in sorted(folder.iterdir())
        if (path.stem == role and path.suffix in READERS) or (path.name == role and path.is_dir())
    }
    if set(found) == {f"{role}.jsonl", f"{role}.npy"}:
        return found[f"{role}.jsonl"]
    if len(found) > 1:
        raise DataError(f"{folder}: the {role} could be {' or '.join(found)}; keep one")
    return next(iter(found.values()), None)
