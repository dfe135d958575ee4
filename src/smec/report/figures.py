"""The page's charts: quality against bytes and dims, training curves, input dimensions that are used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from smec.compressor import Compressor
from smec.evaluation import Evaluation, Result
from smec.report.charts import Chart, Point, Series, Strips
from smec.report.groups import ALL, Group
from smec.report.measurement import RIVALS, front

BINS = 96
"""Most bins of a strip."""


def headline(evaluation: Evaluation) -> str:
    """Name of the measure that the page is about."""
    return next(iter(evaluation.full))


def row_ids(evaluation: Evaluation) -> dict[int, str]:
    """Id of a result's row on the page, by the identity of the result."""
    return {id(result): f"result-{number}" for number, result in enumerate(evaluation.results)}


def describe(result: Result, measure: str, group: Group) -> str:
    """A result in words."""
    return (
        f"{result.method}, {result.dim} dims as {result.codec}, {result.bytes:,} bytes: "
        f"{measure} {group.score(result).mean:.3f}"
    )


def against_bytes(evaluation: Evaluation, models: Sequence[str], group: Group) -> Chart:
    """Every size under every codec: the front of each method, with its interval."""
    measure, rows = headline(evaluation), row_ids(evaluation)
    series = []
    for name in (*models, *RIVALS.values()):
        of = [result for result in evaluation.results if result.method == name]
        best = front(of, lambda one: group.score(one).mean)
        on_front = {id(result) for result in best}
        rival = name not in models
        points = tuple(_point(one, rows, measure, group, one.bytes) for one in best)
        passed = () if rival else tuple(one for one in of if id(one) not in on_front)
        others = tuple(_point(one, rows, measure, group, one.bytes) for one in passed)
        series.append(Series(name, points, others, rival))
    most = max(result.bytes for result in evaluation.results)
    least = min(result.bytes for result in evaluation.results)
    first = int(np.ceil(np.log2(least)))
    ticks = tuple(2.0**power for power in range(first, int(np.log2(most)) + 1))
    return Chart(
        name=f"bytes-{group.name}",
        title=f"{measure} against bytes per vector{_for(evaluation, group)}",
        description=_summary(series, "bytes", measure),
        series=tuple(series),
        across="bytes per vector",
        up=measure,
        doubling=True,
        ticks=ticks,
        level=(group.full.mean, "full vectors"),
    )


def against_dims(evaluation: Evaluation, models: Sequence[str], group: Group) -> Chart:
    """The sizes as float32."""
    measure, rows = headline(evaluation), row_ids(evaluation)
    series = []
    for name in (*models, *RIVALS.values()):
        of = [r for r in evaluation.results if r.method == name and r.codec == "float32"]
        ordered = sorted(of, key=lambda one: one.dim)
        points = tuple(_point(one, rows, measure, group, one.dim) for one in ordered)
        series.append(Series(name, points, rival=name not in models))
    ticks = sorted({result.dim for result in evaluation.results})
    return Chart(
        name=f"dims-{group.name}",
        title=f"{measure} against dims, as float32{_for(evaluation, group)}",
        description=_summary(series, "dims", measure),
        series=tuple(series),
        across="dims",
        up=measure,
        doubling=True,
        ticks=tuple(map(float, ticks)),
        level=(group.full.mean, "full vectors"),
    )


def _for(evaluation: Evaluation, group: Group) -> str:
    return "" if group.name == ALL and evaluation.groups is None else f", {group.words}"


def _point(result: Result, rows: dict[int, str], measure: str, group: Group, x: float) -> Point:
    score = group.score(result)
    low, high = score.ci
    return Point(
        x=x,
        y=score.mean,
        low=low,
        high=high,
        row=rows[id(result)],
        words=describe(result, measure, group),
    )


def _summary(series: Iterable[Series], unit: str, measure: str) -> str:
    parts = [
        f"{one.name}: from {one.points[0].y:.3f} at {one.points[0].x:,g} {unit} "
        f"to {one.points[-1].y:.3f} at {one.points[-1].x:,g}"
        for one in series
        if one.points
    ]
    return f"{measure}; " + "; ".join(parts) + ". Every point is in the table."


def training_curves(label: str, number: int, model: Compressor) -> Chart | None:
    """Score on what was held out, over the steps of every stage; None for a model without stages."""
    stages = [stage for stage in model.manifest.stages if stage.get("validation")]
    if not stages:
        return None
    measure = str(stages[0]["metric"])
    series = tuple(
        Series(
            f"{place}: {sizes(stage)}",
            tuple(Point(float(step), float(score)) for step, score in stage["validation"]),
        )
        for place, stage in enumerate(stages, start=1)
    )
    ends = "; ".join(f"stage {one.name} ends at {one.points[-1].y:.3f}" for one in series)
    return Chart(
        name=f"training-{number}",
        title=f"Training of {label}: {measure} on held-out data",
        description=ends,
        series=series,
        across="step of the stage",
        up=f"{measure}, held out",
    )


def sizes(stage: dict[str, object]) -> str:
    """``384 to 24 dims`` for the sizes of a stage."""
    of = list(map(int, stage["sizes"]))  # type: ignore[call-overload]
    return f"{of[0]} to {of[-1]} dims" if len(of) > 1 else f"{of[0]} dims"


def use_of_inputs(model: Compressor, dim: int) -> np.ndarray:
    """Share of the projection's weight on each input dimension, shape (D,), sums to 1."""
    weight = np.square(model.block(dim).matrix[:, :dim], dtype=np.float64).sum(axis=1)
    share: np.ndarray = weight / weight.sum()
    return share


def inputs_chart(label: str, number: int, model: Compressor) -> Strips:
    """Which input dimensions each size is made of."""
    rows = {}
    for dim in model.dims:
        used = np.array(
            [part.mean() for part in np.array_split(use_of_inputs(model, dim), BINS) if len(part)]
        )
        rows[str(dim)] = (used / used.max()).tolist()
    return Strips(
        name=f"inputs-{number}",
        title=f"Input dimensions that {label} uses",
        description="One strip per size; darker where more of the projection's weight lies. "
        "The most used ones are in the table.",
        rows=rows,
        width=model.input_dim,
    )


def kept_by_ads(model: Compressor) -> list[tuple[str, list[int]]]:
    """Per stage that selected: its sizes, and the columns of the start that are left, in order."""
    left = list(range(model.input_dim))
    kept = []
    for stage in model.manifest.stages:
        if stage.get("kept") is not None:
            left = [left[column] for column in stage["kept"]]
            kept.append((sizes(stage), left))
    return kept
