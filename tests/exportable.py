"""Compressors of real vectors with every codec, and how each export is read by the software it is for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smec.baselines import fit_baseline
from smec.block import Block
from smec.calibration import calibrate
from smec.compressor import Compressor
from smec.demo import demo_dataset
from smec.export import export
from smec.own_queries import with_queries
from smec.vectors import Float32Array

DIMS = (96, 48, 24, 12)
SEPARATE = 12
"""A size that is no prefix of the others, as one that the gate gave to a baseline."""
TOLERANCE = 1e-5

Read = Callable[[Path, Float32Array], NDArray[Any]]


@cache
def vectors() -> Float32Array:
    """1,000 real embeddings, of which three are not of unit length."""
    rows = np.asarray(demo_dataset().corpus.vectors[:1000], dtype=np.float32)
    rows[5:8] *= np.array([[40], [1e4], [1e-3]], dtype=np.float32)
    return rows


@cache
def compressor() -> Compressor:
    corpus = demo_dataset().corpus.vectors
    nested, other = fit_baseline("pca", corpus, DIMS[:3]), fit_baseline("random", corpus, (SEPARATE,))
    return _calibrated(
        Block(nested.matrix, DIMS[:3], "smec"),  # type: ignore[attr-defined]
        Block(other.matrix, (SEPARATE,), "pca"),  # type: ignore[attr-defined]
    )


@cache
def centred() -> Compressor:
    """The same sizes from unit-length vectors less the corpus' mean: every block has a bias."""
    corpus = demo_dataset().corpus.vectors
    nested = fit_baseline("pca-centred", corpus, DIMS[:3])
    other = fit_baseline("spectemp", corpus, (SEPARATE,)).documents[SEPARATE]  # type: ignore[attr-defined]
    return _calibrated(*(_with_bias(fitted) for fitted in (nested, other)))


@cache
def own_queries() -> Compressor:
    """As `compressor`, but queries have a matrix of their own at the nested sizes."""
    return _asked_otherwise(compressor())


@cache
def centred_own_queries() -> Compressor:
    """As `centred`, but queries have a matrix of their own at the nested sizes."""
    return _asked_otherwise(centred())


def _asked_otherwise(parent: Compressor) -> Compressor:
    nested = parent.block(DIMS[0])
    turned = np.linalg.qr(np.random.default_rng(3).standard_normal((384, 384)))[0].astype(np.float32)
    return with_queries(parent, {DIMS[0]: np.ascontiguousarray(turned @ nested.matrix)})


def _with_bias(fitted: Any) -> Block:
    return Block(fitted.matrix, fitted.dims, fitted.name, bias=-fitted.mean @ fitted.matrix)


def _calibrated(*blocks: Block) -> Compressor:
    corpus = demo_dataset().corpus.vectors
    plain = Compressor.assemble(
        blocks,
        {
            "smec_version": "0",
            "source_model": "sentence-transformers/all-MiniLM-L6-v2",
            "preset": "default",
            "supervised": False,
            "training": {},
            "data": {"name": "medquad"},
            "libraries": {},
        },
        corpus[:3],
        corpus.mean(axis=0),
    )
    names = ["int8", "int4", "binary", "itq", "pq8", "opq8", "rabitq"]
    return calibrate(plain, corpus[:2000], names, dims=(48,))


MODELS = {"plain": compressor, "centred": centred}
"""Kind of product -> a compressor that makes it."""
OWN = {"plain": own_queries, "centred": centred_own_queries}
"""The same where queries have a matrix of their own."""


def check_codes(model: Compressor, target: str, folder: Path, codec: str, dim: int) -> None:
    """A target's codes are the codec's own bytes: all of its own floats, all but few of those of `encode`."""
    export(model, target, folder / "floats", dim=dim)
    export(model, target, folder / "codes", dim=dim, codec=codec)
    floats, codes = READ[target](folder / "floats", vectors()), READ[target](folder / "codes", vectors())
    own, expected = (
        model.codec(codec, dim).encode(small) for small in (floats, model.encode(vectors(), dim))
    )
    assert codes.dtype == expected.dtype
    if codec in ("int8", "int4", "binary"):
        assert np.array_equal(codes, own)
    # Floats that differ in their last bit fall on two sides of a step now and then; and a median is one
    # of the corpus's own numbers, so that some stand right on it.
    assert (codes == expected).mean() >= 0.995


def by_numpy(path: Path, rows: Float32Array) -> NDArray[Any]:
    spec = spec_from_file_location("exported", path / "encode.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    encoded: NDArray[Any] = module.encode(rows)
    return encoded


def by_torch(path: Path, rows: Float32Array) -> NDArray[Any]:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    encoded: NDArray[Any] = module(torch.from_numpy(rows)).numpy()
    return encoded


def by_faiss(path: Path, rows: Float32Array) -> NDArray[Any]:
    """The bytes that the index stores, as numbers where they are."""
    import faiss

    index: Any = faiss.read_index(str(path / "index.faiss"))
    codes: NDArray[Any] = index.sa_encode(rows)
    flat = faiss.downcast_index(index.index)
    if isinstance(flat, faiss.IndexFlat):
        return codes.view(np.float32)
    half = isinstance(flat, faiss.IndexScalarQuantizer) and flat.sq.qtype == faiss.ScalarQuantizer.QT_fp16
    return codes.view(np.float16) if half else codes


def by_onnxruntime(path: Path, rows: Float32Array) -> NDArray[Any]:
    session = import_module("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    half = session.get_inputs()[0].type == "tensor(float16)"
    encoded: NDArray[Any] = session.run(None, {"embeddings": rows.astype(np.float16) if half else rows})[0]
    return encoded


def by_sentence_transformers(path: Path, rows: Float32Array) -> NDArray[Any]:
    """Vectors through the modules behind the embedding model, as if it had made them."""
    import torch

    model = import_module("sentence_transformers").SentenceTransformer(str(path), device="cpu")
    features = {"sentence_embedding": torch.from_numpy(rows.copy())}
    with torch.no_grad():
        for name, module in model.named_children():
            features = module(features) if name.startswith("smec_") else features
    encoded: NDArray[Any] = features["sentence_embedding"].numpy()
    return encoded


READ: dict[str, Read] = {
    "numpy": by_numpy,
    "torchscript": by_torch,
    "faiss": by_faiss,
    "onnx": by_onnxruntime,
    "sentence-transformers": by_sentence_transformers,
}
