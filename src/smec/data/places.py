"""Where files are: paths of this machine, and places in a store, such as ``s3://bucket/prefix``."""

from __future__ import annotations

import glob
import io
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from smec.errors import ConfigError

T = TypeVar("T")

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/?]*)/?([^?]*)(\?.*)?", re.DOTALL)
_BY_PYARROW = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_NO_FOLDERS = ("s3", "gcs", "abfs")
"""Types of filesystem whose folders are only the beginnings of names."""

REQUESTS = 8
"""Files of a store that are looked at together."""

LINES_BUFFER = 1 << 20
"""Bytes of a text that are asked for together."""

_GS_PATIENCE = "?retry_limit_seconds=20"
"""Else a store that does not answer is asked again for a quarter of an hour."""


@dataclass(frozen=True)
class Stat:
    """Of a file in a store; the names are those of `os.stat_result`."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class Place:
    """A file or folder in a store, with those members of `pathlib.Path` that are needed here.

    All of them raise OSError where the store refuses or does not answer.

    Parameters
    ----------
    filesystem : pyarrow.fs.FileSystem
    path : str
        As the filesystem names it.
    uri : str
        As people name it, without the query, which tells how the store is reached.
    """

    filesystem: fs.FileSystem = field(compare=False, repr=False)
    path: str = field(compare=False)
    uri: str

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> Place:
        return Place(self.filesystem, f"{self.path}/{name}", f"{self.uri}/{name}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Of the name, to order by."""
        return tuple(self.uri.split("/"))

    @property
    def name(self) -> str:
        """After the last slash."""
        return self.parts[-1]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """What the name ends with, from the last dot on."""
        return PurePosixPath(self.name).suffix

    def with_name(self, name: str) -> Place:
        """A neighbour."""
        kept = len(self.name)
        return Place(self.filesystem, self.path[:-kept] + name, self.uri[:-kept] + name)

    def exists(self) -> bool:
        """Whether there is a file or a folder of this name."""
        return bool(self._info().type != fs.FileType.NotFound)

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return bool(self._info().type == fs.FileType.Directory)

    def stat(self) -> Stat:
        """Size and time of change; FileNotFoundError if it is no file."""
        info = self._info()
        if not info.is_file:
            raise FileNotFoundError(f"{self.uri}: no such file")
        return Stat(info.size, info.mtime_ns or 0)

    def open(self, mode: str = "rb", buffering: int = 0) -> pa.NativeFile:
        """Open for reading, in any order and without a buffer."""
        assert mode == "rb" and buffering == 0
        return self.filesystem.open_input_file(self.path)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole text."""
        with self.open() as file:
            text: bytes = file.read()
        return text.decode(encoding)

    def upload(self, file: Path) -> None:
        """Put a file there: it appears when all of it has arrived."""
        # Not an output stream: to leave that by an exception would complete what has arrived so far.
        fs.copy_files(
            str(file),
            self.path,
            source_filesystem=fs.LocalFileSystem(),
            destination_filesystem=self.filesystem,
        )

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Make the folder, where the store has such things."""
        if self.filesystem.type_name not in _NO_FOLDERS:
            self.filesystem.create_dir(self.path, recursive=parents)

    def delete(self) -> None:
        """Delete the file, or the folder with all that it holds."""
        if self.is_dir():
            self.filesystem.delete_dir(self.path)
        else:
            self.filesystem.delete_file(self.path)

    def iterdir(self) -> Iterator[Place]:
        """What is in the folder."""
        return (place for place, _ in self._below(recursive=False))

    def glob(self, pattern: str) -> Iterator[Place]:
        """The files below the folder that match, ``**`` standing for any folders."""
        names = pattern.split("/")
        for found, is_file in self._below(recursive=len(names) > 1):
            if is_file and _matches(list(found.parts[len(self.parts) :]), names):
                yield found

    def _info(self) -> fs.FileInfo:
        return self.filesystem.get_file_info(self.path)

    def _below(self, recursive: bool) -> Iterator[tuple[Place, bool]]:
        selector = fs.FileSelector(self.path, allow_not_found=True, recursive=recursive)
        for info in self.filesystem.get_file_info(selector):
            yield self / info.path[len(self.path) + 1 :], info.is_file


