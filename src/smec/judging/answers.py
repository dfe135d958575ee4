"""Answers that came already, one a line of a file: what a killed run does not have to ask again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from smec.errors import OutputError
from smec.judging.questions import Question

BEGINNING = b'{"key": '
"""First bytes of every line; a killed run may have left fewer."""


@dataclass(frozen=True)
class Answer:
    """The scores of a question's documents, in their order.

    Parameters
    ----------
    scores : tuple of k float
    tokens : int
        Tokens that the endpoint says it used, 0 where it does not say.
    """

    scores: tuple[float, ...]
    tokens: int


class Answers:
    """Answers by the key of their question.

    Parameters
    ----------
    known : dict
        Key -> answer.
    file : file, optional
        Where new ones are written to.
    """

    def __init__(self, known: dict[str, Answer], file: IO[str] | None = None) -> None:
        self._known = known
        self._file = file

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def get(self, key: str) -> Answer | None:
        """The answer of this key, if it came."""
        return self._known.get(key)

    def add(self, key: str, question: Question, answer: Answer) -> None:
        """Keep an answer; once this returns, a killed process does not lose it."""
        self._known[key] = answer
        if self._file is not None:
            line = {"key": key, "query": question.query, "scores": answer.scores, "tokens": answer.tokens}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def read_answers(path: Path) -> Answers:
    """Read the answers in a file, none where there is no file; nothing is made or written.

    Raises
    ------
    OutputError
        The file cannot be read, or is none of answers.
    """
    return Answers(_read(path)[0])


@contextmanager
def open_answers(path: Path) -> Iterator[Answers]:
    """Open a file of answers, made where there is none, for this process alone.

    Raises
    ------
    OutputError
        Another process has it open, it is none of answers, or the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock(path), timeout=0):
            known, size = _read(path)
            with path.open("a", encoding="utf-8") as file:
                file.truncate(size)  # half a line of a killed run
                yield Answers(known, file)
    except Timeout as error:
        raise OutputError(f"{path}: another run is at work there; wait for it, or stop it") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def remove_answers(path: Path) -> None:
    """Delete a file of answers, and its folder if nothing else is in it."""
    path.unlink(missing_ok=True)
    _lock(path).unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _read(path: Path) -> tuple[dict[str, Answer], int]:
    """The answers, and the bytes of all whole lines."""
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if content[: len(BEGINNING)] != BEGINNING[: len(content)]:
        raise OutputError(f"{path}: is no file of answers; name another with --cache")
    whole = content[: content.rfind(b"\n") + 1]
    known: dict[str, Answer] = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            record = json.loads(line)
            known[record["key"]] = Answer(tuple(map(float, record["scores"])), int(record["tokens"]))
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{path}: line {number} is no answer of a judge; delete the file, or name another by --cache"
            ) from error
    return known, len(whole)
