"""Training for documents that nobody judged: what is learned ships, what is remembered does not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smec.training.checkpoint as checkpoints
from smec import Compressor, Dataset, train
from smec.artefact import Validation
from smec.baselines import fit_baseline
from smec.card import KEPT, model_card, remarks
from smec.method.candidates import TOLERANCE
from smec.training.loop import Progress
from synthetic_data import SIZES, around_a_mean, in_a_chain, learnable, memorable, of_one_document, quick

LONG: dict[str, Any] = {"steps": 250}


@cache
def learned() -> Compressor:
    return train(learnable(), config=quick(optimiser=LONG))


def validation_of(compressor: Compressor) -> Validation:
    assert compressor.manifest.validation is not None
    return compressor.manifest.validation


def test_what_can_be_learned_ships_at_every_size_and_gains_on_new_documents() -> None:
    validation = validation_of(learned())
    assert learned().fallbacks == {}
    assert validation.candidate in ("distilled", "tempered")
    assert (validation.folds, validation.corpus) == (2, "growing")
    for size in validation.sizes:
        assert size.new is not None and size.new.queries == 240
        best = max(size.new.pca, size.new.truncate, size.new.pca_centred or 0, size.new.spectemp or 0)
        assert size.new.shipped == size.new.smec > best + 0.1


def test_the_best_of_the_compared_trainings_is_the_one_that_ships() -> None:
    scores = {}
    for name in ("distilled", "tempered"):
        sizes = validation_of(train(learnable(), config=quick(optimiser=LONG, candidates=(name,)))).sizes
        scores[name] = np.mean([size.new.smec for size in sizes if size.new is not None])
    assert validation_of(learned()).candidate == max(scores, key=lambda name: scores[name])
    shipped = np.mean([size.new.smec for size in validation_of(learned()).sizes if size.new is not None])
    assert shipped == pytest.approx(max(scores.values()))


def test_labels_that_say_nothing_new_leave_the_map_without_labels() -> None:
    few = train(memorable(), config=quick(optimiser={"steps": 2}))
    assert validation_of(few).candidate == "unlabelled"
    alone = train(memorable(), config=quick(optimiser={"steps": 2}, candidates=("unlabelled",)))
    assert few.fingerprint == alone.fingerprint


def test_what_can_only_be_remembered_ships_a_baseline_or_what_does_not_harm_new_documents() -> None:
    compressor = train(memorable(), config=quick())
    for size in validation_of(compressor).sizes:
        assert size.new is not None and size.seen is not None
        assert size.new.shipped >= size.new.pca - 0.01
        if size.method == "smec" and size.agreement is None:
            assert size.new.smec >= size.new.pca and size.seen.smec > size.seen.pca


def test_what_can_be_remembered_ships_for_a_fixed_corpus_and_says_what_it_does_to_new_documents() -> None:
    compressor = train(memorable(), config=quick(corpus="fixed", candidates=("trained",), optimiser=LONG))
    validation = validation_of(compressor)
    assert compressor.fallbacks == {}
    assert validation.candidate == "trained"  # with folds it is for such a corpus only
    for size in validation.sizes:
        assert size.seen is not None and size.seen.smec > size.seen.pca + 0.2
        # Its figures of new documents are those of a training that never saw them: memory is of no use there.
        assert size.new is not None and size.new.smec < size.seen.smec - 0.2
    assert any("The corpus was declared fixed" in sentence for sentence in remarks(validation))


def test_one_document_for_all_queries_of_a_fixed_corpus_leaves_new_ones_unmeasured() -> None:
    validation = validation_of(train(of_one_document(), config=quick(corpus="fixed")))
    assert all(size.new is None for size in validation.sizes)
    assert any("Not measured: new documents" in sentence for sentence in remarks(validation))


def test_folds_of_few_queries_do_not_try_the_candidate_that_remembers() -> None:
    validation = validation_of(train(memorable(), config=quick(candidates=("trained", "distilled"))))
    assert validation.candidate in ("distilled", "unlabelled")
    alone = validation_of(train(memorable(), config=quick(candidates=("trained",), optimiser={"steps": 2})))
    assert alone.candidate == "trained"  # it was asked for
    one_fold = quick(candidates=("trained",), optimiser={"steps": 2}, validation={"folds": 1})
    assert validation_of(train(memorable(), config=one_fold)).candidate == "trained"


def test_one_document_for_all_queries_ships_what_needs_no_labels_and_says_why() -> None:
    compressor = train(of_one_document(), config=quick())
    validation = validation_of(compressor)
    assert validation.candidate == "unlabelled"
    assert all(size.new is None and size.seen is not None for size in validation.sizes)
    for size in validation.sizes:
        assert size.agreement is not None
        assert (size.method == "smec") == (size.agreement.pca < KEPT["queries"])
    said = "Not measured: new documents. Every held-out query asks for documents judged in training."
    _, chosen, *others = remarks(validation)
    assert chosen == f"Held-out queries chose candidate 'unlabelled', step {validation.step}."
    assert said in others
    assert said in model_card(compressor.manifest)


def test_a_single_group_is_divided_and_says_what_that_costs() -> None:
    validation = validation_of(train(in_a_chain(), config=quick(optimiser={"steps": 5})))
    assert validation.removed > 0
    assert all(size.new is not None and size.new.queries == 80 for size in validation.sizes)
    assert remarks(validation)[-1] == (
        f"To keep held-out documents out of training, a fold leaves out {validation.unused} queries and "
        f"{validation.removed} judgements (mean of 2 folds)."
    )


def test_documents_that_one_query_each_asks_for_are_all_new() -> None:
    compressor = train(around_a_mean(), config=quick(optimiser={"steps": 5}))
    validation = validation_of(compressor)
    assert all(size.seen is None and size.new is not None for size in validation.sizes)
    _, chosen, *others = remarks(validation)
    assert chosen.startswith(f"Held-out queries chose candidate {validation.candidate!r}, step ")
    said = "Not measured: documents judged in training. No query shares all its documents with others."
    assert said in others
    feedback = compressor.manifest.feedback
    assert feedback is not None and (feedback.queries_seen, feedback.seen_after) == (0, None)


def test_a_baseline_that_ships_is_that_baseline() -> None:
    still: dict[str, Any] = {"steps": 1, "learning_rate": 1e-9, "passes": 0}
    compressor = train(around_a_mean(), config=quick(optimiser=still, candidates=()))
    vectors = around_a_mean().corpus.vectors
    assert compressor.fallbacks[4] in ("pca-centred", "spectemp")  # the mean costs PCA one of four
    for dim, name in compressor.fallbacks.items():
        baseline = fit_baseline(name, around_a_mean(), SIZES)
        np.testing.assert_allclose(compressor.encode(vectors, dim), baseline.encode(vectors, dim), atol=1e-5)


def test_feedback_is_measured_on_queries_that_ask_for_judged_documents() -> None:
    compressor = train(memorable(), config=quick(optimiser={"steps": 2}))
    record = compressor.manifest.feedback
    assert record is not None and record.seen_before is not None and record.seen_after is not None
    assert record.queries_new == 240 and record.queries_seen > 0
    assert record.seen_after > record.seen_before + 0.2
    assert record.weight in (0.5, 1.0, 2.0)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        train(memorable(), config=quick()).save(tmp_path / name)
    for file in ("compressor.safetensors", "config.json", "README.md"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


class Interrupted(Exception):
    pass


def test_a_training_goes_on_in_the_second_fold_of_the_second_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    config, state = quick(optimiser={"steps": 40}, candidates=("distilled", "tempered")), tmp_path / "state"
    dataset: Dataset = learnable()

    def stop(progress: Progress) -> None:
        assert progress.stages == 6  # two candidates, and what they start from, on two folds
        if (progress.stage, progress.step) == (6, 30):
            raise Interrupted

    with pytest.raises(Interrupted):
        train(dataset, config=config, checkpoint=state, progress=stop)
    assert {file.name for file in tmp_path.iterdir()} == {"state", *(f"state-{n}" for n in range(1, 6))}
    seen: list[tuple[int, int]] = []
    resumed = train(
        dataset,
        config=config,
        checkpoint=state,
        resume=True,
        progress=lambda progress: seen.append((progress.stage, progress.step)),
    )
    assert seen[0] == (6, 21)  # from the last check on
    assert list(tmp_path.iterdir()) == []
    whole = train(dataset, config=config)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.manifest == whole.manifest


def test_a_map_between_the_start_and_the_last_check_can_be_what_ships() -> None:
    settings: dict[str, Any] = {
        "candidates": (),
        "start": "pca",
        "optimiser": {"steps": 20, "learning_rate": 1e-3},
    }
    between = train(in_a_chain(), config=quick(validation={"mixtures": (0.25,)}, **settings))
    whole = validation_of(train(in_a_chain(), config=quick(validation={"mixtures": ()}, **settings)))
    validation = validation_of(between)
    assert (validation.mixture, whole.mixture) == (0.25, 1.0)
    of_new = [np.mean([size.new.smec for size in one.sizes if size.new]) for one in (validation, whole)]
    assert of_new[0] > of_new[1] - TOLERANCE
