"""Sentences of the documents as further queries: each is a pair of its own with its document."""

from __future__ import annotations

import hashlib
import heapq
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sentencex import segment

from smec.data.folder import SENTENCES
from smec.embedding.source import SENTENCE, Text, TextSource
from smec.errors import DataError

FEWEST_WORDS, FEWEST_CHARACTERS, MOST_CHARACTERS = 5, 20, 400
FEWEST_WIDE = 10
"""Characters of a sentence in a script that writes words without spaces between them (Chinese, Japanese)."""

ABBREVIATIONS = "en"
"""Language whose abbreviations end no sentence. Every language's own full stops, 。 among them, end one."""


def with_sentences(source: TextSource, count: int) -> TextSource:
    """Draw one sentence or the title of each of ``count`` documents.

    Which documents and sentences follows from the ids alone: a corpus that grows keeps most of them, so that
    a cache of vectors serves again. Of a document with a title, one in two gives that. Left out are texts of
    less than five words, very long ones, headings, what stands in another drawn document too, and what is
    a query already. The corpus is read once; memory is that of ``count`` sentences and a hash per query.

    Parameters
    ----------
    source : TextSource
    count : int
        More than there are documents with a sentence to draw: all of these.

    Raises
    ------
    DataError
        A text or its id cannot be used; the folder has a split or queries of that name already.
    """
    if any(file.stem == SENTENCES for file in source.qrels):
        raise DataError(
            f"{source.corpus.parent}: has a split {SENTENCES!r} already; remove it, or leave --sentences out"
        )
    taken = _queries(source)
    # Kept are the documents of the smallest keys, the largest of them in front.
    kept: list[tuple[int, int, Text]] = []
    for document in source.texts("document"):
        key = _key(document.id)
        if (len(kept) == count and key >= -kept[0][0]) or _breaks_qrels(document.id):
            continue
        drawn = next((text for text in _in_turn(document, key) if _normal(text) not in taken), None)
        if drawn is None:
            continue
        taken.add(_normal(drawn))
        made = Text(f"{SENTENCE}{document.id}", drawn, "", document.line)
        if len(kept) < count:
            heapq.heappush(kept, (-key, document.line, made))
        else:
            *_, dropped = heapq.heapreplace(kept, (-key, document.line, made))
            taken.discard(_normal(dropped.text))
    in_order = sorted((text for _, _, text in kept), key=lambda text: text.line)
    return replace(source, sentences=tuple(in_order))


def _key(id_: str) -> int:
    return int.from_bytes(hashlib.sha256(id_.encode()).digest()[:8], "big")


def _breaks_qrels(id_: str) -> bool:
    return any(character in id_ for character in "\t\r\n")


def _queries(source: TextSource) -> set[bytes]:
    """The queries, as `_normal` makes them."""
    found = set()
    for query in source.texts("query"):
        if query.id.startswith(SENTENCE):
            raise DataError(
                f"{source.queries}: line {query.line}: the id {query.id!r} is as those of sentences; "
                "rename it, or leave --sentences out"
            )
        found.add(_normal(query.whole))
    return found


def _normal(text: str) -> bytes:
    """Hash of a text without case, spaces and punctuation: what is the same to a reader."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return hashlib.sha256(letters.encode()).digest()[:16]


def _in_turn(document: Text, key: int) -> Iterator[str]:
    """Title and sentences of a document that may be drawn, in random order."""
    rng = np.random.default_rng(key)
    whole = _normal(document.whole)
    titles = [document.title.strip()] if _is_long_enough(document.title) else []
    sentences = [_spaced(sentence) for sentence in segment(ABBREVIATIONS, document.text)]
    usable = [one for one in sentences if _is_long_enough(one) and _ends(one)]
    drawn = [usable[place] for place in rng.permutation(len(usable))]
    in_turn = titles + drawn if rng.random() < 0.5 else drawn + titles
    # A text of one sentence would find itself.
    return (text for text in in_turn if _normal(text) != whole)


def _spaced(sentence: str) -> str:
    return " ".join(sentence.split())


def _is_long_enough(text: str) -> bool:
    if len(text) > MOST_CHARACTERS:
        return False
    if len(text) >= FEWEST_CHARACTERS and len(text.split()) >= FEWEST_WORDS:
        return True
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return wide >= FEWEST_WIDE


def _ends(sentence: str) -> bool:
    """Whether it ends as a sentence: headings and rows of tables do not."""
    return bool(sentence) and unicodedata.category(sentence[-1]).startswith("P") and sentence[-1] not in ":,;"
