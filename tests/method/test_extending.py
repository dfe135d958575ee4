"""`extend` on what the gate can ship: sizes with a bias, chosen candidates, artefacts of before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from smec import Compressor, extend, train
from smec.block import Block
from smec.card import model_card
from smec.cli.main import app
from smec.contents import ASSEMBLED, CANARY_INPUTS, MEAN
from smec.data import Dataset
from smec.errors import ConfigError
from smec.method.baselines import baselines
from smec.method.gate import Linear
from smec.own_queries import with_queries
from smec.vectors import Float32Array
from synthetic_data import SIZES, WIDTH, around_a_mean, learnable, quick
from training_data import write_dataset

STILL: dict[str, Any] = {"steps": 2, "learning_rate": 1e-9, "passes": 0}


def shipping(name: str, dataset: Dataset) -> Compressor:
    """A compressor of which each size is this baseline."""
    trained = train(dataset, config=quick(optimiser=STILL, candidates=()))
    axes = np.linalg.eigh(dataset.moments.second)[1][:, ::-1].astype(np.float32)
    fitted = baselines(dataset, SIZES, axes, centred=True)
    blocks = [_block(fitted[name].linear(dim), dim, name) for dim in SIZES]
    fields = trained.manifest.model_dump(exclude=ASSEMBLED)
    tensors = trained.tensors
    return Compressor.assemble(blocks, fields, tensors[CANARY_INPUTS], tensors[MEAN])


def _block(linear: Linear, dim: int, name: str) -> Block:
    return Block(np.ascontiguousarray(linear.matrix), (dim,), name, bias=linear.bias)


def assert_extended(before: Compressor, after: Compressor, vectors: Float32Array) -> None:
    """The sizes that exist keep their bits, and stored vectors of the smallest one shrink to the new one."""
    smallest, new = before.dims[-1], after.dims[-1]
    assert after.dims == (*before.dims, new)
    for dim in before.dims:
        np.testing.assert_array_equal(after.encode(vectors, dim), before.encode(vectors, dim))
    stored = before.encode(vectors, smallest)
    np.testing.assert_allclose(after.shrink(stored, new), after.encode(vectors, new), atol=1e-5)


@pytest.mark.parametrize("learned", [True, False], ids=["a learned head", "a head of a baseline"])
@pytest.mark.parametrize("name", ["pca-centred", "spectemp"])
def test_a_size_below_one_with_a_bias_is_made_from_its_stored_vectors(
    name: str, learned: bool, tmp_path: Path
) -> None:
    dataset = around_a_mean()
    before = shipping(name, dataset)
    assert before.block(SIZES[-1]).bias is not None
    config = quick(optimiser={"steps": 20}, validation={"gate": not learned})
    after = extend(before, dataset, 2, config=config)
    if learned:
        assert 2 not in after.fallbacks
    after.save(tmp_path / "model")
    loaded = Compressor.load(tmp_path / "model")
    assert_extended(before, loaded, dataset.corpus.vectors)
    bias = loaded.block(2).bias
    assert bias is not None and bias.shape == (2,)
    twice = extend(loaded, dataset, 1, config=config)
    assert_extended(loaded, twice, dataset.corpus.vectors)


def test_what_the_gate_shipped_is_extended_and_measured_in_a_table_of_its_own() -> None:
    dataset = around_a_mean()
    before = train(dataset, config=quick(optimiser=STILL, candidates=()))
    assert before.block(SIZES[-1]).bias is not None  # the mean costs PCA one of four dimensions
    after = extend(before, dataset, 2)
    assert_extended(before, after, dataset.corpus.vectors)
    validation = after.manifest.validation
    assert validation is not None
    tables = validation.tables()
    assert [[size.dim for size in table.sizes] for table in tables] == [[8, 4], [2]]
    assert [table.corpus for table in tables] == ["growing", "growing"]
    assert (tables[0].folds, tables[1].folds) == (2, 1)


def test_an_extension_uses_the_settings_of_the_chosen_candidate() -> None:
    dataset = learnable()
    before = train(dataset, config=quick(optimiser={"steps": 20}, candidates=("tempered",)))
    stage: dict[str, Any] = dict(extend(before, dataset, 2).manifest.stages[-1])
    assert stage["extended_to"] == 2
    assert stage["config"]["distillation"]["tempering"] == 0.6
    assert stage["config"]["candidates"] == []


NEW_TRAINING = ("candidates", "corpus")
NEW_VALIDATION = ("corpus", "candidate", "step", "folds", "unused", "removed")
NEW_SIZES = ("new", "seen", "pca_centred", "spectemp", "shipped", "queries")


def aged(model: Path) -> None:
    """Take from a saved compressor what artefacts of before candidates lack."""
    file = model / "config.json"
    config = json.loads(file.read_text("utf-8"))
    for name in NEW_TRAINING:
        del config["training"][name]
    del config["feedback"], config["training"]["rank"]["weight"]
    del config["training"]["distillation"]["tempering"], config["training"]["optimiser"]["hard_negatives"]
    for name in NEW_VALIDATION:
        del config["validation"][name]
    for size in config["validation"]["sizes"]:
        for name in NEW_SIZES:
            del size[name]
    file.write_text(json.dumps(config), "utf-8")


def test_the_card_names_the_chosen_candidate_once_as_an_extension_compares_none() -> None:
    before = train(learnable(), config=quick(candidates=("distilled", "tempered")))
    after = extend(before, learnable(), 2, config=quick(candidates=(), optimiser={"steps": 5}))
    assert after.manifest.validation is not None and len(after.manifest.validation.tables()) == 2
    assert model_card(after.manifest).count("Held-out queries chose candidate") == 1


def test_an_artefact_of_before_candidates_loads_is_inspected_and_extended(tmp_path: Path) -> None:
    dataset, model = learnable(), tmp_path / "model"
    sizes = quick(candidates=(), optimiser={"steps": 250}, validation={"folds": 1})
    before = train(dataset, config=sizes)
    assert before.fallbacks == {}
    before.save(model)
    aged(model)
    old = Compressor.load(model)
    assert old.input_dim == WIDTH and old.fingerprint == before.fingerprint
    assert_extended(
        old, extend(old, dataset, 2, config=quick(optimiser={"steps": 5})), dataset.corpus.vectors
    )
    shown = CliRunner().invoke(app, ["inspect", str(model)])
    assert shown.exit_code == 0
    assert old.manifest.validation is not None
    count = old.manifest.validation.queries
    assert f"ndcg@10 on {count} held-out train queries (never the test split)" in shown.stdout
    assert "on new documents" not in shown.stdout and "Not measured" not in shown.stdout
    folder = write_dataset(tmp_path / "data", dataset)
    arguments = ["extend", str(model), str(folder), "--dim", "2", "-o", str(tmp_path / "extended")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert Compressor.load(tmp_path / "extended").dims == (*SIZES, 2)


def test_a_size_is_not_added_below_one_whose_queries_have_a_matrix_of_their_own(tmp_path: Path) -> None:
    dataset, config = around_a_mean(), quick(optimiser=STILL, candidates=())
    shared = shipping("pca-centred", dataset)
    matrices = {dim: shared.block(dim).matrix[:, ::-1].copy() for dim in SIZES}
    with pytest.raises(
        ConfigError, match="queries have a matrix of their own at 4, and a new size is made of"
    ):
        extend(with_queries(shared, matrices), dataset, 2, config=config)
    with_queries(shared, matrices).save(tmp_path / "model")
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "corpus.npy", dataset.corpus.vectors)
    arguments = ["extend", str(tmp_path / "model"), str(tmp_path / "data"), "--dim", "2"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and not (tmp_path / "out").exists()
    larger = with_queries(shared, {SIZES[0]: matrices[SIZES[0]]})
    extended = extend(larger, dataset, 2, config=config)
    assert_extended(larger, extended, dataset.corpus.vectors)
    asked = extended.encode_queries(dataset.corpus.vectors, SIZES[0])
    np.testing.assert_array_equal(asked, larger.encode_queries(dataset.corpus.vectors, SIZES[0]))
    assert extended.own_queries == (SIZES[0],)


def test_what_was_stored_before_an_extension_is_made_smaller_by_the_command(tmp_path: Path) -> None:
    dataset, config = around_a_mean(), quick(optimiser=STILL, candidates=())
    before, folder = shipping("pca-centred", dataset), write_dataset(tmp_path / "data", dataset)
    larger = extend(before, dataset, 2, config=config)
    for name, of in (("before", before), ("larger", larger)):
        of.save(tmp_path / name)

    def compressed(model: str, source: Path, output: str, *options: str) -> int:
        arguments = ["compress", str(tmp_path / model), str(source), "-o", str(tmp_path / output), *options]
        return CliRunner().invoke(app, arguments).exit_code

    corpus = next(folder.glob("corpus.*"))
    assert compressed("before", corpus, "stored.parquet", "--dim", "4") == 0
    assert compressed("larger", tmp_path / "stored.parquet", "small.parquet", "--from-dim", "4") == 0
    small = np.stack(pq.read_table(tmp_path / "small.parquet")["vector"].to_numpy())
    assert np.abs(small - larger.encode(dataset.corpus.vectors, 2)).max() < 1e-5
    # The other way round, size 2 is none of the compressor before; another compressor has made none of it.
    assert larger.made(before.fingerprint, 4) and not larger.made(before.fingerprint, 2)
    shipping("pca", dataset).save(tmp_path / "other")
    assert compressed("other", tmp_path / "stored.parquet", "no.parquet", "--from-dim", "4") == 2
