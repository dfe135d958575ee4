"""The page and the command show quality on new documents beside that on documents judged in training."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest
from reported import DIMS, save_dataset, small_dataset, trained
from typer.testing import CliRunner

from smec import Compressor, Dataset
from smec.card import feedback_sentence, remarks
from smec.cli.main import app
from smec.config import trained_config
from smec.evaluation import new_and_seen, ratio_interval
from smec.report import write_report
from smec.report.measurement import Answer, measure

NOT_TOLD = "new and seen documents cannot be told apart"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Half of the test queries ask for documents judged in training; the last one asks for both kinds."""
    plain = small_dataset()
    test, train = dict(plain.qrels["test"]), dict(plain.qrels["train"])
    queries = list(test)
    half = len(queries) // 2
    test[queries[-1]] = {**test[queries[0]], **test[queries[-1]]}
    for train_query, test_query in zip(list(train), queries[:half], strict=False):
        train[train_query] = {**train[train_query], **plain.qrels["test"][test_query]}
    return Dataset(plain.corpus, plain.queries, {"test": test, "train": train}, "halves")


@pytest.fixture(scope="module")
def model(dataset: Dataset) -> Compressor:
    return trained(dataset)


@pytest.fixture(scope="module")
def written(
    dataset: Dataset, model: Compressor, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Answer, str]:
    file = tmp_path_factory.mktemp("report") / "report.html"
    (answer,) = write_report(file, {"mine": model}, dataset)
    return answer, file.read_text(encoding="utf-8")


def words(page: str) -> str:
    return html.unescape(" ".join(re.sub("<[^>]+>", " ", page).split()))


def test_new_documents_come_first_with_their_queries_points_and_share(
    written: tuple[Answer, str], dataset: Dataset
) -> None:
    answer, page = written
    groups = new_and_seen(dataset.judged("test"), dataset.qrels["train"])
    assert [kept.group.name for kept in answer.kept] == ["new", "seen", "all"]
    new, seen, both = answer.kept
    count = len(dataset.judged("test"))
    assert [kept.score.queries for kept in answer.kept] == [groups.new.sum(), groups.seen.sum(), count]
    assert groups.mixed.sum() == 1
    for kept, members in ((new, groups.new), (seen, groups.seen), (both, np.ones(count, dtype=bool))):
        values = answer.result.per_query[members]
        assert kept.score.mean == pytest.approx(values.mean())
        assert kept.points == pytest.approx(100 * (values.mean() - kept.group.full.mean))
        assert kept.share == pytest.approx(values.mean() / kept.group.full.mean)
    text = words(page)
    assert (
        f"Against the full vectors: {new.points:+.1f} points of nDCG@10 on new documents "
        f"({groups.new.sum()} queries), {seen.points:+.1f} on documents that were judged in training "
        f"({groups.seen.sum()} queries), {both.points:+.1f} over all {count} queries." in text
    )
    assert "1 query asks for documents of both kinds and counts among all queries only." in text
    assert new.share is not None and seen.share is not None
    opening = text[text.index("bytes per vector keep") : text.index("smaller.")]
    assert opening.index("of the quality on new documents") < opening.index("judged in training")
    assert f"{100 * new.share:.0f} % ± " in opening and f"{100 * seen.share:.0f} % ± " in opening


def test_the_share_of_each_group_has_its_own_interval(
    written: tuple[Answer, str], dataset: Dataset, model: Compressor
) -> None:
    answer, _ = written
    full = measure({"mine": model}, dataset).full_per_query
    for kept in answer.kept:
        members = kept.group.members
        assert kept.share_ci == ratio_interval(answer.result.per_query[members], full[members])


def test_the_rivals_are_compared_on_each_group(written: tuple[Answer, str]) -> None:
    answer, page = written
    text = words(page)
    for kept in answer.kept:
        assert [name for name, _ in kept.rivals] == ["PCA", "truncation"]
        row = f"{kept.group.words} {kept.group.full.mean:.3f} {kept.score.mean:.3f} ["
        rivals = " ".join(f"{rival:.3f} {100 * (kept.score.mean - rival):+.1f}" for _, rival in kept.rivals)
        assert row in text and f"{kept.points:+.1f} {rivals}" in text
    assert answer.kept[0].rivals != answer.kept[1].rivals


