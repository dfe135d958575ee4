"""``smec embed --sentences``: which sentences are drawn, and how they come into the dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from typer.testing import CliRunner, Result

from integrations.encoders.embedding_server import EmbeddingServer
from smec.cli.main import app
from smec.data import Dataset
from smec.embedding.sentences import with_sentences
from smec.embedding.source import TextSource
from smec.errors import DataError

GOUT = "Gout is a disease of the joints. Uric acid forms crystals in them. It hurts."


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["embed", *map(str, words)])


def folder_of(path: Path, documents: list[dict[str, Any]], queries: tuple[str, ...] = ()) -> Path:
    path.mkdir()
    lines = [json.dumps({"_id": f"d{row}", **record}) for row, record in enumerate(documents)]
    (path / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    if queries:
        lines = [json.dumps({"_id": f"q{row}", "text": text}) for row, text in enumerate(queries)]
        (path / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return path


def drawn(path: Path, documents: list[dict[str, Any]], *queries: str, count: int = 100) -> dict[str, str]:
    source = with_sentences(TextSource.open(folder_of(path, documents, queries)), count)
    return {text.id: text.text for text in source.sentences}


def test_sentences_come_behind_the_queries_in_a_split_of_their_own(
    texts: Path, server: EmbeddingServer, model: SentenceTransformer
) -> None:
    output = texts.parent / "dataset"
    words = ["minilm", texts, "-o", output, "--endpoint", server.url, "--yes", "--batch-size", 8]
    ahead = run(*words, "--sentences", 20, "--dry-run")
    assert "20 sentences\n72 texts; to embed: " in ahead.stdout
    assert "10 requests" in ahead.stdout  # 40 documents, 12 queries, 20 sentences
    result = run(*words, "--sentences", 20)
    assert result.exit_code == 0, result.output
    assert "(72 texts, 384 dims" in result.stdout and len(server.requests) == 10
    made = Dataset.open(output)
    assert made.queries is not None and made.queries.texts is not None
    assert made.splits == ("test",)
    sentences = made.sentences()
    assert sentences is not None and list(sentences.ids) == made.queries.ids[12:]
    corpus = dict(zip(made.corpus.ids, made.corpus.texts or (), strict=True))
    for id_, text in zip(made.queries.ids[12:], made.queries.texts[12:], strict=True):
        document = id_.removeprefix("sentence:")
        assert sentences.qrels[id_] == {document: 1}
        assert text in " ".join(corpus[document].split())
    expected = model.encode(list(made.queries.texts[12:]))
    np.testing.assert_allclose(sentences.vectors, expected, atol=1e-5)


def test_after_a_failure_nothing_is_embedded_twice(texts: Path, server: EmbeddingServer) -> None:
    words = ["minilm", texts, "-o", texts.parent / "dataset", "--endpoint", server.url, "--yes"]
    words += ["--batch-size", 8, "--concurrency", 1, "--sentences", 20]
    server.faults += [*[""] * 8, "400"]
    failed = run(*words)
    assert failed.exit_code == 2
    assert f"sentences of {texts / 'corpus.jsonl'}, lines " in failed.stderr
    assert run(*words).exit_code == 0
    assert len(server.answered) == len(set(server.answered)) == 72


def test_prompts_of_queries_are_those_of_sentences(texts: Path, server: EmbeddingServer) -> None:
    words = ["minilm", texts, "-o", texts.parent / "dataset", "--endpoint", server.url, "--yes"]
    assert run(*words, "--sentences", 3, "--query-prompt", "query: ").exit_code == 0
    assert sum(text.startswith("query: ") for text in server.answered) == 15


def test_more_than_there_are_and_none(texts: Path, server: EmbeddingServer) -> None:
    words = ["minilm", texts, "-o", texts.parent / "dataset", "--endpoint", server.url, "--dry-run"]
    many = run(*words, "--sentences", 1000).stdout
    assert "of 1,000 that were asked for: no other document has one to draw" in many
    assert 0 < int(many.split()[0]) <= 40
    assert run(*words, "--sentences", 0).stdout == run(*words).stdout
    assert run(*words, "--sentences", -1).exit_code == 2


def test_what_is_no_sentence_is_not_drawn(tmp_path: Path) -> None:
    found = drawn(
        tmp_path / "texts",
        [
            {"text": "SYMPTOMS OF GOUT AND ITS CAUSES\n\nIt hurts. Pain comes at night and in the morning."},
            {"text": "Too short. Also short. Ok."},
            {"text": "This document is a single sentence and so finds itself."},
            {"text": "", "title": "A title that is all there is to read"},
            {"text": "Row one, row two, row three, row four:\n\nno end of a sentence in this text"},
            {"text": "word " * 100 + ". Short."},
            {"text": "https://example.org/a-very-long-address-of-a-page/that-has-no-words. Short."},
        ],
    )
    assert found == {"sentence:d0": "Pain comes at night and in the morning."}


def test_titles_are_drawn_of_about_half_of_the_documents(tmp_path: Path) -> None:
    documents = [
        {"title": f"The many causes of gout, part {n}", "text": f"{GOUT} It was case {n} of them all."}
        for n in range(200)
    ]
    found = drawn(tmp_path / "texts", documents)
    titles = sum(text.startswith("The many causes") for text in found.values())
    assert len(found) == 100 and 30 < titles < 70


def test_queries_and_repeated_sentences_are_not_drawn(tmp_path: Path) -> None:
    """A test query must not be learned from by another name; what two texts say belongs to neither."""
    found = drawn(
        tmp_path / "texts",
        [
            {"text": "Does gout hurt in the morning, too? Short one."},
            {"text": "All rights reserved by the publisher here. Short one."},
            {"text": "All rights reserved by the publisher here. Another short."},
        ],
        "does gout hurt in the MORNING too",
    )
    assert list(found) == ["sentence:d1"]


def test_sentences_of_scripts_without_spaces(tmp_path: Path) -> None:
    found = drawn(
        tmp_path / "texts", [{"text": "痛风是一种很常见的关节疾病。好的。"}, {"text": "好的。是的。"}]
    )
    assert found == {"sentence:d0": "痛风是一种很常见的关节疾病。"}


def test_the_same_documents_in_another_order_and_with_more_of_them(tmp_path: Path) -> None:
    """What is drawn follows from ids, so that a grown corpus finds most of its vectors in the cache."""
    documents = [
        {"_id": f"n{n}", "text": f"Case {n} had gout in both feet. It began in {n} and went on."}
        for n in range(60)
    ]
    some = drawn(tmp_path / "some", documents, count=20)
    assert drawn(tmp_path / "turned", documents[::-1], count=20) == some
    more = [*documents, {"_id": "more", "text": "A further case had gout in one foot. It began late."}]
    grown = drawn(tmp_path / "grown", more, count=20)
    assert len(some) == 20 and len(some.items() & grown.items()) >= 19


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "texts", [{"text": GOUT}], ("gout",))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "sentence:d0", "text": "gout"}))
    with pytest.raises(
        DataError, match=r"queries.jsonl: line 1: the id 'sentence:d0' is as those of sentences"
    ):
        with_sentences(TextSource.open(folder), 5)
    (folder / "queries.jsonl").unlink()
    (folder / "qrels").mkdir()
    (folder / "qrels" / "sentences.tsv").write_text("query-id\tcorpus-id\tscore\nq\td0\t1\n")
    with pytest.raises(DataError, match="has a split 'sentences' already"):
        with_sentences(TextSource.open(folder), 5)
