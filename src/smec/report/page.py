"""The page: what was measured, in words, charts and tables, in one HTML file without any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from smec import __version__
from smec.atomic import check_free, replacing
from smec.card import best_other, feedback_sentence, groups, remarks, sentences_sentence
from smec.codecs import code_bytes
from smec.compressor import Compressor
from smec.config import trained_config
from smec.data import Dataset
from smec.errors import ConfigError, MissingExtraError
from smec.evaluation import Evaluation, Result
from smec.evaluation.comparison import OnProgress
from smec.evaluation.novelty import TRAIN
from smec.report import storage
from smec.report.examples import examples
from smec.report.groups import DOCUMENTS, Group, groups_to_show
from smec.report.measurement import RIVALS, Answer, answer, front, measure

MOST_USED = 10
"""Input dimensions that are named per size."""


def write_report(
    path: str | Path,
    models: Mapping[str, Compressor],
    dataset: Dataset,
    *,
    split: str = "test",
    seed: int = 0,
    force: bool = False,
    progress: OnProgress | None = None,
) -> list[Answer]:
    """Measure compressors on a dataset and write the page, whole or not at all.

    Parameters
    ----------
    path : path
        The HTML file.
    models : mapping of str to Compressor
        By the names that the page calls them, at least one.
    dataset : Dataset
        Without qrels, the page is about the nearest neighbours that are kept.
    split : str
        Whose queries are asked.
    seed : int
        Of intervals, tests and the rivals' calibrations: same seed, same page.
    force : bool
        Replace the file if it exists.
    progress : callable, optional
        Called with the documents searched, of all searches together, and their number, after each block.

    Returns
    -------
    list of Answer
        What the page opens with, model by model.

    Raises
    ------
    ConfigError
        No models, one that bears a rival's name, or one for embeddings of another width.
    DataError
        The split has no usable judgements.
    MissingExtraError
        A library of the extra ``report`` is not installed.
    OutputError
        The file exists and ``force`` is not set, or the disk refuses.
    """
    jinja2 = check_report(path, models, force=force)
    evaluation = measure(models, dataset, split=split, seed=seed, progress=progress)
    answers = [answer(label, model, evaluation, seed) for label, model in models.items()]
    page = _render(jinja2, _contents(models, dataset, evaluation, answers, split))
    with replacing(Path(path), force=force) as part:
        part.write_text(page, encoding="utf-8", errors="replace")
    return answers


def check_report(path: str | Path, models: Mapping[str, Compressor], *, force: bool) -> ModuleType:
    """Raise what `write_report` raises before it measures; return the library of its templates."""
    check_free(Path(path), force=force)
    jinja2 = _jinja2()
    _check_names(models)
    return jinja2


def _jinja2() -> ModuleType:
    try:
        import jinja2
        import matplotlib  # noqa: F401  asked for before anything is measured
    except ImportError as error:
        raise MissingExtraError(str(error.name), "report", "a report") from error
    return jinja2


def _check_names(models: Mapping[str, Compressor]) -> None:
    if not models:
        raise ConfigError("report: give at least one compressor")
    for label in models:
        if label in RIVALS.values():
            raise ConfigError(f"report: a compressor cannot be called {label!r}, the name of a rival")


def _contents(
    models: Mapping[str, Compressor],
    dataset: Dataset,
    evaluation: Evaluation,
    answers: Sequence[Answer],
    split: str,
) -> dict[str, Any]:
    from smec.report import figures

    headline = figures.headline(evaluation)
    names = (*models, *RIVALS.values())
    groups = groups_to_show(evaluation)
    on_front = {
        id(result) for name in names for group in groups for result in _front(evaluation, name, group)
    }
    by_bytes = sorted(evaluation.results, key=lambda one: (one.bytes, -groups[0].score(one).mean))
    return {
        "version": __version__,
        "dataset": dataset,
        "evaluation": evaluation,
        "headline": headline,
        "groups": groups,
        "documents": DOCUMENTS,
        "full_bytes": code_bytes("float32", dataset.dim),
        "answers": answers,
        "names": names,
        "results": by_bytes,
        "rows": figures.row_ids(evaluation),
        "on_front": on_front,
        "bytes_charts": [(group, figures.against_bytes(evaluation, list(models), group)) for group in groups],
        "dims_charts": [(group, figures.against_dims(evaluation, list(models), group)) for group in groups],
        "models": [
            _model(number, one, models[one.model], dataset, evaluation) for number, one in enumerate(answers)
        ],
        "storage": _storage(dataset, evaluation, answers, groups),
        "limits": storage.LIMITS,
        "fingerprint": dataset.fingerprint(evaluation.split),
        "train_qrels": None if evaluation.groups is None else dataset.fingerprint(TRAIN)["qrels"],
        "warnings": _warnings(models, dataset, evaluation),
    }


def _front(evaluation: Evaluation, method: str, group: Group) -> list[Result]:
    of_method = (one for one in evaluation.results if one.method == method)
    return front(of_method, lambda one: group.score(one).mean)


def _model(
    number: int, about: Answer, model: Compressor, dataset: Dataset, evaluation: Evaluation
) -> dict[str, Any]:
    from smec.report import figures

    most_used = {
        dim: [
            (int(column), float(share[column]))
            for share in [figures.use_of_inputs(model, dim)]
            for column in share.argsort()[::-1][:MOST_USED]
        ]
        for dim in model.dims
    }
    return {
        "number": number,
        "label": about.model,
        "answer": about,
        "manifest": model.manifest,
        "configuration": trained_config(model.manifest).model_dump(exclude={"candidates", "own"}),
        "fallbacks": model.fallbacks,
        "fingerprint": model.fingerprint,
        "query_fingerprint": model.query_fingerprint,
        "examples": None if evaluation.split is None else examples(model, about.result, dataset, evaluation),
        "curves": figures.training_curves(about.model, number, model),
        "stage_sizes": figures.sizes,
        "inputs": figures.inputs_chart(about.model, number, model),
        "most_used": most_used,
        "kept": figures.kept_by_ads(model),
    }


def _storage(
    dataset: Dataset, evaluation: Evaluation, answers: Sequence[Answer], groups: Sequence[Group]
) -> list[dict[str, Any]]:
    """Rows of the storage table: the full vectors, then every model's answer and its front."""
    found = [
        (f"full, {dataset.dim} dims as {name}", code_bytes(name, dataset.dim), False)
        for name in ("float32", "float16")
    ]
    for one in answers:
        of_groups = [result for group in groups for result in _front(evaluation, one.model, group)]
        shown = {id(result): result for result in (one.result, *of_groups)}
        found += [
            (f"{one.model}, {result.dim} dims as {result.codec}", result.bytes, result is one.result)
            for result in sorted(shown.values(), key=lambda result: -result.bytes)
        ]
    return [
        {
            "what": what,
            "bytes": size,
            "answer": is_answer,
            "stored": storage.storage(size),
            "memory": storage.memory(size),
        }
        for what, size, is_answer in found
    ]


