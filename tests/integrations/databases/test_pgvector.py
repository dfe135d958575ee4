"""pgvector's own: types, the ceiling of its indexes, names of columns."""

from __future__ import annotations

import json

import lancedb
import numpy as np
import psycopg
import pyarrow as pa
import pytest

from integrations.databases.conftest import Url
from integrations.databases.filled import read
from small_compressor import compressor, corpus
from smec.block import Block
from smec.calibration import calibrate
from smec.compressor import Compressor
from smec.databases import open_collection
from smec.databases.migration import migrate
from smec.errors import ConfigError, DatabaseError, DataError, OutputError


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


def test_json_arrives_as_the_database_spells_it(url: Url, postgres: str) -> None:
    full, small = url("postgresql", "full"), url("postgresql", "small")
    table, other = full.partition("#")[2], small.partition("#")[2]
    execute(
        postgres,
        f"CREATE TABLE {table} (key bigint PRIMARY KEY, embedding vector(16), facts jsonb, other vector(3))",
        insert(table, corpus(8)),
        f"UPDATE {table} SET other = '[1,2,3]'",
    )
    values = ['"123"', '"hello"', '"true"', "null", "12345678901234567890.123", "1.10", '{"a": [1]}', "7"]
    for key, value in enumerate(values):
        execute(postgres, f"UPDATE {table} SET facts = '{value}' WHERE key = {key}")
    source = f"{full}?vector=embedding"
    migrate(compressor(), source, small)
    query = "SELECT key, facts::text, other::text FROM {} ORDER BY key"
    assert execute(postgres, query.format(other)) == execute(postgres, query.format(table))
    migrate(compressor(), source, url("qdrant", "small"))
    fields = [read(url("qdrant", "small"))[str(key)][1] for key in range(8)]
    assert [one.get("facts") for one in fields[:3]] == ["123", "hello", "true"]
    assert fields[6]["facts"] == {"a": [1]} and json.loads(fields[0]["other"]) == [1, 2, 3]


def test_names_with_percent_signs_quotes_and_too_many_bytes(url: Url, postgres: str) -> None:
    base = url("postgresql", "full")
    table = base.partition("#")[2]
    execute(
        postgres,
        f"""CREATE TABLE "{table}%" ("i%d" bigint PRIMARY KEY, "ve%c" vector(16), "100 %s" text)""",
        f"""INSERT INTO "{table}%" SELECT n, array_fill(n + 1, ARRAY[16])::vector, 'x' """
        "FROM generate_series(0, 29) n",
    )
    source = f"{base}%"
    assert migrate(compressor(), source, url("postgresql", "small"), page_rows=10).rows == 30
    assert migrate(compressor(), source, url("postgresql", "small"), page_rows=10, resume=True).reused == 30
    long = "x" * 64
    rows = pa.FixedSizeListArray.from_arrays(pa.array(corpus(30).ravel()), 16)
    place = url("lancedb", "long").partition("://")[2].partition("#")[0]
    lancedb.connect(place).create_table(
        "long", data=pa.table({"id": [str(n) for n in range(30)], "vector": rows, long: ["y"] * 30})
    )
    with pytest.raises(DataError, match="would cut the column's name 'xxxx"):
        migrate(compressor(), url("lancedb", "long"), url("postgresql", "long"))


def test_ids_that_are_null_or_twice_are_an_error(url: Url, postgres: str) -> None:
    base = url("postgresql", "full")
    table = base.partition("#")[2]
    execute(
        postgres,
        f"CREATE TABLE {table} (key bigint, code text, embedding vector(16))",
        insert(table, corpus(10)),
        f"UPDATE {table} SET code = CASE WHEN key < 4 THEN key::text ELSE 'x' END",
    )
    with pytest.raises(DataError, match="rows came, but there were 10; are ids null or twice"):
        migrate(compressor(), f"{base}?id=code", url("lancedb", "twice"), page_rows=5)
    execute(postgres, f"UPDATE {table} SET code = key::text", f"UPDATE {table} SET code = NULL WHERE key = 3")
    with pytest.raises(DataError, match=r"a row has no id \(null\)"):
        migrate(compressor(), f"{base}?id=code", url("lancedb", "null"))
    with pytest.raises(DataError, match="9 rows came, but there were 10; are ids null"):
        migrate(compressor(), f"{base}?id=code", url("lancedb", "null_later"), page_rows=4)


def test_resume_with_other_columns_is_refused(url: Url, postgres: str) -> None:
    base, small = url("postgresql", "full"), url("postgresql", "small")
    table = base.partition("#")[2]
    execute(
        postgres,
        f"CREATE TABLE {table} (key bigint PRIMARY KEY, body vector(16), head vector(16))",
        insert(table, corpus(20), "body"),
        f"UPDATE {table} SET head = body",
    )
    migrate(compressor(), f"{base}?vector=body", small)
    with pytest.raises(OutputError, match=r"was made from .*\?vector=body"):
        migrate(compressor(), f"{base}?vector=head", small, resume=True)
    with pytest.raises(ConfigError, match="a target has the columns of its source"):
        migrate(compressor(), f"{base}?vector=head", f"{url('postgresql', 'new')}?vector=x")


@pytest.mark.parametrize("kind", ["vector", "bit"])
def test_search_ranks_as_the_distance_of_the_index_does(kind: str, url: Url, postgres: str) -> None:
    """Rows of very different lengths, for which cosine, inner product and distance rank differently."""
    table = url("postgresql", "full").partition("#")[2]
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((60, 16)).astype(np.float32) * rng.uniform(0.1, 9, (60, 1)).astype(np.float32)
    query = rng.standard_normal(16).astype(np.float32)
    execute(postgres, f"CREATE TABLE {table} (key bigint PRIMARY KEY, embedding {kind}(16))")
    if kind == "vector":
        execute(postgres, insert(table, rows))
        nearest = np.argsort(-(rows @ query) / np.linalg.norm(rows, axis=1))[:10]
        asked: np.ndarray = query
    else:
        bits = rows > 0
        values = ", ".join(f"({n}, B'{''.join(map(str, row.astype(int)))}')" for n, row in enumerate(bits))
        execute(postgres, f"INSERT INTO {table} (key, embedding) VALUES {values}")
        nearest = np.array([int(np.argmin((bits != (query > 0)).sum(axis=1)))])
        asked = np.packbits(query > 0, bitorder="little")
    with open_collection(url("postgresql", "full")) as collection:
        assert collection.shape() is not None
        found = collection.search(asked, len(nearest))
    if kind == "vector":
        assert found == [str(row) for row in nearest]
    else:
        best = (bits != (query > 0)).sum(axis=1)
        assert best[int(found[0])] == best.min()


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
    for password in ("s/cret", "s#cret", "50%ffscret", "s?cret@x"):
        with (
            pytest.raises((ConfigError, DatabaseError)) as told,
            open_collection(f"postgresql://me:{password}@localhost:1/base#docs"),
        ):
            pass
        assert "cret" not in str(told.value)
    execute(postgres, "CREATE DATABASE bare")
    bare = postgres.replace("/postgres?", "/bare?")
    with (
        pytest.raises(DatabaseError, match="CREATE EXTENSION vector"),
        open_collection(f"postgresql://{bare}#d"),
    ):
        pass
