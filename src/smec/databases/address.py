"""Where a collection is: ``scheme://LOCATION#COLLECTION?OPTIONS``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from smec.errors import ConfigError

OPTIONS = ("vector", "id")


@dataclass(frozen=True)
class Address:
    """A URL, taken apart.

    Parameters
    ----------
    scheme : str
    location : str
        What stands between ``scheme://`` and ``#``: a path, a host or the rest of a DSN.
    collection : str
    vector, id : str, optional
        Names of the columns to use.
    """

    scheme: str
    location: str
    collection: str
    vector: str | None = None
    id: str | None = None

    def __str__(self) -> str:
        """Without what may be a password: messages and stamps show it."""
        location = re.sub(r"^([^@:/?]*):.*@", r"\1@", self.location)
        location = re.sub(r"(password=)[^&]*", r"\1...", location)
        named = {name: column for name in OPTIONS if (column := getattr(self, name)) is not None}
        options = f"?{urlencode(named)}" if named else ""
        return f"{self.scheme}://{location}#{self.collection}{options}"


def parse(url: str) -> Address:
    """Take a URL apart.

    Raises
    ------
    ConfigError
        It has no ``scheme://``, location or ``#collection``, or options that do not exist.
    """
    scheme, _, rest = url.partition("://")
    # The last one, as a password may have others.
    location, mark, named = rest.rpartition("#")
    if not mark:
        location, named = rest, ""
    collection, _, query = named.partition("?")
    if location and _is_folder(scheme, location):
        location = os.path.abspath(location)  # the stamp of a target names its source from everywhere
    # "postgres://" is the other spelling that PostgreSQL itself takes.
    address = Address("postgresql" if scheme == "postgres" else scheme, location, collection)
    if not (rest and location and collection):
        shown = str(address) if rest else repr(url.partition("=")[0])  # the rest may be a password
        raise ConfigError(
            f"{shown}: not a collection; write DATABASE://LOCATION#COLLECTION, as in "
            "lancedb:///data/lance#documents"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise ConfigError(
            f"{address}: option {unknown[0]!r} is unknown; after the collection may follow "
            f"?{'&'.join(f'{name}=COLUMN' for name in OPTIONS)}"
        )
    return Address(address.scheme, location, collection, options.get("vector"), options.get("id"))


def parse_target(url: str) -> Address:
    """Take the URL of a collection apart that smec writes, whose columns have known names.

    Raises
    ------
    ConfigError
        As for `parse`, or options follow the collection.
    """
    address = parse(url)
    if address.vector or address.id:
        raise ConfigError(f"{address}: a target has the columns of its source; leave out what follows '?'")
    return address


def _is_folder(scheme: str, location: str) -> bool:
    if scheme == "qdrant":
        return location.startswith(("/", "."))
    return scheme in ("lancedb", "chroma") and "://" not in location