def _warnings(models: Mapping[str, Compressor], dataset: Dataset, evaluation: Evaluation) -> list[str]:
    """Reasons why these scores may be optimistic, or new documents not new to a model."""
    found = [] if evaluation.sample is None else [f"{evaluation.sample}."]
    if evaluation.split is None:
        return found
    hashes = dataset.fingerprint()
    for label, model in models.items():
        if not model.manifest.supervised:
            continue
        learned = set(dataset.qrels.get(TRAIN, {}))
        seen = sum(id_ in learned for id_ in dataset.judged(evaluation.split).ids)
        if seen and model.manifest.data.get("queries") == hashes.get("queries"):
            found.append(
                f"{label} learned from {seen} of these queries: its figures are better than they would be "
                "on new ones."
            )
        if evaluation.groups is not None and _trained_elsewhere(model, dataset):
            found.append(
                f"{label} was trained on other judgements than the train qrels of {dataset.name}: it may "
                "have seen the documents that are called new here."
            )
    return found


def _trained_elsewhere(model: Compressor, dataset: Dataset) -> bool:
    return model.manifest.data.get("qrels") != dataset.fingerprint(TRAIN)["qrels"]


def _render(jinja2: ModuleType, contents: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("smec.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    markup = import_module("markupsafe").Markup
    environment.filters |= {"score": lambda value: f"{value:.3f}", "drawn": lambda chart: markup(chart.svg())}
    environment.globals |= {"gate_groups": groups, "gate_remarks": remarks, "best_other": best_other}
    environment.globals["feedback_sentence"] = feedback_sentence
    environment.globals["sentences_sentence"] = sentences_sentence
    folder = Path(__file__).parent
    style, script = (markup((folder / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page: str = environment.get_template("page.html.jinja").render(
        **contents, style=style, script=script, script_hash=digest, id=id
    )
    return page
