"""Endpoints that go wrong, runs that are killed, and data that cannot be judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from judging.conftest import Hidden, Run, assert_refused, hide
from judging.judging_server import ANSWERS, JudgingServer
from smec.data.qrels import read_qrels
from smec.endpoint import client as endpoint_client
from smec.endpoint.client import EndpointClient, Retries
from smec.errors import EndpointError
from smec.judging.asking import Judge
from smec.judging.kinds import kind_of
from smec.judging.questions import Question

PROGRAM = "from smec.cli.main import main; main()"
QUICK = Retries(attempts=3, first=0.001, longest=0.002)
QUERIES, TOP = 12, 10
ONE_BY_ONE = ("--concurrency", 1, "--threshold", 1)


@contextmanager
def judge(server: JudgingServer, kind: str = "rerank", retries: Retries = QUICK) -> Iterator[Judge]:
    client = EndpointClient(server.url, retries=retries)
    try:
        yield Judge(client, kind_of(kind), kind, "bm25")
    finally:
        client.close()


@pytest.fixture
def question(server: JudgingServer) -> Question:
    documents = tuple(list(server._rows)[:TOP])
    return Question("q1", "What are the symptoms of gout?", tuple(f"d{n}" for n in range(TOP)), documents)


@pytest.mark.parametrize("kind", ["rerank", "tei"])
def test_the_index_counts_and_not_the_order(server: JudgingServer, question: Question, kind: str) -> None:
    expected = server.scores(question.text, question.texts)
    assert expected != sorted(expected, reverse=True)
    server.faults += ["", "shuffled"]
    with judge(server, kind) as judging:
        for _ in range(2):
            assert judging.ask(question).scores == pytest.approx(expected)


@pytest.mark.parametrize("fault", ["429", "500"])
def test_failures_that_pass_are_sent_again(server: JudgingServer, question: Question, fault: str) -> None:
    server.faults += [fault] * (QUICK.attempts - 1)
    with judge(server) as judging:
        assert len(judging.ask(question).scores) == TOP
    assert len(server.requests) == QUICK.attempts


@pytest.mark.parametrize(
    ("fault", "said", "requests"),
    [
        ("401", "HTTP 401: .*; the key is read from the environment variable SMEC_API_KEY, which is not", 1),
        ("403", "HTTP 403: .*not for you.*SMEC_API_KEY, which is not set", 1),
        ("404", "HTTP 404: .*; POST http://127.0.0.1:[0-9]+/rerank was asked", 1),
        ("429", "HTTP 429: .*slow down.*; gave up after 3 attempts", 3),
        ("429 for long", "HTTP 429: .*slow down.*; it asks to wait 86,400 s", 1),
        ("500", "HTTP 500: out of memory; gave up after 3 attempts", 3),
        ("html", "answers with something else than JSON", 1),
        ("brackets", "answers with something else than JSON", 1),
        ("brackets in 500", r"HTTP 500: \[\[\[\[.*; gave up after 3 attempts", 3),
        ("moved", "HTTP 301; it points to http://127.0.0.1:9/v2, and is not followed: name that address", 1),
        ("number", "the reply has no list 'results' or 'data' of scores", 1),
        ("error in 200", "HTTP 200: no such model", 1),
        ("fewer", "the reply has 9 scores for 10 documents", 1),
        ("index twice", "the reply has index [0-9] twice", 1),
        ("index out of range", "the reply has index 10, where 0 to 9 were asked", 1),
        ("index below 0", "the reply has index -1, where 0 to 9 were asked", 1),
        ("index of words", "the reply has index '[0-9]', where 0 to 9 were asked", 1),
        ("no index", "the reply has index None, where 0 to 9 were asked", 1),
        ("NaN", "the score at index [0-9] is nan, out of range", 1),
        ("infinite", "the score at index [0-9] is inf, out of range", 1),
        ("huge", "the score at index [0-9] is 10{39}, out of range", 1),
        ("words", "the score at index [0-9] is no number, but '0.5'", 1),
        ("truth values", "the score at index [0-9] is no number, but 'True'", 1),
        ("no items", "the reply has no list 'results' or 'data' of scores", 1),
    ],
)
def test_failures_that_stay_end_the_run(
    small: Hidden, run: Run, server: JudgingServer, question: Question, fault: str, said: str, requests: int
) -> None:
    server.faults += [fault] * QUICK.attempts
    with judge(server) as judging, pytest.raises(EndpointError, match=said):
        judging.ask(question)
    assert len(server.requests) == requests


@pytest.mark.parametrize("fault", ["404", "fewer", "NaN", "html"])
def test_a_run_that_ends_writes_no_judgements_and_goes_on(
    small: Hidden, run: Run, server: JudgingServer, fault: str
) -> None:
    server.faults += ["", "", "", fault]
    before = small.files()
    result = run(small.folder, *ONE_BY_ONE)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"smec: error: {server.url}: ") and "; the query: '" in line
    assert small.files() - before == {".judging"}
    again = run(small.folder, *ONE_BY_ONE)
    assert again.exit_code == 0, again.output
    assert "3 of them are answered already" in again.stdout
    assert len(server.requests) == QUERIES + 1
    assert set(read_qrels(small.train)) == set(small.truth)


def test_what_others_brought_is_kept_when_one_fails(small: Hidden, run: Run, server: JudgingServer) -> None:
    server.faults += ["", "401"]
    assert run(small.folder, "--threshold", 1).exit_code == 2
    kept = len(server.requests) - 1
    assert kept >= 1
    assert f"{kept} of them are answered already" in run(small.folder, "--threshold", 1).stdout


def test_a_server_that_never_answers(
    server: JudgingServer, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_client, "TIMEOUT", httpx.Timeout(0.05))
    server.faults += ["hang"] * QUICK.attempts
    with (
        judge(server) as judging,
        pytest.raises(EndpointError, match=r"connection lost.*timed out.*3 attempts"),
    ):
        judging.ask(question)
    server.released.set()


def test_nobody_at_the_url(server: JudgingServer, question: Question) -> None:
    with judge(server) as judging:
        server.shutdown()
        server.server_close()
        with pytest.raises(EndpointError, match="connection lost"):
            judging.ask(question)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("prose", "the answer is not JSON: 'The first document is the best one.'"),
        ("a list", "the answer has no object 'grades'"),
        ("no grades", "the answer has no object 'grades'"),
        ("too few", "the answer has no grade for document 3 of 10"),
        ("too many", "the answer has 11 grades for 10 documents"),
        ("too high", "document 1 is graded 4, where 0, 1, 2 or 3 was asked"),
        ("words as grades", 'document 1 is graded "3", where 0, 1, 2 or 3 was asked'),
    ],
)
def test_a_language_model_that_answers_badly(
    small: Hidden, run: Run, server: JudgingServer, fault: str, said: str
) -> None:
    assert fault in ANSWERS
    server.faults += [fault] * 100
    result = run(small.folder, "--kind", "chat", "--concurrency", 1)
    assert_refused(result, said)
    assert "6 of 6 answers could not be used, try another model" in result.stderr
    assert not small.train.exists()


def test_some_bad_answers_leave_their_queries_unjudged(
    small: Hidden, run: Run, server: JudgingServer
) -> None:
    server.faults += ["prose", "", "too few"]
    result = run(small.folder, "--kind", "chat", *ONE_BY_ONE)
    assert result.exit_code == 0, result.output
    assert "2 queries stay unjudged: their answers could not be used" in result.stdout
    assert len(read_qrels(small.train)) == QUERIES - 2
    assert run(small.folder, "--kind", "chat", *ONE_BY_ONE).exit_code == 0
    assert len(server.requests) == QUERIES + 2
    assert set(read_qrels(small.train)) == set(small.truth)
    assert [entry["queries"] for entry in small.runs()] == [QUERIES - 2, 2]


def test_a_reply_that_is_no_chat_completion_ends_the_run(
    small: Hidden, run: Run, server: JudgingServer
) -> None:
    server.faults += ["number"]
    assert_refused(run(small.folder, "--kind", "chat"), "the reply is no chat completion")


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_run_again_it_asks_nothing_twice(
    small: Hidden, run: Run, server: JudgingServer, sent: signal.Signals
) -> None:
    server.faults += ["", "", "", "hang"]
    words = ["judge", small.folder, "--endpoint", server.url, "--model", "bm25", *ONE_BY_ONE]
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert server.hanging.wait(120)
        os.kill(process.pid, sent)
        server.released.set()
        said = process.communicate()[1]
    if sent == signal.SIGINT:
        assert (process.returncode, said) == (
            130,
            "interrupted; the same command goes on where it stopped\n",
        )
    assert not small.train.exists() and not small.provenance.exists()
    result = run(small.folder, *ONE_BY_ONE)
    assert result.exit_code == 0, result.output
    assert "3 of them are answered already" in result.stdout
    assert len(server.requests) == QUERIES + 1  # the one that hung
    assert set(read_qrels(small.train)) == set(small.truth)


def test_half_a_line_of_a_killed_run_is_asked_again(small: Hidden, run: Run, server: JudgingServer) -> None:
    assert run(small.folder, *ONE_BY_ONE).exit_code == 0
    made = small.train.read_bytes()
    answers = small.folder / "qrels" / ".judging" / "answers.jsonl"
    answers.write_bytes(answers.read_bytes()[:-20])
    small.train.unlink()
    assert run(small.folder, *ONE_BY_ONE).exit_code == 0
    assert len(server.requests) == QUERIES + 1
    assert small.train.read_bytes() == made
    assert len(answers.read_text().splitlines()) == QUERIES
    assert [entry["queries"] for entry in small.runs()] == [QUERIES]  # not those of the lost rows


@pytest.mark.parametrize("content", ["precious\n", "precious", '{"key": "a"}\n', '{"key": 1, "scores": 2'])
def test_a_file_of_something_else_is_no_cache(
    small: Hidden, run: Run, server: JudgingServer, tmp_path: Path, content: str
) -> None:
    cache = tmp_path / "notes.txt"
    cache.write_text(content)
    result = run(small.folder, *ONE_BY_ONE, "--cache", cache)
    if content.startswith('{"key": 1'):  # half a line of its own
        assert result.exit_code == 0
        return
    assert_refused(result, str(cache))
    assert cache.read_text() == content and server.requests == []


def test_a_cache_of_ones_own_serves_other_thresholds(
    small: Hidden, run: Run, server: JudgingServer, tmp_path: Path
) -> None:
    words = ("--cache", tmp_path / "answers.jsonl")
    assert run(small.folder, *words, "--threshold", 1e6).exit_code == 0
    assert run(small.folder, *words, "--threshold", 1).exit_code == 0
    assert len(server.requests) == QUERIES
    assert ".judging" not in small.files()


def test_another_model_is_asked_again(small: Hidden, run: Run, server: JudgingServer) -> None:
    assert run(small.folder, "--threshold", 1e6).exit_code == 0
    assert run(small.folder, "--threshold", 1e6, "--model", "bm26").exit_code == 0
    assert run(small.folder, "--threshold", 1e6, "--top", 9).exit_code == 0
    assert len(server.requests) == 3 * QUERIES


def test_the_cache_is_removed_when_asked(small: Hidden, run: Run) -> None:
    assert run(small.folder, *ONE_BY_ONE, "--remove-cache").exit_code == 0
    assert small.files() == {"dev.tsv", "test.tsv", "train.tsv", "train.judged.json"}


def test_rows_that_came_meanwhile_are_not_lost(small: Hidden, run: Run, server: JudgingServer) -> None:
    small.train.write_text("query-id\tcorpus-id\tscore\n")

    def add(body: object) -> None:
        with small.train.open("a") as file:
            file.write(f"{next(iter(small.truth))}\td1\t1\n")

    server.on_request = add
    assert_refused(run(small.folder, *ONE_BY_ONE), "has changed meanwhile, nothing was written")
    assert small.train.read_text().count("\td1\t1\n") == QUERIES
    assert not small.provenance.exists()


def parquet(path: Path, ids: list[str], texts: list[str] | None) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32)
    columns = {"id": ids, "vector": list(vectors)}
    pq.write_table(pa.table(columns if texts is None else {**columns, "text": texts}), path)


@pytest.mark.parametrize("lacking", ["queries", "corpus"])
def test_a_dataset_without_texts_says_what_to_do(
    tmp_path: Path, run: Run, server: JudgingServer, lacking: str
) -> None:
    for role in ("queries", "corpus"):
        parquet(tmp_path / f"{role}.parquet", ["a", "b", "c"], None if role == lacking else ["x", "y", "z"])
    message = f"{lacking}.parquet: carries no texts, which a judge has to read; add a column 'text'"
    assert_refused(run(tmp_path), message)
    assert server.requests == []


def test_a_dataset_without_queries(tmp_path: Path, run: Run) -> None:
    parquet(tmp_path / "corpus.parquet", ["a", "b", "c"], ["x", "y", "z"])
    assert_refused(run(tmp_path), "has no queries to judge documents for")


def test_what_has_no_text_is_left_out_and_told(tmp_path: Path, run: Run, server: JudgingServer) -> None:
    documents = list(server._rows)[:6]
    parquet(tmp_path / "corpus.parquet", list("abcdefg"), [*documents, ""])
    parquet(tmp_path / "queries.parquet", ["p", "q", "r"], ["gout", "", documents[0][:100]])
    result = run(tmp_path, "--threshold", 0.01)
    assert result.exit_code == 0, result.output
    assert "1 queries stay unjudged: they have no text" in result.stdout
    assert [len(body["documents"]) for body in server.requests] == [6, 6]
    assert set(read_qrels(tmp_path / "qrels" / "train.tsv")) <= {"p", "r"}


def test_a_query_that_is_a_document_is_not_asked_about_itself(
    tmp_path: Path, run: Run, server: JudgingServer
) -> None:
    documents = list(server._rows)[:6]
    parquet(tmp_path / "corpus.parquet", list("abcdef"), documents)
    parquet(tmp_path / "queries.parquet", list("abcdef"), documents)
    assert run(tmp_path, "--threshold", 0.01, "--top", 5).exit_code == 0
    for body in server.requests:
        assert set(body["documents"]) == set(documents) - {body["query"]}
    made = read_qrels(tmp_path / "qrels" / "train.tsv")
    assert made and all(query not in judged for query, judged in made.items())


def test_train_judgements_of_what_is_not_there_are_refused_before_anything_is_asked(
    small: Hidden, run: Run, server: JudgingServer
) -> None:
    rows = "query-id\tcorpus-id\tscore\nnobody\td1\t1\n"
    small.train.write_text(rows)
    for words in ((), ("--threshold", 1)):
        assert_refused(run(small.folder, *words), "line 2: query id 'nobody' of split 'train' is not in")
    assert small.train.read_text() == rows and server.requests == []


def test_queries_without_any_text_are_refused(tmp_path: Path, run: Run) -> None:
    hidden = hide(tmp_path / "demo", 0, 2)
    table = pq.read_table(hidden.folder / "queries.parquet")
    records = table.to_pylist()
    texts = ["" if record["id"] in hidden.truth else record["text"] for record in records]
    place = table.schema.get_field_index("text")
    pq.write_table(table.set_column(place, "text", [texts]), hidden.folder / "queries.parquet")
    assert_refused(run(hidden.folder), "none of 2 unjudged queries has a text")


def test_beirs_json_lines_carry_texts_too(tmp_path: Path, run: Run, server: JudgingServer) -> None:
    documents = list(server._rows)[:12]
    for name, texts in (("corpus", documents), ("queries", ["gout", documents[3][:-20]])):
        records = [{"_id": f"{name[0]}{n}", "title": "", "text": text} for n, text in enumerate(texts)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(1).normal(size=(len(texts), 4)))
    result = run(tmp_path, "--threshold", 0.01, "--top", 12)
    assert result.exit_code == 0, result.output
    assert read_qrels(tmp_path / "qrels" / "train.tsv")["q1"]["c3"] == 1


def test_an_id_that_would_break_a_row_is_refused_before_anything_is_asked(
    tmp_path: Path, run: Run, server: JudgingServer
) -> None:
    parquet(tmp_path / "corpus.parquet", ["a\tb", "c"], list(server._rows)[:2])
    parquet(tmp_path / "queries.parquet", ["q"], ["gout"])
    assert_refused(run(tmp_path), "id 'a\\tb' cannot be written to qrels")
    assert server.requests == []


def test_half_a_surrogate_pair_is_refused_before_anything_is_asked(
    tmp_path: Path, run: Run, server: JudgingServer
) -> None:
    for name in ("corpus", "queries"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"_id": "a", "text": "{name} \\ud800"}}\n')
        np.save(tmp_path / f"{name}.npy", np.ones((1, 4)))
    assert_refused(run(tmp_path), "query 'a', or one of its documents, holds half of a surrogate pair")
    assert server.requests == []


def test_two_runs_do_not_mix_their_answers(small: Hidden, run: Run, tmp_path: Path) -> None:
    cache = tmp_path / "answers.jsonl"
    with FileLock(f"{cache}.lock"):
        assert_refused(run(small.folder, "--cache", cache), "another run is at work there")


def test_a_provenance_of_something_else_is_refused(small: Hidden, run: Run, server: JudgingServer) -> None:
    small.provenance.write_text("[1, 2]")
    assert_refused(run(small.folder), "train.judged.json: is no file of `smec judge`; move it away")
    assert server.requests == []


def test_without_its_library_it_names_the_extra(small: Hidden) -> None:
    program = f"import sys; sys.modules['httpx'] = None; {PROGRAM}"
    words = ["judge", str(small.folder), "--endpoint", "http://127.0.0.1:9", "--model", "m"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert "judging needs httpx, which is not installed: pip install 'smec[embed]'" in done.stderr
