"""pgvector: tables of a PostgreSQL with the extension ``vector``, by any DSN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import psycopg
import pyarrow as pa
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.types.json import Jsonb

from smec.codecs import Codes
from smec.databases.address import Address
from smec.databases.collection import (
    Id,
    JsonText,
    Page,
    Shape,
    Size,
    Stamp,
    asking,
    chosen,
    plain,
    read_stamp,
)
from smec.databases.postgres_catalogue import Catalogue
from smec.databases.postgres_types import (
    FIELDS,
    JSON,
    NATIVE,
    adapted,
    bit_string,
    field_of,
    matrix,
    sql_type,
)
from smec.errors import ConfigError, DatabaseError, DataError
from smec.vectors import FloatArray

TYPES = {"float32": "vector", "float16": "halfvec", "binary": "bit"}
"""Codec -> type of the column."""
MOST_DIMS = {"float32": 2000, "float16": 4000, "binary": 64_000}
"""What an HNSW index takes."""
MARK = "smec "
"""Begins a stamp in the comment of a table."""
LONGEST_NAME = 63
"""Bytes of an identifier; PostgreSQL cuts longer ones silently."""
PAYLOAD = "payload"
"""Column of type jsonb for what has no columns of its own."""
OPERATORS = {"_ip_": "<#>", "_l2_": "<->", "_l1_": "<+>", "hamming": "<~>", "cosine": "<=>"}
"""Part of the name of an index's operator class -> the operator that uses the index."""


@contextmanager
def opened(address: Address) -> Iterator[Table]:
    """Connect; DatabaseError if that fails or the extension is not there."""
    dsn = f"postgresql://{address.location}"
    try:
        psycopg.conninfo.conninfo_to_dict(dsn)
    except (psycopg.ProgrammingError, ValueError) as error:  # whose text may repeat the password
        raise ConfigError(
            f"{address}: no valid DSN; are special characters of the password %-encoded?"
        ) from error
    with asking(str(address), psycopg.Error):
        connection = psycopg.connect(dsn, autocommit=True)
    with connection:
        try:
            register_vector(connection)
        except psycopg.ProgrammingError as error:
            raise DatabaseError(
                f"{address}: that database has no pgvector; run CREATE EXTENSION vector in it"
            ) from error
        yield Table(connection, address)


