"""What PostgreSQL's catalogue tells of a table with vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from smec.databases.collection import asking


@dataclass(frozen=True)
class Column:
    """Name, short name of the type, and the type as it was declared."""

    name: str
    kind: str
    declared: str


@dataclass(frozen=True)
class Index:
    """Of vectors: its bytes and the name of its operator class."""

    bytes: int
    operators: str


class Catalogue:
    """Questions about one table, which need not exist.

    Parameters
    ----------
    connection : psycopg.Connection
    table : str
        Quoted, with its schema if it is named.
    name : str
        For messages.
    """

    def __init__(self, connection: psycopg.Connection[Any], table: str, name: str) -> None:
        self._connection = connection
        self._table = table
        self._name = name

    @cached_property
    def columns(self) -> dict[str, Column]:
        """By name, in their order; none where there is no table. Asked once."""
        rows = self._all(
            "SELECT attname, typname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "JOIN pg_type ON pg_type.oid = atttypid "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            self._table,
        )
        return {name: Column(name, kind, declared) for name, kind, declared in rows}

    def primary_key(self) -> str | None:
        """Its column, where it is one."""
        rows = self._all(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey) "
            "WHERE indrelid = to_regclass(%s) AND indisprimary",
            self._table,
        )
        return str(rows[0][0]) if len(rows) == 1 else None

    def comment(self) -> str | None:
        """That of the table."""
        rows = self._all("SELECT obj_description(to_regclass(%s), 'pg_class')", self._table)
        return None if rows[0][0] is None else str(rows[0][0])

    def count(self) -> int:
        """Rows."""
        return int(self._all(f"SELECT count(*) FROM {self._table}")[0][0])

    def width(self, column: str) -> int:
        """Dims of a column of vectors: declared, or those of some row; 0 where there is none."""
        declared = self.columns[column].declared
        if "(" in declared:
            return int(declared.partition("(")[2].rstrip(")"))
        quoted = sql.Identifier(column).as_string(self._connection)
        rows = self._all(
            f"SELECT vector_dims({quoted}) FROM {self._table} WHERE {quoted} IS NOT NULL LIMIT 1"
        )
        return int(rows[0][0]) if rows else 0

    def index(self, column: str) -> Index | None:
        """The index that serves nearest neighbours of a column, if there is one."""
        rows = self._all(
            "SELECT pg_relation_size(indexrelid), opcname FROM pg_index "
            "JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam "
            "JOIN pg_opclass ON pg_opclass.oid = indclass[0] "
            "JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] "
            "WHERE indrelid = to_regclass(%s) AND amname IN ('hnsw', 'ivfflat') "
            "AND attname = %s AND indisvalid",
            self._table,
            column,
        )
        return Index(int(rows[0][0]), str(rows[0][1])) if rows else None

    def bytes(self) -> int:
        """Of the table with its indexes and long values."""
        return int(self._all("SELECT pg_total_relation_size(to_regclass(%s))", self._table)[0][0])

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with asking(self._name, psycopg.Error):
            rows: list[tuple[Any, ...]] = self._connection.execute(query.encode(), values or None).fetchall()
            return rows