def test_the_table_the_charts_and_the_tallies_tell_them_apart(
    written: tuple[Answer, str], dataset: Dataset
) -> None:
    _, page = written
    columns = re.findall(r'<th scope="col"[^>]*><button type="button">([^<]+)</button>', page)
    apart = [f"{group}{what}" for group in ("new", "seen", "all") for what in (" [95 % CI]", ", of full")]
    assert columns == ["method", "bytes", *apart, "dims", "code", "p"]
    for chart in ("bytes", "dims"):
        for group in ("new", "seen", "all"):
            assert f'id="{chart}-{group}-wide-' in page
    text = words(page)
    sizes = [int(count) for count in re.findall(r"documents.*?\((\d+) queries\): \d+ better", text)]
    tallies = re.findall(r"queries\): (\d+) better, (\d+) worse and (\d+) alike", text)
    assert [sum(map(int, tally)) for tally in tallies] == sizes[-2:]
    assert len(tallies) == 2
    assert re.search(r"; query \S+, for (new documents|documents that were judged in training)", text)


def test_the_provenance_names_the_train_judgements(written: tuple[Answer, str], dataset: Dataset) -> None:
    text = words(written[1])
    assert f"told apart by train qrels sha256 {dataset.fingerprint('train')['qrels']}" in text
    assert "trained on other judgements" not in text


def test_a_model_of_other_judgements_is_pointed_out(
    model: Compressor, dataset: Dataset, tmp_path: Path
) -> None:
    fewer = dict(list(dataset.qrels["train"].items())[:-1])
    other = Dataset(dataset.corpus, dataset.queries, {**dataset.qrels, "train": fewer}, "other")
    write_report(tmp_path / "r.html", {"mine": model}, other)
    text = words((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "mine was trained on other judgements than the train qrels of other" in text


@pytest.mark.parametrize(
    ("splits", "split", "said"),
    [
        (("test",), "test", f"the dataset has no train qrels: {NOT_TOLD}"),
        (("train",), "train", f"split 'train' is the one that training learns from: {NOT_TOLD}"),
    ],
)
def test_what_cannot_be_told_apart_is_said_by_the_command_and_the_page(
    model: Compressor, dataset: Dataset, tmp_path: Path, splits: tuple[str, ...], split: str, said: str
) -> None:
    kept = {name: dataset.qrels[name] for name in splits}
    folder = save_dataset(Dataset(dataset.corpus, dataset.queries, kept, "one"), tmp_path / "one")
    model.save(tmp_path / "model")
    output = tmp_path / "r.html"
    arguments = ["report", str(tmp_path / "model"), str(folder), "-o", str(output), "--split", split]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert said in done.stdout
    assert f"points of nDCG@10 over all {len(dataset.judged(split))} queries: " in done.stdout
    page = words(output.read_text(encoding="utf-8"))
    assert f"{said[0].upper()}{said[1:]}." in page
    assert f"not measured {said}" in page
    assert "nDCG@10 [95 % CI] nDCG@10, of full" in page and "new [95 % CI]" not in page


def test_the_command_says_the_points_of_both_groups(
    written: tuple[Answer, str], model: Compressor, dataset: Dataset, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    folder = save_dataset(dataset, tmp_path / "data")
    done = CliRunner().invoke(
        app, ["report", str(tmp_path / "model"), str(folder), "-o", str(tmp_path / "r.html")]
    )
    lines = done.stdout.splitlines()
    answer, _ = written
    assert lines[0] == (
        f"model: {answer.result.bytes} bytes ({answer.result.dim} dims as {answer.result.codec}), "
        f"{answer.times_smaller:.3g} times smaller"
    )
    assert answer.result.dim in DIMS
    for line, kept in zip(lines[1:4], answer.kept, strict=True):
        where = f"over {kept.group.words}" if kept.group.name == "all" else f"on {kept.group.words}"
        assert kept.share is not None
        expected = (
            f"  {kept.points:+.1f} points of nDCG@10 {where}: {100 * kept.share:.1f} % of the full score"
        )
        assert line == expected


def test_the_gates_tables_and_the_configuration_are_those_of_what_was_trained(
    written: tuple[Answer, str], model: Compressor
) -> None:
    page = words(written[1])
    validation = model.manifest.validation
    assert validation is not None and validation.sizes[0].new is not None
    new = validation.sizes[0].new
    assert f"The no-harm gate: ndcg@10 on new documents ({new.queries} held-out train queries)" in page
    assert f"{DIMS[0]} {new.full:.3f} {new.smec:.3f} [{new.ci[0]:.3f}, {new.ci[1]:.3f}] {new.pca:.3f}" in page
    for sentence in remarks(validation):
        assert sentence in page
    assert model.manifest.feedback is not None
    assert feedback_sentence(model.manifest.feedback) in page
    configuration = trained_config(model.manifest)
    assert f"rank {configuration.rank.model_dump()}" in page
    assert f"start {configuration.start}" in page
