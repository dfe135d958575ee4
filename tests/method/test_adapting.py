"""`adapt`: queries learn from what came after the index, and no stored document vector changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smec import Compressor, TrainConfig, adapt, evaluate, extend, train
from smec.adaptation import Adaptation
from smec.block import Block
from smec.card import model_card
from smec.config import overlay, parsed
from smec.contents import ASSEMBLED, CANARY_INPUTS, MEAN
from smec.data import Dataset
from smec.errors import ConfigError, DataError
from smec.evaluation.neighbours import overlap
from smec.method.adaptation import adaptation_config
from smec.vectors import Float32Array, IntArray, normalise
from synthetic_data import (
    SIZES,
    WIDTH,
    around_a_mean,
    asked_from_elsewhere,
    at_random,
    learnable,
    memorable,
    of_one_document,
    quick,
)

QUICKLY: dict[str, Any] = {
    "optimiser": {"steps": 60, "batch": 32, "negatives": 64},
    "validation": {"every": 20, "folds": 2},
}


def adapted_quickly(compressor: Compressor, dataset: Dataset, **options: Any) -> Compressor:
    """`adapt` with settings that need a second or two."""
    config = overlay(adaptation_config(compressor, **options).model_dump(), QUICKLY)
    return adapt(compressor, dataset, config=parsed(TrainConfig, config, "configuration"))


@cache
def without_labels() -> Compressor:
    """Trained on queries whose judgements were not read."""
    return train(asked_from_elsewhere(), config=quick(supervised=False))


@cache
def adapted() -> Compressor:
    return adapted_quickly(without_labels(), asked_from_elsewhere())


def last(compressor: Compressor) -> Adaptation:
    return compressor.manifest.adaptations[-1]


def scores(compressor: Compressor, dataset: Dataset) -> list[float]:
    """nDCG@10 of each size on the test split."""
    return [result.metrics["nDCG@10"] for result in evaluate(dataset, [compressor]).results]


def assert_same_documents(before: Compressor, after: Compressor, vectors: Float32Array) -> None:
    assert after.fingerprint == before.fingerprint
    for dim in before.dims:
        np.testing.assert_array_equal(after.encode(vectors, dim), before.encode(vectors, dim))
    for block in before.blocks:
        stored = before.encode(vectors, block.dims[0])
        for dim in block.dims:
            np.testing.assert_array_equal(after.shrink(stored, dim), before.shrink(stored, dim))


def test_documents_keep_their_bits_and_queries_find_more_of_those_that_nobody_judged(tmp_path: Path) -> None:
    before, dataset = without_labels(), asked_from_elsewhere()
    adapted().save(tmp_path / "better")
    after = Compressor.load(tmp_path / "better")
    assert_same_documents(before, after, dataset.corpus.vectors)
    assert after.query_fingerprint != before.query_fingerprint
    assert after.own_queries == SIZES
    gains = np.subtract(scores(after, dataset), scores(before, dataset))
    assert (gains > 0.05).all(), gains
    assert after.codecs == before.codecs
    assert after.manifest.validation == before.manifest.validation


def test_the_record_has_what_held_out_queries_scored_with_both() -> None:
    record = last(adapted())
    assert (record.fingerprint, record.query_fingerprint) == (without_labels().fingerprint,) * 2
    assert (record.queries, record.judged, record.metric, record.corpus) == (300, 300, "ndcg@10", "growing")
    assert record.data["qrels"] == asked_from_elsewhere().fingerprint("train")["qrels"]
    for size in record.sizes:
        assert size.ships == "own" and size.new is not None and size.seen is None
        assert size.new.queries == 300
        assert size.ci[0] > 0 and size.ci[0] < size.own - size.before < size.ci[1]
        assert size.full > size.before
    assert record.kept == ()


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    again = adapted_quickly(without_labels(), asked_from_elsewhere())
    assert again.query_fingerprint == adapted().query_fingerprint
    other = adapted_quickly(without_labels(), asked_from_elsewhere(), seed=1)
    assert other.fingerprint == adapted().fingerprint
    assert other.query_fingerprint != adapted().query_fingerprint


def test_judgements_drawn_at_random_change_nothing() -> None:
    before = train(at_random(), config=quick(supervised=False))
    after = adapted_quickly(before, at_random())
    assert (after.fingerprint, after.query_fingerprint) == (before.fingerprint, before.query_fingerprint)
    assert after.own_queries == ()
    assert last(after).kept == SIZES
    queries = at_random().judged("train").vectors
    np.testing.assert_array_equal(after.encode_queries(queries), before.encode_queries(queries))


def test_where_no_query_asks_for_new_documents_nothing_ships() -> None:
    before = train(of_one_document(), config=quick(supervised=False))
    after = adapted_quickly(before, of_one_document())
    assert after.own_queries == ()
    assert all(size.new is None and size.seen is not None for size in last(after).sizes)


def test_a_corpus_that_is_called_fixed_ships_what_helps_judged_documents() -> None:
    before = train(memorable(), config=quick(supervised=False))
    after = adapted_quickly(before, memorable(), corpus="fixed")
    assert last(after).corpus == "fixed"
    assert after.own_queries == SIZES
    assert all(size.seen is not None and size.seen.own > size.seen.before for size in last(after).sizes)


def test_queries_that_were_adapted_go_on_from_the_matrix_that_they_have() -> None:
    few = adapted_quickly(without_labels(), asked_from_elsewhere(judged=100))
    more = adapted_quickly(few, asked_from_elsewhere())
    assert more.fingerprint == few.fingerprint
    records = more.manifest.adaptations
    assert [record.judged for record in records] == [100, 300]
    assert records[1].query_fingerprint == few.query_fingerprint
    assert records[1].sizes[0].before > last(few).sizes[0].before
    assert records[0].queries == 300  # 200 taught without judgements


def correlated(queries: int = 300) -> Dataset:
    """Six directions hold nearly all, so that some coordinates tell the others; and a log of queries."""
    rng = np.random.default_rng(10)
    mixed = rng.standard_normal((6, WIDTH))
    corpus, log = (
        rng.standard_normal((rows, 6)) @ mixed + 0.2 * rng.standard_normal((rows, WIDTH))
        for rows in (400, queries)
    )
    return Dataset(corpus.astype(np.float32), log=log.astype(np.float32))


def truncating(dataset: Dataset) -> Compressor:
    """A compressor that ships the leading coordinates."""
    trained = train(dataset, config=quick(supervised=False, optimiser={"steps": 1, "passes": 0}))
    block = Block(np.eye(WIDTH, SIZES[0], dtype=np.float32), SIZES, "truncate")
    fields = trained.manifest.model_dump(exclude=ASSEMBLED)
    return Compressor.assemble([block], fields, trained.tensors[CANARY_INPUTS], trained.tensors[MEAN])


def test_a_log_without_judgements_teaches_queries_to_find_the_full_vectors_neighbours() -> None:
    dataset = correlated()
    before = truncating(dataset)
    after = adapted_quickly(before, dataset, supervised=False)
    assert_same_documents(before, after, dataset.corpus.vectors)
    record = last(after)
    assert (record.metric, record.judged, record.queries, record.corpus) == ("overlap@10", 0, 300, None)
    assert after.own_queries == SIZES
    assert record.sizes[0].own > record.sizes[0].before + 0.02  # four coordinates cannot tell six directions
    fresh = np.asarray(correlated(400).log.vectors)[300:]  # type: ignore[union-attr]
    full = nearest(fresh, dataset.corpus.vectors)
    kept = [
        overlap(full, nearest(one.encode_queries(fresh), one.encode(dataset.corpus.vectors))).mean()
        for one in (before, after)
    ]
    assert kept[1] > kept[0] + 0.02


def nearest(queries: Float32Array, documents: Any) -> IntArray:
    rows: IntArray = np.argsort(-normalise(queries) @ normalise(documents).T, axis=1)[:, :10]
    return rows


def test_a_log_that_has_nothing_left_to_teach_changes_nothing() -> None:
    dataset = asked_from_elsewhere()
    log = Dataset(dataset.corpus, log=np.asarray(dataset.judged("train").vectors))
    after = adapted_quickly(without_labels(), log, supervised=False)
    assert last(after).kept == SIZES
    assert after.query_fingerprint == without_labels().query_fingerprint


def test_each_nested_family_of_sizes_decides_on_its_own_and_biases_and_heads_stay() -> None:
    dataset = around_a_mean()
    still = quick(optimiser={"steps": 2, "learning_rate": 1e-9, "passes": 0}, candidates=())
    small = extend(train(dataset, config=still), dataset, 2, config=quick(optimiser={"steps": 5}))
    assert small.block(SIZES[-1]).bias is not None and small.block(2).head is not None
    after = adapted_quickly(small, dataset)
    assert_same_documents(small, after, dataset.corpus.vectors)
    ships = {size.dim: size.ships for size in last(after).sizes}
    for block in after.blocks:
        assert {ships[dim] for dim in block.dims} == ({"own"} if block.query is not None else {"before"})


def test_documents_are_learned_from_as_the_compressor_stores_them() -> None:
    before = train(learnable(), config=quick(supervised=False, codec="int4"))
    after = adapted_quickly(before, learnable())
    assert after.codecs == before.codecs and "int4" in after.codecs[SIZES[0]]
    for name, tensor in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], tensor)
    as_floats = adapted_quickly(without_codec(before), learnable())
    assert last(as_floats).sizes[0].before != last(after).sizes[0].before


def without_codec(compressor: Compressor) -> Compressor:
    """The same compressor, as if documents had been floats in training."""
    training = {**compressor.manifest.training, "codec": None}
    manifest = compressor.manifest.model_copy(update={"training": training})
    return Compressor(compressor.blocks, manifest, compressor.tensors)


def test_an_adaptation_takes_the_compressors_teacher_seed_and_corpus() -> None:
    trained = train(
        learnable(),
        config=quick(candidates=("tempered",), start="pca", seed=3, corpus="fixed", optimiser={"steps": 5}),
    )
    config = adaptation_config(trained)
    assert (config.distillation.tempering, config.seed, config.corpus) == (0.6, 3, "fixed")
    assert adaptation_config(trained, corpus="growing", seed=0).corpus == "growing"


def test_the_card_tells_what_queries_learned() -> None:
    card = model_card(adapted().manifest)
    assert "Adapted to 300 queries, 300 of them judged" in card
    assert "ndcg@10 on new documents (300 held-out train queries)" in card
    assert "Adapted to" not in model_card(without_labels().manifest)


def test_steps_are_told_as_they_are_taken() -> None:
    told: list[tuple[int, int, int]] = []
    few = {"optimiser": {"steps": 4, "passes": 0}}
    document = overlay(adaptation_config(without_labels()).model_dump(), few)
    config = parsed(TrainConfig, document, "configuration")
    adapt(
        without_labels(),
        asked_from_elsewhere(),
        config=config,
        progress=lambda of: told.append((of.stage, of.stages, of.step)),
    )
    assert told == [(fold, 4, step) for fold in range(1, 5) for step in range(1, 5)]


def refused(dataset: Dataset, said: str, **options: Any) -> None:
    with pytest.raises(DataError, match=said):
        adapted_quickly(without_labels(), dataset, **options)


def test_datasets_that_cannot_teach_are_refused() -> None:
    dataset = asked_from_elsewhere()
    narrow = np.asarray(dataset.corpus.vectors)[:, : WIDTH - 1]
    refused(Dataset(narrow, narrow[:9]), f"has {WIDTH - 1} dims, the compressor takes {WIDTH}")
    assert dataset.queries is not None
    refused(Dataset(dataset.corpus, dataset.queries), "adapt without labels \\(--unsupervised\\)")
    three = {"train": {str(query): {str(query): 1} for query in range(3)}}
    refused(Dataset(dataset.corpus, dataset.queries, three), "judge 4 at least")
    refused(Dataset(dataset.corpus), "fewer than 8 different queries", supervised=False)


def test_embeddings_of_another_model_are_refused_and_a_grown_corpus_is_not() -> None:
    dataset = around_a_mean()
    before = train(dataset, config=quick(supervised=False, optimiser={"steps": 5}))
    assert dataset.queries is not None
    corpus, queries = np.asarray(dataset.corpus.vectors), np.asarray(dataset.queries.vectors)
    with pytest.raises(DataError, match="embeddings of another model"):
        adapted_quickly(before, Dataset(-corpus, -queries, dataset.qrels))
    grown = np.concatenate([corpus, corpus[:50] + 0.1])
    assert adapted_quickly(before, Dataset(grown, queries, dataset.qrels)).fingerprint == before.fingerprint


def test_settings_that_no_adaptation_can_have_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "paper.json"
    file.write_text('{"selection": "ads", "schedule": "sequential"}', "utf-8")
    with pytest.raises(ConfigError, match="no 'ads'"):
        adaptation_config(without_labels(), file=file)
