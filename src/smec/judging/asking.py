"""Ask what is not answered yet: several questions at once, each answer kept as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from smec.endpoint.client import EndpointClient, used_tokens
from smec.errors import EndpointError
from smec.judging.answers import Answer, Answers
from smec.judging.chat import UnusableAnswer
from smec.judging.kinds import Kind
from smec.judging.questions import Question

FEWEST_UNUSABLE = 5
"""Unusable answers that are passed over in any case; more of them than usable ones end the run."""


@dataclass(frozen=True)
class Judge:
    """A model behind an endpoint.

    Parameters
    ----------
    client : EndpointClient
    kind : Kind
    kind_name : str
    model : str
    """

    client: EndpointClient
    kind: Kind
    kind_name: str
    model: str

    @property
    def identity(self) -> str:
        """Name of all that decides an answer beside the question."""
        return repr((self.kind_name, self.client.where, self.model, self.kind.prompt))

    def ask(self, question: Question) -> Answer:
        """One request, sent again where that may help.

        Raises
        ------
        EndpointError
            The endpoint cannot be reached, refuses, keeps failing, or answers with what cannot be used.
        """
        reply = self.client.post(self.kind.path, self.kind.body(self.model, question.text, question.texts))
        return Answer(tuple(self.kind.scores(reply, len(question.texts))), used_tokens(reply))


class Asking:
    """Brings the answers to questions into a file of answers.

    Parameters
    ----------
    judge : Judge
    answers : Answers
    concurrency : int
        Requests at once.
    progress : callable, optional
        Called with nothing after each answer.
    """

    def __init__(
        self, judge: Judge, answers: Answers, concurrency: int, progress: Callable[[], None] | None = None
    ) -> None:
        self._judge = judge
        self._answers = answers
        self._concurrency = concurrency
        self._progress = progress
        self._answered = 0
        self.unusable = 0
        """Answers that could not be used; their questions stay open."""

    def ask(self, questions: Sequence[Question]) -> None:
        """Ask all questions that have no answer; where one fails, those at work are waited for and kept.

        Raises
        ------
        EndpointError
            The endpoint fails, or too many of its answers cannot be used; names the query.
        """
        working: dict[Future[Answer], Question] = {}
        with ThreadPoolExecutor(self._concurrency) as pool:
            try:
                for question in questions:
                    if question.key(self._judge.identity) in self._answers:
                        continue
                    if len(working) >= self._concurrency:
                        self._take(working)
                    working[pool.submit(self._judge.ask, question)] = question
                while working:
                    self._take(working)
            except KeyboardInterrupt:
                self._judge.client.close()
                raise
            except EndpointError:
                self._rescue(working)
                raise

    def _take(self, working: dict[Future[Answer], Question]) -> None:
        """Keep what at least one of the requests at work has brought."""
        done, _ = wait(working, return_when=FIRST_COMPLETED)
        failure: EndpointError | None = None
        for future in done:
            try:
                self._keep(future, working.pop(future))
            except EndpointError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _rescue(self, working: dict[Future[Answer], Question]) -> None:
        """Keep what the others bring: it has been paid for."""
        while working:
            try:
                self._take(working)
            except EndpointError:
                continue  # the first failure is the one to tell

    def _keep(self, future: Future[Answer], question: Question) -> None:
        try:
            answer = future.result()
        except UnusableAnswer as error:
            self.unusable += 1
            if self.unusable > max(FEWEST_UNUSABLE, self._answered):
                raise EndpointError(
                    f"{self._said(error, question)}; {self.unusable} of "
                    f"{self.unusable + self._answered} answers could not be used, try another model"
                ) from error
        except EndpointError as error:
            raise EndpointError(self._said(error, question)) from error
        else:
            self._answers.add(question.key(self._judge.identity), question, answer)
            self._answered += 1
        if self._progress is not None:
            self._progress()

    def _said(self, error: EndpointError, question: Question) -> str:
        where = self._judge.client.where
        said = str(error)
        return f"{said if said.startswith(where) else f'{where}: {said}'}; the query: {question.query!r}"
