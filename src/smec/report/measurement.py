"""Every size under every codec, of the compressors and of the rivals fitted to the same corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from smec.baselines import fit_baseline
from smec.codecs import code_bytes, packs, sampled
from smec.coded import coded
from smec.compressor import Compressor
from smec.data import Dataset
from smec.encoder import Encoder
from smec.evaluation import Evaluation, Result, evaluate
from smec.evaluation.comparison import OnProgress, check_width
from smec.report.groups import Kept, kept
from smec.vectors import FloatArray

RIVALS = {"pca": "PCA", "truncate": "truncation"}
"""Baseline -> what the page calls it."""

CODEBOOK = 256
"""Entries of the codebooks of product codes."""


def measure(
    models: Mapping[str, Compressor],
    dataset: Dataset,
    *,
    split: str = "test",
    seed: int = 0,
    progress: OnProgress | None = None,
) -> Evaluation:
    """Score the models, and PCA and truncation of the same corpus at the same sizes and codecs.

    Parameters
    ----------
    models : mapping of str to Compressor
        By the name that the results shall bear.
    dataset : Dataset
    split : str
    seed : int
        Of intervals, tests and the rivals' calibrations.
    progress : callable, optional
        Called with the documents searched, of all searches together, and their number, after each block.

    Raises
    ------
    ConfigError
        A model takes embeddings of another width than the dataset's.
    DataError
        The split has no usable judgements.
    MissingExtraError
        A library of the extra ``report`` is not installed.
    """
    sizes = sorted({dim for model in models.values() for dim in model.dims}, reverse=True)
    codecs = [name for model in models.values() for names in model.codecs.values() for name in names]
    # Drawn once for all rivals and codecs: from a large corpus that takes longer than what follows.
    vectors = sampled(dataset.corpus.vectors, seed)
    encoders = stored_models(models, dataset, vectors, seed)
    for name, label in RIVALS.items():
        encoders += _stored(fit_baseline(name, dataset, sizes), label, codecs, sizes, vectors, seed)
    return evaluate(dataset, encoders, split=split, seed=seed, progress=progress)


def stored_models(
    models: Mapping[str, Compressor], dataset: Dataset, vectors: FloatArray, seed: int = 0
) -> list[Encoder]:
    """Return the models under each of their codecs; ConfigError where one is for another width."""
    for model in models.values():
        check_width(model, dataset)
    encoders: list[Encoder] = []
    for label, model in models.items():
        own = [name for names in model.codecs.values() for name in names]
        encoders += _stored(model, label, own, model.dims, vectors, seed)
    return encoders


def count_searches(models: Mapping[str, Compressor]) -> int:
    """Count the searches of `measure`, with that by the full vectors; of a tiny corpus there are fewer."""
    sizes = {dim for model in models.values() for dim in model.dims}
    codecs = {name for model in models.values() for names in model.codecs.values() for name in names}
    own = sum(len(set(names)) for model in models.values() for names in model.codecs.values())
    of_rivals = sum(packs(name, dim) for name in codecs for dim in sizes)
    return 1 + own + len(RIVALS) * of_rivals


def _stored(
    encoder: Encoder, label: str, codecs: Iterable[str], sizes: Sequence[int], vectors: FloatArray, seed: int
) -> list[Encoder]:
    stored: list[Encoder] = []
    for name in dict.fromkeys(codecs):
        if len(vectors) < CODEBOOK and not isinstance(encoder, Compressor) and "pq" in name:
            continue  # codebooks of a rival are learned here, and there is not enough to learn from
        if any(packs(name, dim) for dim in sizes):
            one = coded(encoder, name, vectors, _of(encoder, name, sizes), seed)
            one.name = label
            stored.append(one)
    return stored


def _of(encoder: Encoder, name: str, sizes: Sequence[int]) -> list[int]:
    if isinstance(encoder, Compressor):
        return [dim for dim in sizes if name in encoder.codecs[dim]]
    return list(sizes)


def front(results: Iterable[Result], score: Callable[[Result], float]) -> list[Result]:
    """The results whose score no other one of as few bytes equals, by bytes, ascending."""
    best: list[Result] = []
    for result in sorted(results, key=lambda one: (one.bytes, -score(one), one.dim)):
        if not best or score(result) > score(best[-1]):
            best.append(result)
    return best


@dataclass(frozen=True)
class Answer:
    """What a model comes to, in one size and codec.

    Parameters
    ----------
    model : str
    result : Result
    reason : str
        Why this size and codec: as a sentence.
    kept : tuple of Kept
        Quality on queries for new documents, on those for seen ones and on all; only the groups
        that differ.
    unmeasured : tuple of str
        Sentences, without full stops, on what could not be measured on new and seen documents.
    full_bytes : int
        Of a full vector as float32.
    rivals : tuple of (str, Result)
        The best result of each rival in as many bytes or fewer, where it has one.
    """

    model: str
    result: Result
    reason: str
    kept: tuple[Kept, ...]
    unmeasured: tuple[str, ...]
    full_bytes: int
    rivals: tuple[tuple[str, Result], ...]

    @property
    def times_smaller(self) -> float:
        """Bytes of a full vector per byte of this code."""
        return self.full_bytes / self.result.bytes


def answer(label: str, model: Compressor, evaluation: Evaluation, seed: int = 0) -> Answer:
    """The size and codec that the model's held-out data point to, never those that score best here."""
    (dim, codec), reason = _pointed_to(model)
    of_model = [one for one in evaluation.results if one.method == label]
    result = next(one for one in of_model if (one.dim, one.codec) == (dim, codec))
    headline = next(iter(evaluation.full))
    within = [one for one in evaluation.results if one.bytes <= result.bytes]
    rivals = [
        (name, max(of, key=lambda one: one.metrics[headline]))
        for name in RIVALS.values()
        if (of := [one for one in within if one.method == name])
    ]
    return Answer(
        model=label,
        result=result,
        reason=reason,
        kept=kept(result, rivals, evaluation, seed),
        unmeasured=evaluation.unmeasured,
        full_bytes=code_bytes("float32", model.input_dim),
        rivals=tuple(rivals),
    )


def _pointed_to(model: Compressor) -> tuple[tuple[int, str], str]:
    choice, validation = model.manifest.choice, model.manifest.validation
    if choice is not None:
        asked = (
            f"a budget of {choice.budget} bytes"
            if choice.target is None
            else f"a target of {100 * choice.target:g} % of the full score"
        )
        kind = "held-out train queries"
        if not model.manifest.supervised:
            kind = f"held-out {(validation and validation.asked) or 'vectors'}"
        return (
            (choice.chosen.dim, choice.chosen.codec),
            f"This size and code were chosen in training, for {asked}, on {kind}.",
        )
    codec = model.manifest.training.get("codec") or "float16"
    if validation is None:
        return (
            (model.dims[0], codec),
            "Nothing was held out in training, so this is the largest size; no choice was made on these "
            "figures.",
        )
    enough = [size.dim for size in validation.sizes if size.ships >= size.full]
    if enough:
        return (min(enough), codec), (
            "This is the smallest size that kept the full score on what was held out in training, "
            f"as {codec}."
        )
    best = max(validation.sizes, key=lambda size: size.ships)
    return (best.dim, codec), (
        f"No size kept the full score on what was held out in training; this is the one that kept most, "
        f"as {codec}."
    )
