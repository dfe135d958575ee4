"""What every export promises, read by the software it is for, on 1,000 real vectors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from exportable import DIMS, MODELS, READ, TOLERANCE, check_codes, compressor, vectors
from smec.errors import ConfigError, MissingExtraError, OutputError
from smec.export import TARGETS, export

HERE = ("numpy", "torchscript", "faiss")
"""The others are tested in tests/integrations."""
CODES = {
    "numpy": ("float16", "int8", "int4", "binary", "itq"),
    "torchscript": ("float16", "int8", "int4", "binary", "itq"),
    "faiss": ("float16", "int8", "int4", "binary", "itq", "pq8", "opq8"),
}


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("target", HERE)
@pytest.mark.parametrize("model", MODELS)
def test_an_export_agrees_with_encode(model: str, target: str, dim: int, tmp_path: Path) -> None:
    compressor = MODELS[model]()
    export(compressor, target, tmp_path / "out", dim=dim)
    found = READ[target](tmp_path / "out", vectors())
    assert found.shape == (1000, dim) and found.dtype == np.float32
    deviation = np.abs(found - compressor.encode(vectors(), dim)).max()
    assert deviation <= TOLERANCE
    alone = READ[target](tmp_path / "out", vectors()[:1])
    assert np.abs(alone - found[:1]).max() <= TOLERANCE


@pytest.mark.parametrize(("target", "codec"), [(t, c) for t, codecs in CODES.items() for c in codecs])
@pytest.mark.parametrize("model", MODELS)
def test_codes_are_the_codecs_own_bytes(model: str, target: str, codec: str, tmp_path: Path) -> None:
    check_codes(MODELS[model](), target, tmp_path, codec, 48)


@pytest.mark.parametrize("codec", ["pq8", "opq8", "rabitq"])
@pytest.mark.parametrize("target", ["numpy", "torchscript"])
def test_codes_that_arithmetic_does_not_make_are_refused(target: str, codec: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=f"export to {target}: cannot make the codes of {codec}; use float32"
    ):
        export(compressor(), target, tmp_path / "out", dim=48, codec=codec)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", HERE)
def test_an_output_is_replaced_only_when_told(target: str, tmp_path: Path) -> None:
    export(compressor(), target, tmp_path / "out", dim=48)
    with pytest.raises(OutputError, match="exists already"):
        export(compressor(), target, tmp_path / "out")
    export(compressor(), target, tmp_path / "out", dim=24, force=True)
    assert READ[target](tmp_path / "out", vectors()[:3]).shape == (3, 24)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "keras"}, "export to 'keras' is not known; use one of numpy, onnx"),
        ({"target": "numpy", "dim": 20}, "size 20 is not served"),
        ({"target": "numpy", "codec": "pq16"}, "is not calibrated for codec 'pq16'"),
        ({"target": "faiss", "encoder": "x"}, "export to faiss: takes no encoder"),
        ({"target": "faiss", "input_type": "float16"}, "export to faiss: takes no input type"),
        ({"target": "sentence-transformers", "encoder": "x", "codec": "int8"}, "takes no codec"),
        ({"target": "sentence-transformers"}, "needs the embedding model; name it with --encoder"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    arguments: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(compressor(), output=tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("target", "library", "extra"),
    [
        ("onnx", "onnx", "onnx"),
        ("torchscript", "torch", "train"),
        ("faiss", "faiss", "faiss"),
        ("sentence-transformers", "sentence_transformers", "sentence-transformers"),
    ],
)
def test_without_its_library_the_message_names_the_extra(
    target: str, library: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == library or n == TARGETS[target].home]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    encoder = "x" if target == "sentence-transformers" else None
    with pytest.raises(MissingExtraError, match=rf"export to {target} needs {library}.*smec\[{extra}\]"):
        export(compressor(), target, tmp_path / "out", encoder=encoder)
    assert not list(tmp_path.iterdir())


def test_an_order_says_which_sizes_are_prefixes(tmp_path: Path) -> None:
    order = export(compressor(), "numpy", tmp_path / "out")
    assert (order.dim, order.prefixes, order.separate) == (96, (96, 48, 24), (12,))
    what, prefixes, others = order.in_words()
    assert what.startswith("embeddings of sentence-transformers/all-MiniLM-L6-v2, 384 dims -> 96 dims")
    assert prefixes == "the first 48 or 24 numbers, brought to unit length again, are these sizes"
    assert others.startswith("no prefix is the size 12 (pca), which has a matrix of its own")
