"""The ingredients of the method: selection, memory, batches, pool, loop, gate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from smec.data import Dataset
from smec.errors import DataError
from smec.method.gate import beats
from smec.method.memory import CrossBatchMemory
from smec.method.plans import plan_stages
from smec.method.selection import ANNEALED_SHARE, column_order, training_mask
from smec.training.batches import Batches
from smec.training.loop import LoopState, optimise
from smec.training.pool import Pool
from training_data import TWO_STAGES, pool_of, short, small_dataset


def pool(*, supervised: bool = True, limit: int = 100_000) -> Pool:
    return pool_of(small_dataset(), supervised=supervised, limit=limit)


def test_the_mask_keeps_exactly_as_many_dimensions_and_passes_gradients() -> None:
    logits = torch.zeros(16, requires_grad=True)
    mask = training_mask(logits, 5, 0.0, [1, 2])
    # Straight through: exactly ones and zeros.
    assert sorted(mask.tolist()) == [0.0] * 11 + [1.0] * 5
    (mask * torch.arange(16.0)).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0


def test_the_mask_is_drawn_from_its_key_until_the_noise_ends() -> None:
    logits = torch.linspace(0, 0.1, 16)
    draws = [training_mask(logits, 4, 0.0, [seed]).round() for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    settled = [training_mask(logits, 4, ANNEALED_SHARE, [seed]).round() for seed in (1, 2)]
    assert settled[0].tolist() == settled[1].tolist() == [0.0] * 12 + [1.0] * 4


def test_selected_dimensions_move_to_the_front_in_their_old_order() -> None:
    assert column_order(torch.tensor([0.1, 0.9, 0.3, 0.8]), 2).tolist() == [1, 3, 0, 2]
    assert column_order(torch.zeros(6), 3).tolist() == list(range(6))


def test_the_memory_is_first_in_first_out_and_never_empty() -> None:
    memory = CrossBatchMemory(pool(), short().memory, seed=0, stage=0)
    before = memory.rows.tolist()
    assert len(before) == 128
    memory.push(np.array([7, 8, 9]))
    assert memory.rows.tolist() == [*before[3:], 7, 8, 9]


def test_the_memory_gives_the_nearest_entries_of_the_queue_but_not_the_anchor_itself() -> None:
    source = pool()
    memory = CrossBatchMemory(source, short().memory, seed=0, stage=0)
    own = memory.rows[:3]
    teacher, rows, places = memory.neighbours(source.documents[own], step=0)
    queue = np.unique(memory.rows.numpy())
    cosines = source.documents[own].numpy() @ source.documents[queue].numpy().T
    cosines[cosines > 0.9999] = -1
    nearest = queue[np.argsort(-cosines, axis=1)[:, :4]]
    assert rows[places].tolist() == nearest.tolist()
    np.testing.assert_allclose(teacher, -np.sort(-cosines, axis=1)[:, :4], atol=1e-5)
    assert not set(own.tolist()) & set(rows[places[0]].tolist()[:1])


def test_random_sampling_of_the_memory_is_seeded_by_the_step() -> None:
    source = pool()
    config = short(memory={"sampling": "random"}).memory
    memory = CrossBatchMemory(source, config, seed=0, stage=0)
    drawn = [memory.neighbours(source.documents[:5], step)[0] for step in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_batch_depends_on_seed_stage_and_step_alone() -> None:
    source, options = pool(), short().optimiser
    first, again = (Batches(source, options, seed=3, stage=1) for _ in range(2))
    again.draw(0)
    assert first.draw(5).documents.tolist() == again.draw(5).documents.tolist()
    assert (
        first.draw(5).documents.tolist()
        != Batches(source, options, seed=4, stage=1).draw(5).documents.tolist()
    )


def test_every_query_comes_once_an_epoch_and_its_positive_stands_in_its_column() -> None:
    source, options = pool(), short().optimiser
    batches = Batches(source, options, seed=0, stage=0)
    steps = len(source.queries) // options.batch
    drawn = [batches.draw(step) for step in range(steps)]
    seen = np.concatenate([batch.queries for batch in drawn])
    assert len(seen) == len(set(seen.tolist())) == steps * options.batch
    for batch in drawn:
        own = np.arange(len(batch.queries))
        assert (batch.grades[own, own] > 0).all()
        for place, query in enumerate(batch.queries):
            relevant = set(source.positives[query][0].tolist())
            found = [document in relevant for document in batch.documents.tolist()]
            assert (batch.grades[place] > 0).tolist() == found


def test_judged_documents_stay_in_a_pool_smaller_than_the_corpus() -> None:
    limited = pool(limit=200)
    judged = small_dataset().judged("train")
    relevant = {row for grades in judged.grades for row, grade in grades.items() if grade > 0}
    assert relevant <= set(limited.rows.tolist())
    assert len(limited.rows) == max(200, len(relevant))


def test_held_out_documents_are_neither_anchors_nor_memory() -> None:
    documents = Dataset(small_dataset().corpus)
    source = pool_of(documents, supervised=False)
    held_out = set(source.held_out_rows.tolist())
    assert held_out
    batches = Batches(source, short().optimiser, seed=0, stage=0)
    drawn = {row for step in range(50) for row in batches.draw(step).documents.tolist()}
    memory = CrossBatchMemory(source, short().memory, seed=0, stage=0)
    assert not held_out & (drawn | set(memory.rows.tolist()))


def quadratic(parameters: Mapping[str, torch.Tensor], step: int) -> torch.Tensor:
    return (parameters["w"] ** 2).sum()


def loop(score_sign: float) -> LoopState:
    config = short(optimiser={"steps": 40}, validation={"every": 5, "patience": 3})
    state = LoopState({"w": torch.ones(3)})
    optimise(
        state,
        quadratic,
        lambda p: score_sign * float(p["w"].sum()),
        config.optimiser,
        config.validation,
        steps=40,
        on_check=lambda: None,
        on_step=lambda _: None,
    )
    return state


def test_a_training_that_only_harms_ends_early_where_it_started() -> None:
    state = loop(score_sign=1.0)
    assert state.best_step == 0
    assert state.best["w"].tolist() == [1.0] * 3
    assert state.step == 15  # three checks without a gain


def test_the_best_check_wins() -> None:
    state = loop(score_sign=-1.0)
    assert state.best_step == state.step == 40
    assert state.best["w"].max() < 1.0


def test_a_loss_that_is_not_finite_is_refused() -> None:
    config = short()
    with pytest.raises(DataError, match=r"loss became nan at step 0; lower optimiser\.learning_rate"):
        optimise(
            LoopState({"w": torch.ones(3)}),
            lambda p, _: (p["w"] * float("nan")).sum(),
            lambda p: 0.0,
            config.optimiser,
            config.validation,
            steps=5,
            on_check=lambda: None,
            on_step=lambda _: None,
        )


def test_a_gain_that_may_be_noise_is_no_win() -> None:
    rival = np.zeros(40)
    sure = np.tile([0.2, 0.2, 0.3, 0.1], 10)
    assert beats(sure, rival)
    assert not beats(-sure, rival)
    assert not beats(rival, rival)
    # Mean .1: at a standard error of .064 it may be noise, at .048 hardly.
    assert not beats(np.tile([0.1 - 0.4, 0.1 + 0.4], 20), rival)
    assert beats(np.tile([0.1 - 0.3, 0.1 + 0.3], 20), rival)


def test_the_average_of_the_steps_is_kept() -> None:
    state = loop(score_sign=-1.0)  # each step is better than the one before
    assert (state.best["w"] == state.average["w"]).all()
    last = state.parameters["w"].detach()
    assert (state.best["w"] > last).all()  # the average lags behind a steady descent


def test_the_full_size_is_trained_first_and_teaches_the_others() -> None:
    config = short(**TWO_STAGES)
    full, others = plan_stages(config, 384, (48, 24, 12), queries=300)
    assert (full.sizes, full.served, full.teacher) == ((384,), (384,), None)
    assert (others.sizes, others.served, others.teacher) == ((48, 24, 12), (48, 24, 12), "layer")
    assert (others.columns, others.turned) == (48, 384)
    assert plan_stages(config, 384, (48, 24, 12), queries=299)[1].turned == 0


def test_a_stage_passes_over_all_queries_at_least_twice() -> None:
    few, many = (plan_stages(short(), 384, (48, 24), queries=count)[0].steps for count in (100, 1000))
    assert (few, many) == (30, 125)


def test_stages_halve_and_have_their_own_two_sizes_in_the_loss() -> None:
    nested = plan_stages(short(schedule="sequential", turned=True), 384, (48, 24, 12), queries=300)
    assert [plan.sizes for plan in nested] == [(48,), (48, 24), (24, 12)]
    assert [plan.served for plan in nested] == [(48,), (48, 24), (24, 12)]
    assert [plan.turned for plan in nested] == [0, 48, 24]
    paper = plan_stages(short("paper"), 384, (48, 24, 12))
    assert [plan.sizes for plan in paper] == [(384, 48), (48, 24), (24, 12)]
    assert [plan.served for plan in paper] == [(48,), (24,), (12,)]
    assert all(plan.select for plan in paper)
    assert not any(plan.turned or plan.teacher for plan in paper)


def test_the_default_trains_all_sizes_at_once_and_the_originals_teach() -> None:
    (plan,) = plan_stages(short(), 384, (48, 24, 12))
    assert (plan.sizes, plan.served, plan.steps) == ((48, 24, 12), (48, 24, 12), 30)
    assert (plan.teacher, plan.turned) == ("originals", 0)
    (unlabelled,) = plan_stages(short(supervised=False), 384, (48, 24, 12))
    (alone,) = plan_stages(short(distillation={"weight": 0}), 384, (48, 24, 12))
    assert (unlabelled.teacher, alone.teacher) == ("originals", None)
