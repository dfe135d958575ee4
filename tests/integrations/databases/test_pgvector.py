"""pgvector's own: types, the ceiling of its indexes, names of columns."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest

from integrations.databases.conftest import Url
from small_compressor import compressor, corpus
from smec.calibration import calibrate
from smec.compressor import Block, Compressor
from smec.databases import open_collection
from smec.databases.migration import migrate
from smec.errors import ConfigError, DatabaseError, DataError


def execute(postgres: str, *statements: str) -> list[tuple[object, ...]]:
    """Run all, and return the rows of the last."""
    with psycopg.connect(f"postgresql://{postgres}", autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def insert(table: str, rows: np.ndarray, column: str = "embedding") -> str:
    values = ", ".join(f"({number}, '{row.tolist()}')" for number, row in enumerate(rows))
    return f"INSERT INTO {table} (key, {column}) VALUES {values}"


def test_columns_keep_their_names_and_types(url: Url, postgres: str) -> None:
    full, small = url("postgresql", "full"), url("postgresql", "small")
    table = full.partition("#")[2]
    execute(
        postgres,
        f"CREATE TABLE {table} (key integer PRIMARY KEY, embedding halfvec(16), price numeric(8, 2) DEFAULT 1"
        """, made timestamptz DEFAULT '2024-05-06 07:08:09+00', tags text[] DEFAULT '{a,b}',"""
        """ facts jsonb DEFAULT '{"deep": [1, 2]}', place inet DEFAULT '10.0.0.1', "Odd name" boolean)""",
        insert(table, corpus(40)),
    )
    done = migrate(compressor(), full, small, codec="float16")
    assert done.rows == 40
    other = small.partition("#")[2]
    types = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND attname <> "
        "'embedding' AND attrelid = '{}'::regclass ORDER BY attname"
    )
    assert execute(postgres, types.format(other)) == execute(postgres, types.format(table))
    columns = 'price, made, tags, facts, place, "Odd name"'
    query = "SELECT key, {} FROM {} ORDER BY key"
    assert execute(postgres, query.format(columns, other)) == execute(postgres, query.format(columns, table))
    assert execute(
        postgres,
        f"SELECT atttypmod FROM pg_attribute WHERE attrelid = '{other}'::regclass AND attname = 'embedding'",
    ) == [(8,)]


def test_bits_are_searched_by_hamming_distance_through_an_index(url: Url, postgres: str) -> None:
    full, small = url("postgresql", "full"), url("postgresql", "small")
    table, other = full.partition("#")[2], small.partition("#")[2]
    execute(postgres, f"CREATE TABLE {table} (key bigint PRIMARY KEY, embedding vector(16))")
    execute(postgres, insert(table, corpus(300)))
    model = calibrate(compressor(), corpus(300), ["binary"])
    migrate(model, full, small, codec="binary")
    (definition,) = execute(
        postgres, f"SELECT indexdef FROM pg_indexes WHERE tablename = '{other}' AND indexdef LIKE '%hnsw%'"
    )
    assert "bit_hamming_ops" in str(definition[0])
    codes = model.codec("binary", 8).encode(model.encode(corpus(300), 8))
    for row, (bits,) in enumerate(execute(postgres, f"SELECT embedding::text FROM {other} ORDER BY key")):
        assert bits == "".join(str(b) for b in np.unpackbits(codes[row], bitorder="little"))


def test_a_table_above_the_ceiling_of_indexes_becomes_indexable(url: Url, postgres: str) -> None:
    full, small = url("postgresql", "full"), url("postgresql", "small")
    table = full.partition("#")[2]
    rows = np.random.default_rng(1).standard_normal((30, 3072)).astype(np.float32)
    execute(postgres, f"CREATE TABLE {table} (key bigint PRIMARY KEY, embedding vector(3072))")
    execute(postgres, insert(table, rows))
    with pytest.raises(psycopg.Error, match="more than 2000 dimensions"):
        execute(postgres, f"CREATE INDEX ON {table} USING hnsw (embedding vector_cosine_ops)")
    matrix = np.linalg.qr(np.random.default_rng(2).standard_normal((3072, 2048)))[0].astype(np.float32)
    manifest = {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
    model = Compressor.assemble(
        [Block(matrix, (2048, 384), "pca")], {**manifest, "libraries": {}}, rows[:3], rows.mean(axis=0)
    )
    with pytest.raises(ConfigError, match="at most 2,000 dims of vector, not 2,048"):
        migrate(model, full, small, dim=2048)
    done = migrate(model, full, small, dim=384)
    assert done.source.size.index is None
    assert done.target.size.index is not None
    half = migrate(model, full, url("postgresql", "half"), dim=2048, codec="float16")
    assert half.target.size.index is not None


def test_columns_are_detected_or_named(url: Url, postgres: str) -> None:
    base = url("postgresql", "full")
    table = base.partition("#")[2]
    execute(
        postgres,
        f"CREATE TABLE {table} (key bigint, code text, body vector(16), head vector(16))",
        insert(table, corpus(20), "body"),
        f"UPDATE {table} SET code = 'c' || key, head = body",
    )
    with pytest.raises(
        DataError, match=r"several columns of vectors \(body, head\); choose with \?vector=COLUMN"
    ):
        migrate(compressor(), base, url("postgresql", "small"))
    with pytest.raises(DataError, match=r"several columns of ids \(key, code\); choose with \?id=COLUMN"):
        migrate(compressor(), f"{base}?vector=head", url("postgresql", "small"))
    with pytest.raises(DataError, match="no column 'tail' of vectors; it has body, head"):
        migrate(compressor(), f"{base}?vector=tail", url("postgresql", "small"))
    done = migrate(compressor(), f"{base}?vector=head&id=code", url("postgresql", "small"))
    assert done.rows == 20
    execute(postgres, f"CREATE TABLE {table}_none (id bigint PRIMARY KEY, text text)")
    with pytest.raises(DataError, match="has no vectors"):
        migrate(compressor(), f"{base}_none", url("postgresql", "small2"))


def test_rows_without_a_vector_or_of_mixed_widths_are_named(url: Url, postgres: str) -> None:
    base = url("postgresql", "full")
    table = base.partition("#")[2]
    execute(postgres, f"CREATE TABLE {table} (key bigint PRIMARY KEY, embedding vector)")
    execute(postgres, insert(table, corpus(20)), f"INSERT INTO {table} VALUES (33, '[1, 2, 3]')")
    with pytest.raises(DataError, match="the row of id 33 has 3 dims, but 16 are expected"):
        migrate(compressor(), base, url("postgresql", "small"))
    execute(postgres, f"UPDATE {table} SET embedding = NULL WHERE key = 33")
    with pytest.raises(DataError, match=r"the row of id 33 has no vector \(null\)"):
        migrate(compressor(), base, url("postgresql", "small"), resume=True)


def test_what_cannot_be_reached_is_one_line_without_the_password(postgres: str) -> None:
    with (
        pytest.raises(DatabaseError) as error,
        open_collection("postgresql://me:secret@localhost:1/base#docs"),
    ):
        pass
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    execute(postgres, "CREATE DATABASE bare")
    bare = postgres.replace("/postgres?", "/bare?")
    with (
        pytest.raises(DatabaseError, match="CREATE EXTENSION vector"),
        open_collection(f"postgresql://{bare}#d"),
    ):
        pass
