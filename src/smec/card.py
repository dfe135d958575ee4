"""The model card of an artefact, every number taken from its manifest."""

from __future__ import annotations

import re

from smec.adaptation import Adaptation
from smec.artefact import (
    FeedbackRecord,
    GroupMetrics,
    Manifest,
    SentencesRecord,
    SizeMetrics,
    Validation,
)
from smec.codecs import code_bytes

OTHERS = {"pca_centred": "pca-centred", "spectemp": "spectemp", "truncate": "truncate"}
"""Baselines besides PCA: field of a `GroupMetrics` -> name."""

FEWEST_TOLD = 8
"""Held-out queries with new documents below which the gate ships baselines."""

FEWER_NEIGHBOURS = (
    "Some sizes ship a map that keeps fewer neighbours than PCA. Its teacher weakens the strongest axes, "
    "which changes neighbours on purpose: on most reference datasets such maps retrieve better "
    "(docs/judgements.md)."
)

KEPT = {"queries": 0.9, "documents": 0.7}
"""Without labels, PCA ships if it keeps at least this share of the nearest neighbours of held-out queries, or
of documents where there are no queries. At such sizes maps that were trained without labels gained little or
lost, on train queries of the reference datasets whose judgements only scored them (docs/judgements.md)."""


def model_card(manifest: Manifest) -> str:
    """The README.md of the artefact, every number taken from the manifest."""
    lines = [
        *_card_metadata(manifest),
        f"# smec compressor: {manifest.input_dim} → {', '.join(map(str, manifest.dims))} dims",
        "",
        f"Embeddings of: {manifest.source_model or 'not named by the trainer'}. "
        f"Trained on `{manifest.data.get('name', 'unnamed data')}` with preset `{manifest.preset}`, "
        + ("with relevance labels." if manifest.supervised else "without labels."),
        "",
        "```python",
        "from smec import Compressor",
        "",
        f'small = Compressor.load("THIS_FOLDER").encode(vectors, dim={manifest.dims[-1]})',
        "```",
        "",
        *_card_queries(manifest),
        *_card_table(manifest),
        *(line for adaptation in manifest.adaptations[-1:] for line in _card_adaptation(adaptation)),
        f"Made by smec {manifest.smec_version}; tensors sha256 `{manifest.tensors_sha256}`.",
        "Configuration, seeds, data fingerprints and library versions: `config.json`.",
        "",
    ]
    return "\n".join(lines)


def _card_metadata(manifest: Manifest) -> list[str]:
    """Metadata for the Hugging Face Hub; with a base model only if the source can be a repository there."""
    source = manifest.source_model or ""
    base = [f"base_model: {source}"] if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source, re.ASCII) else []
    tags = [f"- {tag}" for tag in ("smec", "embeddings", "dimensionality-reduction", "retrieval")]
    return ["---", "library_name: smec", "tags:", *tags, *base, "---", ""]


def _card_queries(manifest: Manifest) -> list[str]:
    own = [dim for block in manifest.blocks if block.query is not None for dim in block.dims]
    if not own:
        return []
    sizes = ", ".join(map(str, sorted(own, reverse=True)))
    return [
        f"Queries have a matrix of their own at {sizes} dims: `encode_queries` makes their vectors, and "
        "`encode` those of documents.",
        "",
    ]


def _card_table(manifest: Manifest) -> list[str]:
    validation = manifest.validation
    if validation is None:
        return ["The no-harm gate was switched off: nothing was measured.", ""]
    lines = [line for one in validation.tables() for line in _one_table(one, manifest)]
    if manifest.sentences is not None:
        lines += [sentences_sentence(manifest.sentences), ""]
    if manifest.feedback is not None:
        lines += [feedback_sentence(manifest.feedback), ""]
    return lines


def _one_table(validation: Validation, manifest: Manifest) -> list[str]:
    codec = manifest.training.get("codec") or "float32"
    lines = []
    for title, sizes in groups(validation):
        lines += [
            f"{title}:",
            "",
            f"| dims | bytes ({codec}) | full size | smec [95 % CI] | PCA | best other | ships |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {size.dim} | {code_bytes(codec, size.dim)} | {of.full:.4f} "
            f"| {of.smec:.4f} [{of.ci[0]:.4f}, {of.ci[1]:.4f}] | {of.pca:.4f} | {best_other(of)} "
            f"| {size.method} |"
            for size, of in sizes
        ]
        lines.append("")
    return [*lines, *(line for sentence in remarks(validation) for line in (sentence, ""))]


