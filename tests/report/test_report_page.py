"""What the page says, that it is whole and self-contained, and what is refused."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from reported import DIMS, HOSTILE, save_dataset, small_dataset, trained
from typer.testing import CliRunner, Result

from smec import Compressor, Dataset, Embeddings
from smec.cli.main import app
from smec.errors import ConfigError
from smec.evaluation import evaluate
from smec.report import write_report
from smec.report.measurement import front
from smec.report.storage import hnsw_bytes, readable


class _Elements(HTMLParser):
    """Ids and links of a page, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return small_dataset()


@pytest.fixture(scope="module")
def chosen(dataset: Dataset) -> Compressor:
    """Trained for a budget of 12 bytes."""
    return trained(dataset, budget=12)


@pytest.fixture(scope="module")
def page(dataset: Dataset, chosen: Compressor, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    write_report(file, {"mine": chosen}, dataset)
    return file.read_text(encoding="utf-8")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_it_opens_with_what_the_budget_chose_and_its_share_of_the_full_score(
    page: str, dataset: Dataset, chosen: Compressor, tmp_path: Path
) -> None:
    (answer,) = write_report(tmp_path / "again.html", {"mine": chosen}, dataset)
    choice = chosen.manifest.choice
    assert choice is not None
    assert (answer.result.dim, answer.result.codec) == (choice.chosen.dim, choice.chosen.codec)
    full = evaluate(dataset, []).full["nDCG@10"]
    (kept,) = answer.kept  # all queries ask for new documents
    assert kept.share == pytest.approx(answer.result.metrics["nDCG@10"] / full)
    assert kept.share_ci is not None and kept.share is not None
    assert kept.share_ci[0] <= kept.share <= kept.share_ci[1]
    assert all(rival.bytes <= answer.result.bytes for _, rival in answer.rivals)
    assert {name for name, _ in answer.rivals} == {"PCA", "truncation"}
    text = _Elements(page).text
    share, size = f"{100 * kept.share:.0f} %", answer.result.bytes
    assert f"{size} bytes per vector keep {share} ± " in text
    assert f"{1536 / size:.3g}\N{MULTIPLICATION SIGN} smaller" in text
    assert "chosen in training, for a budget of 12 bytes, on held-out train queries" in text
    # The same seed and figures give the same page.
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_every_point_of_a_chart_leads_to_a_row_and_no_id_occurs_twice(page: str) -> None:
    elements = _Elements(page)
    assert len(set(elements.ids)) == len(elements.ids)
    inner = [link[1:] for link in elements.links if link.startswith("#")]
    assert set(inner) <= set(elements.ids)
    assert sum(link.startswith("result-") for link in inner) > 20


def test_every_size_under_every_codec_has_a_row_beside_the_rivals(page: str, chosen: Compressor) -> None:
    rows = re.findall(r'<tr id="result-\d+" data-method="([^"]+)"', page)
    expected = sum(len(codecs) for codecs in chosen.codecs.values())
    assert rows.count("mine") == expected
    assert rows.count("PCA") == rows.count("truncation") >= expected - 2


def test_it_needs_no_network_and_every_text_of_the_data_is_escaped(page: str) -> None:
    assert HOSTILE not in page
    assert "<img" not in page
    assert _Elements(page).tags.count("script") == 1
    assert HOSTILE in _Elements(page).text  # as text it is all there
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*', page)
    assert set(re.findall(r"https?://[^\"' <]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in page and "url(http" not in page


def test_hostile_names_of_models_and_datasets_are_text(chosen: Compressor, tmp_path: Path) -> None:
    dataset = small_dataset(HOSTILE)
    write_report(tmp_path / "r.html", {"_" + HOSTILE: chosen, "b": chosen}, dataset)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert _Elements(page).tags.count("script") == 1
    assert "img" not in _Elements(page).tags


def test_without_a_choice_the_size_comes_from_what_was_held_out(dataset: Dataset, tmp_path: Path) -> None:
    plain = trained(dataset)
    (answer,) = write_report(tmp_path / "r.html", {"plain": plain}, dataset)
    validation = plain.manifest.validation
    assert validation is not None
    shipped = {size.dim: size.ships for size in validation.sizes}
    keeping = [size.dim for size in validation.sizes if shipped[size.dim] >= size.full]
    assert answer.result.dim == (min(keeping) if keeping else max(shipped, key=lambda dim: shipped[dim]))
    assert answer.result.codec == "float16"


def test_without_judgements_it_is_about_nearest_neighbours(dataset: Dataset, tmp_path: Path) -> None:
    bare = Dataset(dataset.corpus, name="bare")
    model = trained(bare, supervised=False)
    write_report(tmp_path / "r.html", {"bare": model}, bare)
    elements = _Elements((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "% of the nearest neighbours;" in elements.text
    assert "points of overlap@10 over all 600 queries" in elements.text
    assert "The dataset has no qrels: new and seen documents cannot be told apart." in elements.text
    assert "queries" not in elements.ids and "storage" in elements.ids
    assert "#queries" not in elements.links


def test_queries_that_were_learned_from_are_pointed_out(
    page: str, dataset: Dataset, chosen: Compressor, tmp_path: Path
) -> None:
    assert 'class="warning"' not in page
    write_report(tmp_path / "r.html", {"mine": chosen}, dataset, split="train")
    count = len(dataset.judged("train"))
    assert f"mine learned from {count} of these queries" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_wins_and_losses_count_every_query(page: str, dataset: Dataset) -> None:
    found = re.search(r"(\d+) queries are answered better .*?, (\d+) worse and (\d+) alike", page)
    assert found is not None
    assert sum(map(int, found.groups())) == len(dataset.judged("test"))


def test_dimensions_that_the_selector_kept_are_listed(dataset: Dataset, tmp_path: Path) -> None:
    model = trained(dataset, "paper")
    stages = [stage for stage in model.manifest.stages if stage["kept"] is not None]
    assert [len(stage["kept"]) for stage in stages] == list(DIMS)
    write_report(tmp_path / "r.html", {"paper": model}, dataset)
    text = _Elements((tmp_path / "r.html").read_text(encoding="utf-8")).text
    first = list(map(int, stages[0]["kept"]))
    assert ", ".join(map(str, first)) in text
    # The second stage chose among the columns of the first.
    assert ", ".join(str(first[column]) for column in stages[1]["kept"]) in text


def test_a_front_holds_what_no_smaller_code_equals(dataset: Dataset, chosen: Compressor) -> None:
    results = evaluate(dataset, [chosen]).results
    best = front(results, lambda one: one.metrics["nDCG@10"])
    assert [one.bytes for one in best] == sorted(one.bytes for one in best)
    scores = [one.metrics["nDCG@10"] for one in best]
    assert scores == sorted(set(scores))
    assert max(scores) == max(one.metrics["nDCG@10"] for one in results)


def test_storage_is_the_count_times_the_bytes_and_a_graph_adds_its_links() -> None:
    assert readable(1e6 * 3072) == "3.07 GB"
    assert readable(1e9 * 64) == "64 GB"
    assert readable(12) == "12 B"
    assert readable(999_600) == "1 MB"
    assert hnsw_bytes(0) == pytest.approx(4 * (32 + 16 / 15))


def test_the_command_writes_the_page_and_says_what_came_out(
    dataset: Dataset, chosen: Compressor, tmp_path: Path
) -> None:
    folder = save_dataset(dataset, tmp_path / "data")
    for name in ("a/model", "b/model", "c"):
        chosen.save(tmp_path / name)
    output = tmp_path / "report.html"
    done = run("report", tmp_path / "c", folder, "-o", output)
    assert done.exit_code == 0
    assert done.stdout.startswith("c: ") and f"saved: {output}" in done.stdout
    assert f"points of nDCG@10 on new documents ({len(dataset.judged('test'))} queries): " in done.stdout
    assert "no query asks for seen documents only: the score on them could not be measured" in done.stdout
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
    # Folders of the same name are told apart.
    both = run("report", tmp_path / "a/model", tmp_path / "b/model", folder, "-o", tmp_path / "both.html")
    assert both.exit_code == 0 and "a/model: " in both.stdout and "b/model: " in both.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{data}"], "give at least one compressor"),
        (["{model}", "{model}", "{data}"], "a compressor is given twice"),
        (["{model}", "{nothing}"], "nothing"),
        (["{model}", "{data}", "--split", "dev"], "has no qrels for split 'dev'"),
        (["{model}", "{narrow}"], "takes embeddings of 384 dims, but narrow has 16"),
        (["{model}", "{data}", "-o", "{model}"], "exists already"),
    ],
)
def test_what_cannot_be_reported_is_refused_and_leaves_nothing(
    arguments: list[str], message: str, dataset: Dataset, chosen: Compressor, tmp_path: Path
) -> None:
    chosen.save(tmp_path / "model")
    rows = np.random.default_rng(0).standard_normal((30, 16)).astype(np.float32)
    narrow = Embeddings([f"d{row}" for row in range(30)], rows, name="corpus")
    places = {
        "data": save_dataset(dataset, tmp_path / "data"),
        "narrow": save_dataset(Dataset(narrow, narrow, {}, "narrow"), tmp_path / "narrow"),
        "model": tmp_path / "model",
        "nothing": tmp_path / "nothing",
    }
    given = [argument.format(**places) for argument in arguments]
    output = [] if "-o" in given else ["-o", tmp_path / "r.html"]
    before = sorted(tmp_path.iterdir())
    refused = run("report", *given, *output)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_names_that_the_page_needs_for_itself_are_refused(
    chosen: Compressor, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="cannot be called 'PCA'"):
        write_report(tmp_path / "r.html", {"PCA": chosen}, dataset)
    with pytest.raises(ConfigError, match="at least one compressor"):
        write_report(tmp_path / "r.html", {}, dataset)


def test_a_missing_library_names_its_extra(
    chosen: Compressor, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'smec\[report\]'"):
        write_report(tmp_path / "r.html", {"mine": chosen}, dataset)
    assert list(tmp_path.iterdir()) == []


def test_a_report_on_a_sample_says_so_with_its_bias(
    dataset: Dataset, chosen: Compressor, tmp_path: Path
) -> None:
    chosen.save(tmp_path / "model")
    folder = save_dataset(dataset, tmp_path / "data")
    result = CliRunner().invoke(
        app,
        ["report", str(tmp_path / "model"), str(folder), "-o", str(tmp_path / "page.html"), "--sample", "590"],
    )
    assert result.exit_code == 0, result.output
    said = re.search(r"a sample: (\d+) of 600 documents were searched, all judged ones among them", result.stdout)
    assert said is not None and int(said[1]) < 600
    text = " ".join(_Elements((tmp_path / "page.html").read_text("utf-8")).text.split())
    assert f"{said[0]}; all scores are too high" in text
    assert "600 documents" in text