class Table:
    """A table with a column of vectors.

    Parameters
    ----------
    connection : psycopg.Connection
        With autocommit.
    address : Address
        Its collection is ``table`` or ``schema.table``.
    """

    codecs = tuple(TYPES)

    def __init__(self, connection: psycopg.Connection[Any], address: Address) -> None:
        self.name = str(address)
        self._connection = connection
        self._address = address
        self._table = sql.Identifier(*address.collection.split(".", 1))
        self._catalogue = Catalogue(connection, self._table.as_string(connection), self.name)

    def shape(self) -> Shape | None:
        """Names and types, from the catalogue."""
        return self._layout if self._catalogue.columns else None

    def count(self) -> int:
        """By the database."""
        return self._catalogue.count()

    def stamp(self) -> Stamp | None:
        """From the comment of the table."""
        text = self._catalogue.comment() or ""
        return read_stamp(text.removeprefix(MARK), self.name) if text.startswith(MARK) else None

    def pages(self, rows: int) -> Iterator[Page]:
        """By the order of the ids, each page from the last id of the one before."""
        names = [field.name for field in self._columns]
        last: Id | None = None
        while True:
            condition = "" if last is None else f"WHERE {self._escaped(self._layout.id.name)} > %s"
            tail = f"{condition} ORDER BY {self._escaped(self._layout.id.name)} LIMIT {rows}"
            found = self._select([self._layout.id.name, self._layout.vector, *names], tail, last)
            if not found:
                return
            ids = [row[0] for row in found]
            if None in ids:
                raise DataError(f"{self.name}: a row has no id (null); every row needs one")
            payload = [self._fields(names, row[2:]) for row in found]
            yield Page(ids, matrix([row[1] for row in found], ids, self.name), payload)
            last = ids[-1]

    def fetch(self, ids: Sequence[Id]) -> FloatArray | Codes:
        """By the ids."""
        found = dict(self._of(ids, self._layout.vector))
        missing = [id_ for id_ in ids if id_ not in found]
        if missing:
            raise DataError(f"{self.name}: has no row of id {missing[0]!r}")
        return matrix([found[id_] for id_ in ids], ids, self.name)

    def existing(self, ids: Sequence[Id]) -> list[bool]:
        """By the ids."""
        found = {row[0] for row in self._of(ids)}
        return [id_ in found for id_ in ids]

    def create(self, like: Shape, stamp: Stamp) -> None:
        """The same columns under the same names and types; the id is the primary key."""
        kind, most = TYPES[stamp.codec], MOST_DIMS[stamp.codec]
        if stamp.dim > most:
            raise ConfigError(
                f"{self.name}: pgvector indexes at most {most:,} dims of {kind}, not {stamp.dim:,}; choose a "
                "smaller --dim or --codec float16 (4,000)"
            )
        columns = {
            like.id.name: f"{sql_type(like.id)} PRIMARY KEY",
            like.vector: f"{kind}({stamp.dim}) NOT NULL",
        }
        columns |= {PAYLOAD: "jsonb"} if like.columns is None else {f.name: sql_type(f) for f in like.columns}
        for name in columns:
            if len(name.encode()) > LONGEST_NAME:
                raise DataError(
                    f"{self.name}: PostgreSQL would cut the column's name {name!r}; rename it first"
                )
        lines = ", ".join(f"{self._quoted(name)} {type_}" for name, type_ in columns.items())
        with asking(self.name, psycopg.Error), self._connection.transaction():
            self._run(f"CREATE TABLE {self._named} ({lines})")
            self._comment(stamp)
        del self._catalogue.columns  # as there was none

    def write(self, page: Page) -> None:
        """One COPY: all of its rows or none."""
        fields = [field.name for field in self._columns]
        kinds = [self._catalogue.columns[name].kind for name in fields]
        free = self._free
        names = ", ".join(map(self._quoted, [self._layout.id.name, self._layout.vector, *fields]))
        with asking(self.name, psycopg.Error), self._connection.cursor() as cursor:
            with cursor.copy(f"COPY {self._named} ({names}) FROM STDIN".encode()) as rows:
                for id_, vector, payload in zip(page.ids, page.vectors, page.payload, strict=True):
                    values = (
                        [Jsonb(plain(payload))]
                        if free
                        else [
                            adapted(payload.get(name), kind) for name, kind in zip(fields, kinds, strict=True)
                        ]
                    )
                    rows.write_row([id_, self._text(vector), *values])

    def replace(self, ids: Sequence[Id], vectors: FloatArray | Codes) -> None:
        """One transaction: all of the rows or none."""
        layout, declared = self._layout, self._catalogue.columns[self._layout.id.name].declared
        kind = f"bit({layout.dim})" if self._kind == "bit" else self._kind
        statement = (
            f"UPDATE {self._named.replace('%', '%%')} SET {self._escaped(layout.vector)} = %s::{kind} "
            f"WHERE {self._escaped(layout.id.name)} = %s::{declared}"
        )
        rows = [(self._text(vector), id_) for id_, vector in zip(ids, vectors, strict=True)]
        with asking(self.name, psycopg.Error), self._connection.transaction():
            self._connection.cursor().executemany(statement.encode(), rows)

    def restamp(self, stamp: Stamp) -> None:
        """In the comment of the table."""
        with asking(self.name, psycopg.Error):
            self._comment(stamp)

    def build_index(self) -> None:
        """HNSW, by cosine, or for bits by Hamming distance."""
        if self._catalogue.index(self._layout.vector) is not None:
            return
        operators = "bit_hamming_ops" if self._kind == "bit" else f"{self._kind}_cosine_ops"
        with asking(self.name, psycopg.Error):
            self._run(
                f"CREATE INDEX ON {self._named} USING hnsw ({self._quoted(self._layout.vector)} {operators})"
            )
            self._run(f"ANALYZE {self._named}")

    def search(self, query: FloatArray | Codes, k: int) -> list[str]:
        """In order of the distance that the table's index is for; cosine, or Hamming, without one."""
        index = self._catalogue.index(self._layout.vector)
        usual = "hamming" if self._kind == "bit" else "cosine"
        operator = next(
            sign for part, sign in OPERATORS.items() if part in (index.operators if index else usual)
        )
        width = f"({self._layout.dim})" if self._kind == "bit" else ""
        nearest = f"{self._escaped(self._layout.vector)} {operator} %s::{self._kind}{width}"
        found = self._select([self._layout.id.name], f"ORDER BY {nearest} LIMIT {k}", self._text(query))
        return [str(row[0]) for row in found]

    def size(self) -> Size:
        """Of the table with all of its indexes, and of that of the vectors."""
        index = self._catalogue.index(self._layout.vector)
        return Size(self._catalogue.bytes(), index.bytes if index else None)

    @cached_property
    def _layout(self) -> Shape:
        columns = self._catalogue.columns
        kinds = {name: column.kind for name, column in columns.items()}
        vectors = [name for name, kind in kinds.items() if kind in TYPES.values()]
        made = self.stamp()
        named = self._address.vector or (made.vector if made else None)
        vector = chosen(named, vectors, "vectors", self.name)
        ids = [name for name, kind in kinds.items() if kind in FIELDS or kind == "uuid"]
        likely = [name for name in (made and made.id, self._catalogue.primary_key(), "id") if name in ids]
        id_ = chosen(self._address.id or (likely[0] if likely else None), ids, "ids", self.name)
        fields = [field_of(c.name, c.kind, c.declared) for c in columns.values()]
        payload = pa.schema([field for field in fields if field.name not in (vector, id_)])
        return Shape(
            self._catalogue.width(vector), vector, field_of(id_, kinds[id_], columns[id_].declared), payload
        )

    @cached_property
    def _free(self) -> bool:
        made = self.stamp()
        return made is not None and made.free

    def _fields(self, names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
        """The payload of a row; JSON as the database spells it."""
        kinds = [self._catalogue.columns[name].kind for name in names]
        return {
            name: JsonText(value) if kind in JSON and value is not None else value
            for name, kind, value in zip(names, kinds, values, strict=True)
        }

    @property
    def _columns(self) -> pa.Schema:
        return self._layout.columns or pa.schema([])

    @property
    def _kind(self) -> str:
        return self._catalogue.columns[self._layout.vector].kind

    @property
    def _named(self) -> str:
        return str(self._table.as_string(self._connection))

    def _quoted(self, column: str) -> str:
        return str(sql.Identifier(column).as_string(self._connection))

    def _escaped(self, column: str) -> str:
        """For a statement with values."""
        return self._quoted(column).replace("%", "%%")

    def _text(self, vector: Any) -> str:
        return bit_string(vector, self._layout.dim) if self._kind == "bit" else str(vector.tolist())

    def _comment(self, stamp: Stamp) -> None:
        comment = sql.Literal(MARK + stamp.model_dump_json()).as_string(self._connection)
        self._run(f"COMMENT ON TABLE {self._named} IS {comment}")

    def _run(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def _of(self, ids: Sequence[Id], *names: str) -> list[tuple[Any, ...]]:
        declared = self._catalogue.columns[self._layout.id.name].declared
        condition = f"WHERE {self._escaped(self._layout.id.name)} = ANY(%s::{declared}[])"
        return self._select([self._layout.id.name, *names], condition, list(ids))

    def _select(self, names: Sequence[str], tail: str, value: object) -> list[tuple[Any, ...]]:
        """Rows of these columns; those of types that Arrow does not have as text."""
        columns = self._catalogue.columns
        readable = {n for n in names if columns[n].kind in NATIVE and columns[n].kind not in JSON}
        readable |= {self._layout.vector} if self._kind != "bit" else set()
        wanted = ", ".join(self._quoted(name) + ("" if name in readable else "::text") for name in names)
        with asking(self.name, psycopg.Error), self._connection.cursor(binary=True) as cursor:
            values = [] if value is None else [value]
            wanted, table = wanted.replace("%", "%%"), self._named.replace("%", "%%")
            statement = f"SELECT {wanted} FROM {table} {tail}".encode()
            rows: list[tuple[Any, ...]] = cursor.execute(statement, values).fetchall()
            return rows
