"""``smec judge``: what it asks, what it writes, and how good that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judging.conftest import HEADER, Hidden, Run, assert_refused, hide, write_labels
from judging.judging_server import JudgingServer
from smec import __version__
from smec.data import Dataset
from smec.data.qrels import read_qrels
from smec.judging.chat import PROMPT_VERSION

TOP = 10


def new_rows(hidden: Hidden) -> set[tuple[str, str]]:
    made = read_qrels(hidden.train)
    return {(query, d) for query in hidden.truth for d, grade in made.get(query, {}).items() if grade > 0}


def true_rows(hidden: Hidden) -> set[tuple[str, str]]:
    return {(query, d) for query, judged in hidden.truth.items() for d in judged}


def test_calibrated_judgements_agree_with_people_as_much_as_it_says(tmp_path: Path, run: Run) -> None:
    hidden = hide(tmp_path / "demo", 200, 300)
    before = hidden.train.read_bytes()
    result = run(hidden.folder, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    made, true = new_rows(hidden), true_rows(hidden)
    assert said["rule"]["name"] == "calibrated" and said["rule"]["sample"] == 100
    assert said["rows"] == len(made) and said["queries"] == len({query for query, _ in made})
    precision = len(made & true) / len(made)
    assert precision > 0.45  # one in ten by chance, as each question has one answer
    assert precision == pytest.approx(said["rule"]["precision"], abs=0.15)
    assert len(made & true) / len(true) > 0.4
    assert hidden.train.read_bytes().startswith(before)
    assert said["estimate"]["requests"] == 400 and said["estimate"]["documents"] == 4000


def test_without_labels_only_clear_cases_are_judged(tmp_path: Path, run: Run) -> None:
    hidden = hide(tmp_path / "demo", 0, 300)
    result = run(hidden.folder)
    assert result.exit_code == 0, result.output
    made, true = new_rows(hidden), true_rows(hidden)
    assert len(made) == len({query for query, _ in made})  # one document each
    assert 30 < len(made) < 150
    assert len(made & true) / len(made) > 0.7
    assert "relevant from lead 0.5 up" in result.stdout
    assert "How sure: not measured, as too few judged train queries are there" in result.stdout
    assert f"{300 - len(made)} queries stay unjudged: none of their documents is relevant" in result.stdout


def test_it_asks_for_the_best_documents_of_unjudged_queries_alone(
    small: Hidden, run: Run, server: JudgingServer
) -> None:
    assert run(small.folder).exit_code == 0
    opened = Dataset.open(small.folder)
    assert opened.queries is not None and opened.queries.texts is not None and opened.corpus.texts is not None
    texts = {id_: text for id_, text in zip(opened.queries.ids, opened.queries.texts, strict=True)}
    assert sorted(server.queries) == sorted(texts[query] for query in small.truth)
    body = server.requests[0]
    assert (body["model"], body["top_n"]) == ("bm25", TOP)
    (query,) = [q for q in small.truth if texts[q] == body["query"]][:1]
    vectors = opened.corpus.vectors.astype("float64")
    cosines = vectors @ opened.queries.vectors[opened.queries.rows[query]].astype("float64")
    best = (-cosines).argsort()[:TOP]
    assert set(body["documents"]) == {opened.corpus.texts[row] for row in best}


def test_what_has_judged_is_written_beside(
    small: Hidden, run: Run, server: JudgingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMEC_API_KEY", "secret-key-1")
    assert run(small.folder, "--threshold", "5", "--top", "7").exit_code == 0
    assert server.keys == ["Bearer secret-key-1"] * 12
    (said,) = small.runs()
    made = read_qrels(small.train)
    assert said["endpoint"] == server.url and said["model"] == "bm25" and said["kind"] == "rerank"
    assert said["prompt"] is None and said["top"] == 7 and said["smec_version"] == __version__
    assert said["rule"]["threshold"] == 5 and said["rule"]["name"] == "given"
    assert set(said["query_ids"]) == set(made) and said["queries"] == len(made)
    assert said["rows"] == sum(map(len, made.values()))
    sent = [text for body in server.requests for text in (body["query"], *body["documents"])]
    assert said["tokens"] == sum(len(text.split()) for text in sent)
    assert "secret-key-1" not in small.provenance.read_text()
    assert "secret-key-1" not in (small.folder / "qrels" / ".judging" / "answers.jsonl").read_text()
    assert set(Dataset.open(small.folder).splits) == {"dev", "test", "train"}
    assert len(Dataset.open(small.folder).judged("train")) == len(made)


@pytest.mark.parametrize(("kind", "member"), [("rerank", "top_n"), ("voyage", "top_k"), ("tei", "truncate")])
def test_every_kind_of_reranker_makes_the_same_judgements(
    small: Hidden, run: Run, server: JudgingServer, kind: str, member: str
) -> None:
    result = run(small.folder, "--threshold", 8, "--kind", kind)
    assert result.exit_code == 0, result.output
    assert all(member in body for body in server.requests)
    opened = Dataset.open(small.folder)
    assert opened.queries is not None and opened.queries.texts is not None and opened.corpus.texts is not None
    made = read_qrels(small.train)
    assert made
    for query, judged in made.items():
        text = opened.queries.texts[opened.queries.rows[query]]
        scores = server.scores(text, [opened.corpus.texts[opened.corpus.rows[d]] for d in judged])
        assert min(scores) >= 8


@pytest.mark.parametrize("fault", ["", "fenced"])
def test_a_language_model_gives_grades(small: Hidden, run: Run, server: JudgingServer, fault: str) -> None:
    server.faults += [fault] * 12
    result = run(small.folder, "--kind", "chat", "--threshold", 1)
    assert result.exit_code == 0, result.output
    made = read_qrels(small.train)
    assert {grade for judged in made.values() for grade in judged.values()} == {1, 3}
    body = server.requests[0]
    assert body["temperature"] == 0 and body["response_format"] == {"type": "json_object"}
    material = json.loads(body["messages"][1]["content"])
    assert [document["number"] for document in material["documents"]] == list(range(1, TOP + 1))
    (said,) = small.runs()
    assert said["prompt"] == PROMPT_VERSION and said["tokens"] == 12 * 7


def test_a_language_models_grade_of_two_counts_where_nothing_is_calibrated(small: Hidden, run: Run) -> None:
    result = run(small.folder, "--kind", "chat")
    assert "relevant from grade 2 up" in result.stdout
    assert {grade for judged in read_qrels(small.train).values() for grade in judged.values()} == {3}


def test_a_language_model_is_calibrated_too(tmp_path: Path, run: Run) -> None:
    hidden = hide(tmp_path / "demo", 60, 5)
    said = json.loads(run(hidden.folder, "--kind", "chat", "--json").stdout)
    assert said["rule"]["name"] == "calibrated" and said["rule"]["scale"] == "score"
    assert said["rule"]["threshold"] == 2  # between the grades 1 and 3 that the model gives


def test_its_own_judgements_calibrate_nothing(tmp_path: Path, run: Run, server: JudgingServer) -> None:
    hidden = hide(tmp_path / "demo", 60, 20)
    assert run(hidden.folder, "--limit", 10, "--threshold", 1).exit_code == 0
    assert len(server.requests) == 10
    said = json.loads(run(hidden.folder, "--json").stdout)
    assert said["rule"]["sample"] == 60
    assert [entry["queries"] for entry in hidden.runs()] == [10, said["queries"]]


def test_new_rows_have_the_grade_that_people_give_most_often(tmp_path: Path, run: Run) -> None:
    hidden = hide(tmp_path / "demo", 3, 8)
    hidden.train.write_text(hidden.train.read_text().replace("\t1\n", "\t4\n"))
    assert run(hidden.folder, "--threshold", 1).exit_code == 0
    assert {grade for query in hidden.truth for grade in read_qrels(hidden.train)[query].values()} == {4}


def test_a_dry_run_prints_what_there_is_to_ask_and_leaves_nothing(
    small: Hidden, run: Run, server: JudgingServer
) -> None:
    before = small.files()
    result = run(small.folder, "--dry-run", "--limit", 5)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "5 of 12 unjudged queries, each with its 10 best documents. To ask: 5 req"
    )
    said = json.loads(run(small.folder, "--dry-run", "--json").stdout)
    assert (said["requests"], said["documents"], said["answered"]) == (12, 120, 0)
    assert said["characters"] / 4 <= said["tokens"] < said["characters"] / 3
    assert server.requests == [] and small.files() == before


def test_one_query_alone(tmp_path: Path, run: Run) -> None:
    hidden = hide(tmp_path / "demo", 0, 1)
    result = run(hidden.folder, "--threshold", 0.1)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 unjudged queries")
    assert set(read_qrels(hidden.train)) == set(hidden.truth)


def test_nothing_relevant_writes_nothing(small: Hidden, run: Run) -> None:
    result = run(small.folder, "--threshold", 1e6)
    assert result.exit_code == 0
    assert "nothing was written: no document is relevant enough" in result.stdout
    assert not small.train.exists() and not small.provenance.exists()


def test_rows_are_added_in_the_format_of_the_file(small: Hidden, run: Run) -> None:
    query = next(iter(small.truth))
    rows = f"{query} 0 {next(iter(small.truth[query]))} 2"
    (small.folder / "qrels" / "train.trec").write_text(rows)  # and no end of its last line
    assert run(small.folder, "--threshold", 1).exit_code == 0
    lines = (small.folder / "qrels" / "train.trec").read_text().splitlines()
    assert lines[0] == rows and all(len(line.split(" ")) == 4 for line in lines)
    assert set(read_qrels(small.folder / "qrels" / "train.trec")) == set(small.truth)
    assert not small.train.exists()


def test_an_empty_train_file_gets_its_header(small: Hidden, run: Run) -> None:
    small.train.touch()
    assert run(small.folder, "--threshold", 1).exit_code == 0
    assert small.train.read_text().startswith(HEADER)
    assert set(read_qrels(small.train)) == set(small.truth)


def test_a_dataset_that_is_judged_throughout_is_refused(small: Hidden, run: Run) -> None:
    assert run(small.folder, "--threshold", 0.01).exit_code == 0
    before = small.train.read_bytes()
    assert_refused(run(small.folder), "demo: all 1,500 queries are judged; nothing is left to ask")
    assert small.train.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kind", "cohere"], "kind 'cohere' is not known; use one of rerank, voyage, tei, chat"),
        (["--threshold", "nan"], "threshold: nan is no number"),
        (["--kind", "chat", "--threshold", "4"], "threshold: 4 is out of range"),
        (["--endpoint", "localhost:80"], "endpoint: 'localhost:80' is not a URL"),
        (["--endpoint", "http://me:x1y2@host"], "endpoint: name no user or password in the URL"),
    ],
)
def test_settings_that_make_no_sense(small: Hidden, run: Run, words: list[str], message: str) -> None:
    before = small.files()
    assert_refused(run(small.folder, *words), message)
    assert small.files() == before


def test_sentences_of_documents_are_not_judged(small: Hidden, run: Run, server: JudgingServer) -> None:
    """Their split says what they are; a judge would be asked what is known."""
    sentences = dict(list(small.truth.items())[:5])
    write_labels(small.folder / "qrels" / "sentences.tsv", sentences)
    assert run(small.folder).exit_code == 0
    assert len(server.requests) == 12 - 5
    assert not set(read_qrels(small.train)) & set(sentences)