def _card_adaptation(adaptation: Adaptation) -> list[str]:
    """Adaptations of queries since, and their scores."""
    lines = [
        f"Adapted to {adaptation.learned_from}, for the documents of the compressor with fingerprint "
        f"`{adaptation.fingerprint[:12]}`, whose vectors stay valid. Queries have a matrix of their own "
        "where that ships; *before* is the compressor that was adapted.",
        "",
    ]
    for title, sizes in adaptation.groups():
        lines += [
            f"{title}:",
            "",
            "| dims | full size | before | own [95 % CI of the change] | ships |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {size.dim} | {of.full:.4f} | {of.before:.4f} "
            f"| {of.own:.4f} [{of.ci[0]:+.4f}, {of.ci[1]:+.4f}] | {size.ships} |"
            for size, of in sizes
        ]
        lines.append("")
    return lines


def kept_reason(adaptation: Adaptation) -> str:
    """Say why queries of some sizes keep the matrix that they had."""
    if adaptation.metric == "overlap@10":
        return "what they learned did not clearly keep more neighbours"
    if all(size.step == 0 for size in adaptation.sizes if size.ships == "before"):
        return "no step of the training was better on held-out queries"
    new = adaptation.sizes[0].new
    if adaptation.corpus == "growing" and (new is None or new.queries < FEWEST_TOLD):
        return "too few held-out queries ask for new documents"
    return "what they learned was below that on new documents, or not clearly better over all"


def groups(
    validation: Validation,
) -> list[tuple[str, list[tuple[SizeMetrics, SizeMetrics | GroupMetrics]]]]:
    """Tables of what the gate measured: a title, and for each size the figures of a group of queries.

    New documents come first; with a fixed corpus all queries do, as they decide. Without labels, and in
    older artefacts, there is one group.
    """
    tables: list[tuple[str, list[tuple[SizeMetrics, SizeMetrics | GroupMetrics]]]] = []
    if validation.corpus == "fixed":
        title = f"{validation.metric} on the {_held_out(validation.queries)} that decided"
        tables.append((title, [(size, size) for size in validation.sizes]))
    new = [(size, size.new) for size in validation.sizes if size.new is not None]
    seen = [(size, size.seen) for size in validation.sizes if size.seen is not None]
    if new:
        count = new[0][1].queries
        title = f"{validation.metric} on new documents ({_held_out(count)})"
        tables.append((title, [(size, of) for size, of in new]))
    if seen:
        count = seen[0][1].queries
        title = f"{validation.metric} on documents judged in training ({_held_out(count)})"
        tables.append((title, [(size, of) for size, of in seen]))
    if not tables:
        what = _held_out(validation.queries)
        if validation.metric != "ndcg@10":
            what = _unjudged(validation.queries, validation.asked)
        title = f"{validation.metric} on {what} (never the test split)"
        tables.append((title, [(size, size) for size in validation.sizes]))
    agreement = [(size, size.agreement) for size in validation.sizes if size.agreement is not None]
    if agreement:
        what = _unjudged(agreement[0][1].queries, "queries")
        tables.append((f"overlap@10 on {what}", [(size, of) for size, of in agreement]))
    return tables


def _held_out(count: int) -> str:
    return f"{count} held-out train {'query' if count == 1 else 'queries'}"


def _unjudged(count: int, asked: str | None) -> str:
    if asked == "queries":
        return f"{count} held-out queries whose judgements, if any, are not read"
    return f"{count} held-out {asked or 'vectors'}"


def best_other(of: SizeMetrics | GroupMetrics, digits: int = 4) -> str:
    """Name and score of the best baseline besides PCA."""
    scores = {name: getattr(of, field) for field, name in OTHERS.items() if getattr(of, field) is not None}
    name = max(scores, key=lambda one: scores[one])
    return f"{name} {scores[name]:.{digits}f}"


