"""Which dimensions ADS keeps, held against WARE; below is what the page says of it.

The paper ranks dimensions by WARE, the weighted average reconstruction error of removing one, and is said to
report that ADS keeps 83.6 % of the most important ones at a sixth of the size, and a prefix 17.4 %. Its
formula is not known to us. Our reading: with s the cosine of a query and a document, and without dimension j
s_j = (s - q_j d_j) / √((1 - q_j²) (1 - d_j²)),

    WARE_j = Σ |s| (|s_j - s| / |s|) / Σ |s|

over the train queries with their relevant and their ten nearest documents. *ADS* trains its logits alone,
with the rank loss of the preset `paper`, *ADS + memory* with its memory loss too; *ADS + layer* is the whole
preset, whose layers change the dimensions while it selects. All choices are scored on the given dimensions
as they are: on the test split, and by the rank loss on the train queries that ADS saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch.nn import functional

from benchmarks.cells import Laboratory
from benchmarks.figures import full_size, per_query
from benchmarks.gradients import by_dataset
from benchmarks.markdown import points, signed, table
from benchmarks.plan import Plan
from benchmarks.plots import draw_lines
from smec import Dataset, train
from smec.baselines.selection import Selection, fit_variance
from smec.config import TrainConfig, build_config
from smec.encoder import default_dims
from smec.losses.ranking import pairwise_logistic
from smec.losses.similarity import absolute_difference
from smec.method.memory import CrossBatchMemory
from smec.method.selection import column_order, training_mask
from smec.training.batches import Batches
from smec.training.held_out import training_folds
from smec.training.pool import Pool, fold_pools, judged_train_queries
from smec.vectors import IntArray

NAME = "dimension_choice"

Document = dict[str, Any]
Scores = NDArray[np.float64]

NEAREST, MOST_PAIRS, DRAWS, LOSS_BATCHES = 10, 20_000, 5, 10
WITH_LAYER, ALONE, WITH_MEMORY = "ADS + layer", "ADS", "ADS + memory"
WARE, VARIANCE, TRUNCATE, RANDOM = "WARE's top", "variance", "truncate", "random"
DRAWN = {"share": "WARE's top that is kept, %", "ndcg": "nDCG@10, times 100"}
NAMES = (WITH_LAYER, ALONE, WITH_MEMORY, WARE, VARIANCE, TRUNCATE, RANDOM)


def measure(laboratory: Laboratory, plan: Plan) -> Document:
    """`figures` of every dataset and seed."""
    return {
        "runs": [figures(laboratory.dataset(name), seed) for name in plan.datasets for seed in plan.seeds]
    }


def figures(dataset: Dataset, seed: int = 0) -> Document:
    """Choose dimensions in each way by train queries, and score the choices on test queries.

    Returns
    -------
    dict
        ``choices[name]`` has lists by size, as in ``dims``: ``share`` of WARE's top that is kept,
        ``dropped``, the mean WARE of the others by that of all, ``loss`` and ``ndcg``; "random" is the mean
        of its draws. ``best_steps`` are those of the preset's stages; ``correlation`` is Spearman's of WARE.
    """
    config = build_config("paper", supervised=True, seed=seed, validation={"gate": False})
    validation = config.validation.model_copy(update={"folds": 1})
    folds = training_folds(judged_train_queries(dataset), validation, seed=seed)
    (pool,) = fold_pools(dataset, folds, seed=seed, limit=config.pool)
    dims = default_dims(dataset.dim)
    importance, unweighted = ware(pool, seed)
    with_layer, best_steps = _with_layer(dataset, config)
    orders = {
        WITH_LAYER: [with_layer],
        ALONE: [_alone(pool, config, dims, memory=False)],
        WITH_MEMORY: [_alone(pool, config, dims, memory=True)],
        WARE: [_descending(importance)],
        VARIANCE: [fit_variance(dataset, dims).order],
        TRUNCATE: [np.arange(dataset.dim)],
        RANDOM: [np.random.default_rng([seed, draw]).permutation(dataset.dim) for draw in range(DRAWS)],
    }
    others: dict[str, Scores] = {
        "its unweighted form": unweighted,
        "variance": -np.argsort(orders[VARIANCE][0]).astype(np.float64),
        "the square of the mean vector": dataset.moments.mean**2,
    }
    choices: Document = {}
    for name, some in orders.items():
        choices[name] = _overlap(importance, dims, some) | {
            "loss": np.mean([_rank_loss(pool, config, dims, order) for order in some], axis=0).tolist(),
            "ndcg": np.mean([_ndcg(dataset, dims, order) for order in some], axis=0).tolist(),
        }
    return {
        "dataset": dataset.name,
        "seed": seed,
        "dims": list(dims),
        "full": float(full_size(dataset).mean()),
        "best_steps": best_steps,
        "correlation": {name: float(spearmanr(importance, other)[0]) for name, other in others.items()},
        "choices": choices,
    }


def ware(pool: Pool, seed: int) -> tuple[Scores, Scores]:
    """WARE of every dimension (D,), and its unweighted form, the mean of ``|s_j - s| / |s|``."""
    nearest = torch.topk(pool.queries @ pool.documents.T, NEAREST).indices.numpy()
    found = [np.union1d(rows, near) for (rows, _), near in zip(pool.positives, nearest, strict=True)]
    pairs = np.array([(query, row) for query, rows in enumerate(found) for row in rows])
    pairs = pairs[np.random.default_rng([seed, 8]).permutation(len(pairs))[:MOST_PAIRS]]
    q, d = (x.double().numpy() for x in (pool.queries[pairs[:, 0]], pool.documents[pairs[:, 1]]))
    cosine = (q * d).sum(axis=1, keepdims=True)
    error = np.abs((cosine - q * d) / np.sqrt((1 - q**2) * (1 - d**2)) - cosine)
    return error.sum(axis=0) / np.abs(cosine).sum(), (error / np.abs(cosine)).mean(axis=0)


def _alone(pool: Pool, config: TrainConfig, dims: Sequence[int], *, memory: bool) -> IntArray:
    """All dimensions, the last kept first, as ADS chooses them size by size with no layer to train."""
    kept, dropped = np.arange(pool.documents.shape[1]), []
    for stage, dim in enumerate(dims):
        chosen = _select(pool, config, kept, dim, stage, memory=memory)
        dropped.append(kept[chosen[dim:]])
        kept = kept[chosen[:dim]]
    return np.concatenate([kept, *dropped[::-1]])


def _select(
    pool: Pool, config: TrainConfig, among: IntArray, dim: int, stage: int, *, memory: bool
) -> IntArray:
    batches = Batches(pool, config.optimiser, config.seed, stage)
    queue = CrossBatchMemory(pool, config.memory, config.seed, stage)
    queries, documents = pool.queries[:, among], pool.documents[:, among]
    logits = torch.zeros(len(among), requires_grad=True)
    adam = torch.optim.Adam([logits], lr=config.optimiser.learning_rate)
    for step in range(config.optimiser.steps):
        batch = batches.draw(step)
        mask = training_mask(logits, dim, step / config.optimiser.steps, [config.seed, 3, stage, step])
        q, d = (functional.normalize(x * mask) for x in (queries[batch.queries], documents[batch.documents]))
        loss = pairwise_logistic(q @ d.T, batch.grades, config.rank.temperature)
        if memory:
            queue.push(batch.documents)
            originals = torch.cat([pool.queries[batch.queries], pool.documents[batch.documents]])
            teacher, rows, places = queue.neighbours(originals, step)
            student = torch.cat([q, d]) @ functional.normalize(documents[rows] * mask).T
            loss = loss + absolute_difference(student.gather(1, places), teacher)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return column_order(logits, dim).numpy()


def _with_layer(dataset: Dataset, config: TrainConfig) -> tuple[IntArray, list[int]]:
    """The same of the preset, and the steps at which its stages were best: at 0 it kept the prefix."""
    compressor = train(dataset, config=config)
    kept, dropped = np.arange(dataset.dim), []
    for dim in compressor.dims:
        block = compressor.block(dim)
        # A column is a unit vector plus a small residual: its largest weight says which one it was.
        chosen = np.abs(block.matrix if block.head is None else block.head).argmax(axis=0)
        dropped.append(np.setdiff1d(kept, kept[chosen]))
        kept = kept[chosen]
    return np.concatenate([kept, *dropped[::-1]]), [s["best_step"] for s in compressor.manifest.stages]


def _overlap(importance: Scores, dims: Sequence[int], orders: list[IntArray]) -> dict[str, list[float]]:
    top, mean = _descending(importance), importance.mean()
    share = [[len(np.intersect1d(top[:dim], o[:dim])) / dim for dim in dims] for o in orders]
    dropped = [[importance[o[dim:]].mean() / mean for dim in dims] for o in orders]
    return {"share": np.mean(share, axis=0).tolist(), "dropped": np.mean(dropped, axis=0).tolist()}


def _rank_loss(pool: Pool, config: TrainConfig, dims: Sequence[int], order: IntArray) -> Scores:
    batches = Batches(pool, config.optimiser, config.seed, len(dims))
    losses = np.zeros(len(dims))
    for batch in map(batches.draw, range(LOSS_BATCHES)):
        for place, dim in enumerate(dims):
            sides = (pool.queries[batch.queries], pool.documents[batch.documents])
            q, d = (functional.normalize(x[:, order[:dim]]) for x in sides)
            losses[place] += pairwise_logistic(q @ d.T, batch.grades, config.rank.temperature) / LOSS_BATCHES
    return losses


def _ndcg(dataset: Dataset, dims: tuple[int, ...], order: IntArray) -> Scores:
    means: Scores = per_query(dataset, Selection(order, dims, "choice")).mean(axis=1)
    return means


def _descending(importance: Scores) -> IntArray:
    return np.argsort(-importance, kind="stable")


def section(document: Document) -> list[str]:
    """Lines of the page."""
    lines = ["## Dimensions that ADS keeps", "", *(__doc__ or "").rstrip().splitlines()[2:], ""]
    lines += [
        "A cell: share of WARE's top that is kept; mean WARE of what is dropped, by that of all dimensions;"
    ]
    lines += ["nDCG@10; train rank loss; all but the second times 100.", ""]
    for dataset, runs in by_dataset(document).items():
        lines += [
            f"### {dataset}",
            "",
            *(
                f"![{title}, {dataset}](benchmarks/dimensions-{key}-{dataset}.svg)"
                for key, title in DRAWN.items()
            ),
            "",
            *_findings(runs),
            "",
            *table(["kept", *map(str, runs[0]["dims"])], [_row(runs, name) for name in NAMES]),
            "",
        ]
    return lines


def _row(runs: list[Document], name: str) -> list[str]:
    values = zip(*(_mean(runs, name, key) for key in ("share", "dropped", "ndcg", "loss")), strict=True)
    return [name, *(f"{100 * s:.0f} %; {w:.2f}; {points(n)}; {points(loss)}" for s, w, n, loss in values)]


def _findings(runs: list[Document]) -> list[str]:
    place = min(2, len(runs[0]["dims"]) - 1)  # D/8, the nearest to the paper's sixth
    shares = [f"{name} {100 * _mean(runs, name, 'share')[place]:.0f} %" for name in NAMES if name != WARE]
    ndcg = {name: _mean(runs, name, "ndcg") for name in NAMES}
    best = [NAMES[row] for row in np.argmax(list(ndcg.values()), axis=0)]
    ads, top = (", ".join(map(signed, ndcg[name] - ndcg[RANDOM])) for name in (ALONE, WARE))
    losses = ", ".join(f"{ratio:.1f}" for ratio in _mean(runs, RANDOM, "loss") / _mean(runs, ALONE, "loss"))
    alike = [
        f"{np.mean([run['correlation'][key] for run in runs]):.2f} with {key}"
        for key in runs[0]["correlation"]
    ]
    return [
        f"- Of WARE's top {runs[0]['dims'][place]} keep: {', '.join(shares)}.",
        f"- nDCG@10 over random dimensions, from the largest size: ADS {ads}; WARE's top {top}.",
        f"  The best of each size: {', '.join(best)}.",
        f"- The rank loss of random dimensions on train queries, as a multiple of ADS's: {losses}.",
        f"- WARE's rank correlation: {', '.join(alike)}.",
    ]


def _mean(runs: list[Document], name: str, key: str) -> Scores:
    mean: Scores = np.mean([run["choices"][name][key] for run in runs], axis=0)
    return mean


def draw(document: Document, folder: Path) -> None:
    """Two SVGs per dataset: share of WARE's top that is kept, and nDCG@10, against dims."""
    for dataset, runs in by_dataset(document).items():
        dims = runs[0]["dims"]
        for key, title in DRAWN.items():
            lines = {name: list(zip(dims, 100 * _mean(runs, name, key), strict=True)) for name in NAMES}
            level = (100 * runs[0]["full"], "full vectors") if key == "ndcg" else None
            file = folder / f"dimensions-{key}-{dataset}.svg"
            draw_lines(lines, file, "dims", title, level=level, ticks=dims)
