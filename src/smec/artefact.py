"""A compressor on disk: the records of ``config.json``, format version, reading and atomic write.

::

    MODEL/
    ├── compressor.safetensors   per block a matrix, head, bias and query matrix; canaries, calibrations
    ├── config.json              a `Manifest`
    └── README.md                the model card; see `smec.card`
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from smec.adaptation import Adaptation
from smec.artefact_files import (
    CARD_FILE,
    CONFIG_FILE,
    TENSORS_FILE,
    Tensors,
    load_tensors,
    save_tensors,
    tensors_hash,
)
from smec.atomic import replacing
from smec.errors import ArtefactError

FORMAT: Literal["smec-compressor"] = "smec-compressor"
FORMAT_VERSION = 1
OWN_QUERIES_VERSION = 2
"""Format version where a block has a matrix for queries: a release that knows none must not read it without,
and still reads all other artefacts."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class BlockRecord(_Record):
    """One matrix of the artefact and the sizes that are prefixes of its output."""

    tensor: str
    """Name of the (D, max(dims)) matrix."""
    dims: tuple[int, ...]
    """Served sizes, descending."""
    method: str
    """"smec", or the baseline that the gate fell back to."""
    head: str | None = None
    """Name of the (head_dim, max(dims)) matrix that makes this block from stored vectors."""
    head_dim: int | None = None
    """Size of the stored vectors that the head takes."""
    bias: str | None = None
    """Name of the (max(dims),) vector that is added to the product of a unit-length input."""
    query: str | None = None
    """Name of the (D, max(dims)) matrix that makes the vectors of queries; None: ``tensor`` does."""

    @model_serializer(mode="wrap")
    def _without_shared(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a ``query`` of None: such a ``config.json`` stays as releases before it wrote it."""
        fields: dict[str, Any] = serialise(self)
        return {name: value for name, value in fields.items() if name != "query" or value is not None}


class CodecRecord(_Record):
    """A codec that is calibrated for a size; its tensors are named ``codec.DIM.CODEC.TENSOR``."""

    dim: int
    codec: str


class _Scores(_Record):
    full: float
    """Score of the full-size vectors."""
    smec: float
    ci: tuple[float, float]
    """95 % interval of ``smec`` over the held-out queries."""
    pca: float
    truncate: float
    pca_centred: float | None = None
    spectemp: float | None = None


class GroupMetrics(_Scores):
    """Scores of one size on a group of held-out queries."""

    queries: int
    shipped: float
    """Score of what the size ships."""


class SizeMetrics(_Scores):
    """Held-out scores of one size, and the gate's decision."""

    dim: int
    method: str
    """Method that the size ships: "smec", or the baseline it fell back to."""
    shipped: float | None = None
    """Score of what the size ships; None in an older artefact, where it is that of ``method``."""
    metric: Literal["ndcg@10", "overlap@10"] | None = None
    queries: int | None = None
    """How many held-out queries, where they differ from the `Validation`'s; with ``metric`` for a size that
    `extend` added."""
    asked: Literal["queries", "documents"] | None = None
    """Kind of what was held out, for such a size."""
    new: GroupMetrics | None = None
    """Queries that ask for documents that are relevant to no fitted query; None: there were none."""
    seen: GroupMetrics | None = None
    """The other held-out queries: they ask for documents that were judged in training."""
    agreement: GroupMetrics | None = None
    """Overlap@10 of held-out queries that nobody judged, for a map that read no label."""

    @property
    def ships(self) -> float:
        """Held-out score of what the size ships."""
        score: float = getattr(self, self.method) if self.shipped is None else self.shipped
        return score


class Validation(_Record):
    """The no-harm check: held-out train queries, or without labels held-out queries or documents."""

    metric: Literal["ndcg@10", "overlap@10"]
    queries: int
    """How many held-out queries (or documents) the scores are means over."""
    sizes: tuple[SizeMetrics, ...]
    corpus: Literal["growing", "fixed"] | None = None
    """Growing: queries with new documents decided; fixed: all. None without labels and in older artefacts."""
    asked: Literal["queries", "documents"] | None = None
    """Kind of what was held out: queries, or without any queries documents. None in older artefacts."""
    candidate: str | None = None
    """Name of the training that was chosen among those that were compared."""
    step: int | None = None
    """Steps after which it scored best."""
    mixture: float = 1.0
    """Share of the learned change that scored best: below 1 the map lies between its start and that step."""
    axes: int | None = None
    """Leading principal axes in which it was trained; None: in all coordinates, and in older artefacts."""
    axes_agreement: float | None = None
    """Share of the ten nearest neighbours that these axes keep."""
    folds: int = 1
    unused: int = 0
    """Queries that no fold fitted or held out, in the mean over the folds rounded up, as all their documents
    were held out."""
    removed: int = 0
    """Judgements of held-out documents that were taken from fitted queries, the same mean."""

    def tables(self) -> list[Validation]:
        """One for each metric and number of queries, as scores of different ones are not to be compared."""
        found: dict[tuple[str, int, bool], list[SizeMetrics]] = {}
        for size in self.sizes:
            added = size.metric is not None
            key = (size.metric or self.metric, size.queries or self.queries, added)
            found.setdefault(key, []).append(size)
        tables = []
        for (metric, queries, added), sizes in found.items():
            of_sizes: dict[str, Any] = {"metric": metric, "queries": queries, "sizes": tuple(sizes)}
            if added:  # the split of the training is not that of the extension
                of_sizes |= {"folds": 1, "unused": 0, "removed": 0}
                of_sizes["corpus"] = self.corpus if metric == "ndcg@10" else None
                of_sizes["asked"] = sizes[0].asked
            tables.append(self.model_copy(update=of_sizes))
        return tables


class CodedScore(_Record):
    """A size stored by a codec, and what it scored on the held-out data."""

    dim: int
    codec: str
    bytes: int
    score: float


class Choice(_Record):
    """The size and codec that a budget or a target asked for."""

    budget: int | None = None
    """Most bytes per vector: the best score within them was chosen."""
    target: float | None = None
    """Share of the full vectors' score: the fewest bytes that reach it were chosen."""
    full: float
    """Score of the full vectors."""
    chosen: CodedScore
    met: bool
    """False: nothing reaches the target, and the best score was chosen."""
    considered: tuple[CodedScore, ...]
    """By bytes, ascending."""


class FeedbackRecord(_Record):
    """How far feedback moves documents, and what that did to held-out train queries (means over the sizes).

    Queries are "seen" if their relevant documents were judged by other train queries, else "new".
    Figures that could not be measured are None.
    """

    weight: float
    """One of .5, 1 and 2; see `smec.feedback`."""
    metric: Literal["ndcg@10"] = "ndcg@10"
    queries_seen: int = 0
    seen_before: float | None = None
    seen_after: float | None = None
    queries_new: int = 0
    new_before: float | None = None
    new_after: float | None = None


class WeighedScore(_Record):
    """A weight of the sentences, and the mean score of held-out queries with it."""

    weight: float
    score: float


class SentencesRecord(_Record):
    """Use of sentences of documents in a training."""

    count: int
    """Sentences of the dataset."""
    weight: float | None
    """Factor of their loss, 0 where they are not learned from; None: without judged queries there was nothing
    to choose it on, and they were learned from as queries without judgements."""
    queries: int = 0
    """Held-out queries that decided."""
    compared: tuple[WeighedScore, ...] = ()
    """nDCG@10 in the mean over sizes and these queries; empty where the weight was set."""


class Manifest(_Record):
    """Everything in ``config.json``; enough to load, to check and to tell where it came from."""

    format: Literal["smec-compressor"] = FORMAT
    format_version: int = FORMAT_VERSION
    smec_version: str
    source_model: str | None = None
    """The embedding model behind the vectors, where the user named it."""
    input_dim: int
    dims: tuple[int, ...]
    normalised: bool = True
    """Outputs have unit length."""
    blocks: tuple[BlockRecord, ...]
    codecs: tuple[CodecRecord, ...] = ()
    canary_ids: tuple[str, ...] = ()
    canary_texts: tuple[str, ...] = ()
    """What was embedded into the canaries' vectors, where the user chose to keep it (`smec canaries`)."""
    preset: str
    supervised: bool
    training: dict[str, Any]
    """The configuration that was used, seed included."""
    stages: tuple[dict[str, Any], ...] = ()
    """Per stage: sizes, steps, best step, columns that ADS kept, validation curve."""
    data: dict[str, str]
    """Name and sha256 fingerprints of corpus, queries, qrels and sentences."""
    validation: Validation | None = None
    choice: Choice | None = None
    feedback: FeedbackRecord | None = None
    """None in an older artefact, and where training had no judgements to choose from."""
    adaptations: tuple[Adaptation, ...] = ()
    """Adaptations of queries since, oldest first (`smec adapt`)."""
    sentences: SentencesRecord | None = None
    """None where the dataset had none."""
    libraries: dict[str, str]
    tensors_sha256: str

    @model_serializer(mode="wrap")
    def _without_adaptations(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out an empty ``adaptations``: such a ``config.json`` stays as releases before it wrote it."""
        fields: dict[str, Any] = serialise(self)
        return {name: value for name, value in fields.items() if name != "adaptations" or value}


def write(path: Path, manifest: Manifest, tensors: Tensors, card: str, *, force: bool = False) -> None:
    """Write the folder ``path`` as a whole or not at all.

    Raises
    ------
    OutputError
        ``path`` exists and ``force`` is not set, or the disk refuses.
    """
    with replacing(path, force=force, folder=True) as folder:
        save_tensors(folder / TENSORS_FILE, tensors)
        (folder / CONFIG_FILE).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / CARD_FILE).write_text(card, encoding="utf-8")


def read(path: Path) -> tuple[Manifest, Tensors]:
    """Read and check the folder ``path``.

    Raises
    ------
    ArtefactError
        No such folder, a missing file, JSON or tensors that are damaged or foreign, a
        format version this release does not know, or tensors that do not match their hash.
    """
    manifest = _read_manifest(path)
    file = path / TENSORS_FILE
    tensors = load_tensors(file)
    if tensors_hash(tensors) != manifest.tensors_sha256:
        raise ArtefactError(
            f"{file}: its hash is not the one in {CONFIG_FILE}: changed or damaged; copy it again"
        )
    return manifest, tensors


def _read_manifest(path: Path) -> Manifest:
    file = path / CONFIG_FILE
    if not path.is_dir() or not file.is_file():
        raise ArtefactError(f"{path}: not a compressor folder (no {CONFIG_FILE}); `smec train` writes one")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # also numbers too long, lists too deep
        raise ArtefactError(f"{file}: not readable JSON ({error}); copy it again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ArtefactError(f"{file}: not a smec compressor (no format {FORMAT!r})")
    version = document.get("format_version")
    if version not in (FORMAT_VERSION, OWN_QUERIES_VERSION):
        raise ArtefactError(
            f"{file}: format version {version!r}, this smec reads up to {OWN_QUERIES_VERSION}; "
            "install the release of smec that wrote it or a newer one"
        )
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ArtefactError(f"{file}: field {field}: {first['msg']}") from error
    if version != format_version(manifest.blocks):
        raise ArtefactError(
            f"{file}: format version {version}, but {format_version(manifest.blocks)} is that of its blocks "
            f"({OWN_QUERIES_VERSION} where queries have a matrix of their own); copy it again"
        )
    return manifest


def format_version(blocks: Sequence[BlockRecord]) -> int:
    """The format version that an artefact of these blocks has."""
    return OWN_QUERIES_VERSION if any(block.query is not None for block in blocks) else FORMAT_VERSION
