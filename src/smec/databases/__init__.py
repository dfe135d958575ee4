"""Vector databases: collections that are read, migrated and trained from, by URL.

A URL is the address of a database as that database knows it, ``#``, and the collection in it::

    lancedb:///data/lance#documents                      folder (or s3://...)
    qdrant:///data/qdrant#documents                      folder of the client's local mode
    qdrant://host:6333#documents                         server; QDRANT_API_KEY is its key
    postgresql://user@host/base#documents                any DSN; schema.table too
    chroma:///data/chroma#documents                      folder

Paths after ``scheme://`` are absolute with a third slash; ``lancedb://data/lance`` is relative, for Qdrant
``qdrant://./data``. Where a table has several columns that could be meant, options follow the collection:
``#documents?vector=embedding&id=doc_id``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from smec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from smec.databases.collection import Collection

DATABASES = {
    "lancedb": "smec.databases.lance",
    "qdrant": "smec.databases.qdrant",
    "postgresql": "smec.databases.postgres",
    "chroma": "smec.databases.chroma",
}
"""Scheme -> module whose ``opened`` gives a `Collection`; imported when a URL of the kind is opened."""

_EXTRAS = {
    "lancedb": "lancedb",
    "qdrant_client": "qdrant",
    "psycopg": "pgvector",
    "pgvector": "pgvector",
    "chromadb": "chroma",
}


def is_url(text: str) -> bool:
    """Whether this names a collection, of whatever database, rather than a folder."""
    return "://" in text


@contextmanager
def open_collection(url: str) -> Iterator[Collection]:
    """Connect to the database of ``url``, and close the connection at the end.

    Raises
    ------
    ConfigError
        No URL of a collection.
    DatabaseError
        The database cannot be reached.
    MissingExtraError
        Its client is not installed.
    """
    from smec.databases.address import parse

    address = parse(url)
    if address.scheme not in DATABASES:
        raise ConfigError(f"{address}: collections are opened from {', '.join(DATABASES)} URLs")
    try:
        module = import_module(DATABASES[address.scheme])
    except ModuleNotFoundError as error:
        library = str(error.name).split(".")[0]
        if library not in _EXTRAS:
            raise
        raise MissingExtraError(library, _EXTRAS[library], f"{address.scheme}://") from error
    with module.opened(address) as collection:
        yield collection
