"""Both sides of a compressor whose queries have a matrix of their own, read by the software they are for."""

from __future__ import annotations

import json
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from typer.testing import CliRunner

from exportable import OWN, READ, SEPARATE, TOLERANCE, compressor, own_queries, vectors
from smec.cli.main import app
from smec.errors import OutputError
from smec.export import export, queries_file
from smec.vectors import normalise

KINDS = pytest.mark.parametrize("kind", OWN)


def module(folder: Path) -> Any:
    spec = spec_from_file_location("exported", folder / "encode.py")
    assert spec is not None and spec.loader is not None
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@KINDS
@pytest.mark.parametrize("dim", [96, 24])
def test_numpy_has_a_function_for_each_side(kind: str, dim: int, tmp_path: Path) -> None:
    model = OWN[kind]()
    export(model, "numpy", tmp_path / "out", dim=dim)
    found = module(tmp_path / "out")
    assert np.abs(found.encode(vectors()) - model.encode(vectors(), dim)).max() <= TOLERANCE
    assert np.abs(found.encode_queries(vectors()) - model.encode_queries(vectors(), dim)).max() <= TOLERANCE
    assert "documents only: queries have another matrix" in (tmp_path / "out" / "encode.py").read_text(
        "utf-8"
    )


def test_numpy_packs_both_sides(tmp_path: Path) -> None:
    model, codec = own_queries(), own_queries().codec("int4", 48)
    export(model, "numpy", tmp_path / "out", dim=48, codec="int4")
    codes = module(tmp_path / "out").encode_queries(vectors())
    assert (codes == codec.encode(model.encode_queries(vectors(), 48))).mean() >= 0.995


@KINDS
def test_torchscript_gets_a_second_file_for_queries(kind: str, tmp_path: Path) -> None:
    model, output = OWN[kind](), tmp_path / "small.pt"
    export(model, "torchscript", output, dim=48)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.pt", "small.queries.pt"]
    for file, encode, side in (
        (output, model.encode, "documents"),
        (queries_file(output), model.encode_queries, "queries"),
    ):
        assert np.abs(READ["torchscript"](file, vectors()) - encode(vectors(), 48)).max() <= TOLERANCE
        with zipfile.ZipFile(file) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("extra/smec.json"))
            stamp = json.loads(archive.read(name))
        assert stamp["side"] == side
        assert stamp["smec_fingerprint"] == model.fingerprint
        assert stamp["smec_query_fingerprint"] == model.query_fingerprint


def test_neither_file_is_replaced_unless_told(tmp_path: Path) -> None:
    queries_file(tmp_path / "small.pt").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"small\.queries\.pt: exists already"):
        export(own_queries(), "torchscript", tmp_path / "small.pt")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("small.queries.pt", b"mine")]
    export(own_queries(), "torchscript", tmp_path / "small.pt", force=True)
    assert READ["torchscript"](tmp_path / "small.queries.pt", vectors()[:3]).shape == (3, 96)


@KINDS
@pytest.mark.parametrize("codec", ["float32", "int8", "opq8", "itq"])
def test_faiss_finds_by_queries_what_their_matrix_finds(kind: str, codec: str, tmp_path: Path) -> None:
    model = OWN[kind]()
    export(model, "faiss", tmp_path / "out", dim=48, codec=codec)
    index: Any = faiss.read_index(str(tmp_path / "out" / "index.faiss"))
    index.add(vectors())
    transform = faiss.read_VectorTransform(str(tmp_path / "out" / "queries.vt"))
    asked = transform.apply(normalise(vectors()[:20]))
    faiss.normalize_L2(asked)
    small, stored = model.encode_queries(vectors()[:20], 48), model.codec(codec, 48)
    scores, found = index.index.search(asked, 5)
    documents = stored.encode(model.encode(vectors(), 48))
    if codec == "itq":
        bits, query_bits = np.unpackbits(documents, axis=1), np.unpackbits(stored.encode(small), axis=1)
        assert (scores == (query_bits[:, None] != bits[found]).sum(axis=2)).mean() >= 0.95
        return
    expected = np.take_along_axis(small @ stored.decode(documents).T, found, axis=1)
    assert np.median(np.abs(scores - expected)) < 1e-6
    said = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert f".apply({'unit_length_queries' if kind == 'centred' else 'queries'})" in said


@pytest.mark.parametrize("target", ["numpy", "torchscript", "faiss"])
def test_a_size_whose_queries_share_the_matrix_is_exported_as_ever(target: str, tmp_path: Path) -> None:
    for name, model in (("own", own_queries()), ("shared", compressor())):
        export(model, target, tmp_path / name / "out", dim=SEPARATE)
    files = {
        name: {path.relative_to(tmp_path / name): path.read_bytes() for path in paths}
        for name, paths in (
            (n, [p for p in (tmp_path / n).rglob("*") if p.is_file()]) for n in ("own", "shared")
        )
    }
    assert files["own"].keys() == files["shared"].keys()
    if target != "torchscript":  # whose archives never come out the same twice
        assert files["own"] == files["shared"]


def test_the_command_names_both_files(tmp_path: Path) -> None:
    own_queries().save(tmp_path / "model")
    output = tmp_path / "small.pt"
    arguments = ["export", str(tmp_path / "model"), "--to", "torchscript", "-o", str(output)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[1] == "documents only: queries have another matrix"
    assert lines[-2:] == [f"saved: {output}", f"saved: {queries_file(output)}, for queries"]


def test_no_file_for_queries_of_another_compressor_stays_beside_an_export(tmp_path: Path) -> None:
    output = tmp_path / "small.pt"
    export(own_queries(), "torchscript", output, dim=48)
    output.unlink()
    with pytest.raises(OutputError, match=r"small\.queries\.pt: exists already"):
        export(compressor(), "torchscript", output, dim=48)
    assert [path.name for path in tmp_path.iterdir()] == ["small.queries.pt"]
    export(compressor(), "torchscript", output, dim=48, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["small.pt"]