def remarks(validation: Validation) -> list[str]:
    """Sentences on the cost of the split, on what could not be measured, and on maps that lose neighbours."""
    first = validation.sizes[0]
    added = first.metric is not None  # by `extend`, which compares nothing
    said = [] if validation.axes is None or added else [_trained_in(validation)]
    if validation.metric == "overlap@10" and validation.asked is not None:
        fewer = any(size.method == "smec" and size.smec < size.pca for size in validation.sizes)
        return [*said, FEWER_NEIGHBOURS] if fewer else said
    if validation.metric != "ndcg@10" or validation.corpus is None:
        return []
    said += [] if validation.candidate is None or added else [_chosen(validation)]
    if validation.corpus == "fixed" and first.new is not None:
        said.append(
            "The corpus was declared fixed: queries held out one by one decided. For documents that nobody "
            "has judged, expect the figures of new documents, from one more training that held them out."
        )
    if first.new is None:
        said.append(
            "Not measured: new documents. Every held-out query asks for documents judged in training."
        )
    elif first.new.queries < FEWEST_TOLD:
        said.append(
            f"Held-out queries for new documents are too few to tell a gain from luck: {first.new.queries}."
        )
    if below := [str(size.dim) for size in validation.sizes if _below_pca(validation, size)]:
        said.append(
            f"Below PCA on judged queries, and ships all the same: {', '.join(below)}. The difference may be "
            "chance, and the map keeps enough of the nearest neighbours (last table)."
        )
    if first.seen is None:
        said.append(
            "Not measured: documents judged in training. No query shares all its documents with others."
        )
    if validation.unused or validation.removed:
        said.append(
            f"To keep held-out documents out of training, a fold leaves out {validation.unused} queries and "
            f"{validation.removed} judgements (mean of {validation.folds} folds)."
        )
    return said


def _below_pca(validation: Validation, size: SizeMetrics) -> bool:
    """Whether a map ships for the neighbours that it keeps, below PCA's mean on the queries that decide."""
    decides = size.new if validation.corpus == "growing" and size.new is not None else size
    return size.agreement is not None and size.method == "smec" and decides.smec < decides.pca


def _trained_in(validation: Validation) -> str:
    said = (
        f"Trained in the {validation.axes} leading principal axes, which keep "
        f"{validation.axes_agreement:.0%} of the ten nearest neighbours."
    )
    wider = [str(size.dim) for size in validation.sizes if size.dim > (validation.axes or 0)]
    return f"{said} Untrained axes complete {', '.join(wider)} dims." if wider else said


def _chosen(validation: Validation) -> str:
    share = "" if validation.mixture == 1 else f", {validation.mixture:.0%} of the way from the start to it"
    return f"Held-out queries chose candidate {validation.candidate!r}, step {validation.step}{share}."


def feedback_sentence(record: FeedbackRecord) -> str:
    """Say what feedback adds."""
    told = []
    if record.seen_before is not None and record.seen_after is not None:
        told.append(
            f"Feedback (weight {record.weight:g}, chosen on held-out queries) would take queries for "
            f"documents that it moves from {record.seen_before:.4f} to {record.seen_after:.4f} "
            f"({record.queries_seen} queries, mean of the sizes)."
        )
    else:
        told.append(
            "The gain of feedback could not be measured, as no held-out query asks for documents that "
            f"others judged: its weight is the usual {record.weight:g}."
        )
    if record.new_before is not None and record.new_after is not None:
        told.append(
            f"Queries for new documents go from {record.new_before:.4f} to {record.new_after:.4f} with it "
            f"({record.queries_new} queries)."
        )
    return " ".join(told)


def sentences_sentence(record: SentencesRecord) -> str:
    """Say how the sentences of documents were used, and what that was decided by."""
    told = f"{record.count:,} sentences of documents"
    if record.weight is None:
        return (
            f"{told} were learned from as queries without judgements. Whether they help could not be "
            "checked, as no judged query was read."
        )
    if not record.compared:
        return f"{told} have weight {record.weight:g}, which was not compared with others."
    scores = ", ".join(f"{one.score:.4f} with weight {one.weight:g}" for one in record.compared)
    return (
        f"{told} were tried as further pairs: {scores} ({record.queries} held-out queries, mean of the "
        f"sizes). Only a significant gain counts: weight {record.weight:g} was chosen."
    )


def fallback_reason(validation: Validation, size: SizeMetrics) -> str:
    """Say why a size ships a baseline."""
    if (size.metric or validation.metric) == "overlap@10":
        asked = size.asked or validation.asked
        if asked is not None and size.pca >= KEPT[asked]:
            return f"PCA keeps {size.pca:.0%} of the nearest neighbours, so that little is left to gain"
        return "training did not clearly keep more neighbours"
    if validation.corpus == "growing":
        if size.new is None or size.new.queries < FEWEST_TOLD:
            return "too few held-out queries ask for new documents"
        if size.new.smec < size.new.pca:
            return "training is below PCA on held-out new documents"
    return "training was not significantly better there"