Location = Path | Place


def holds(folder: Location, file: Location) -> bool:
    """Whether ``file`` is ``folder`` or lies in it, however they are spelled."""
    if isinstance(folder, Path) and isinstance(file, Path):
        place = file.resolve()
        return folder.resolve() in (place, *place.parents)
    if not (isinstance(folder, Place) and isinstance(file, Place)):
        return False
    outer, inner = (place.path.strip("/").split("/") for place in (folder, file))
    return folder.filesystem.type_name == file.filesystem.type_name and inner[: len(outer)] == outer


def located(name: str | Path | Place) -> Location:
    """The file or folder that a path or a URI names.

    Raises
    ------
    ConfigError
        A URI of an unknown kind, one that needs a package that is not installed, or one with a password;
        or the store does not answer.
    """
    match = _URI.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return Path(name) if isinstance(name, str) else name
    scheme, authority, path, query = (part or "" for part in match.groups())
    uri = f"{scheme}://{authority}/{path}".rstrip("/")
    if scheme == "file":
        from urllib.request import url2pathname  # which brings HTTP and TLS along

        return Path(url2pathname(f"/{path}"))
    user, _, host = authority.rpartition("@")
    if ":" in user:
        # The name of an input is written down, in the manifest and in messages.
        raise ConfigError(f"{scheme}://...@{host}: has a password in it; set it in the environment instead")
    try:
        if scheme in _BY_PYARROW:
            if scheme in ("gs", "gcs"):
                query = query or _GS_PATIENCE
            filesystem, root = fs.FileSystem.from_uri(f"{scheme}://{authority}/{query}")
            # Not by pyarrow, for which a URI has no spaces and % means something.
            return Place(filesystem, f"{root.rstrip('/')}/{path}".rstrip("/"), uri)
        return _by_fsspec(uri, query)
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise ConfigError(f"{uri}: cannot be reached: {reason(error)}") from error


def _by_fsspec(uri: str, query: str) -> Place:
    scheme = uri.partition("://")[0]
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ConfigError(
            f"{uri}: {scheme}:// needs fsspec, which is not installed: pip install fsspec"
        ) from error
    try:
        filesystem, path = url_to_fs(uri + query)
    except ImportError as error:
        raise ConfigError(f"{uri}: {scheme}:// needs a package that is not installed: {error}") from error
    return Place(fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path, uri)


def matching(pattern: Location) -> list[Location]:
    """The files that a glob names, in the order of their names."""
    found: list[Location]
    if isinstance(pattern, Path):
        found = [path for path in map(Path, glob.glob(str(pattern), recursive=True)) if path.is_file()]
    else:
        # The folder without wildcards, and the rest.
        folder, rest = pattern, ""
        while glob.has_magic(folder.uri):
            rest = f"{folder.name}/{rest}" if rest else folder.name
            folder = Place(folder.filesystem, folder.path.rpartition("/")[0], folder.uri.rpartition("/")[0])
        found = list(folder.glob(rest)) if rest else []
    return sorted(found, key=lambda file: file.parts)


def _matches(names: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_matches(names[count:], patterns[1:]) for count in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _matches(names[1:], patterns[1:])


def at_once(look: Callable[[Location], T], locations: Sequence[Location]) -> Iterator[T]:
    """What ``look`` finds at each, in their order; in a store several are asked for at once."""
    far = any(isinstance(location, Place) for location in locations)
    with ThreadPoolExecutor(REQUESTS if far else 1) as pool:
        yield from pool.map(look, locations)


def opened(location: Location) -> str | pa.NativeFile:
    """What pyarrow's readers take."""
    return str(location) if isinstance(location, Path) else location.open()


def lines(location: Location) -> Iterator[str]:
    """Of a text in UTF-8, without their ends."""
    buffered = io.BufferedReader(location.open("rb", buffering=0), LINES_BUFFER)
    with io.TextIOWrapper(buffered, encoding="utf-8-sig") as text:
        yield from (line.rstrip("\n") for line in text)


def reason(error: Exception) -> str:
    """What an error says, in one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (said or type(error).__name__).splitlines()[0]
