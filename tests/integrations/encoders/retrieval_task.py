"""An MTEB retrieval task on data of this machine: questions of the demo and their answers."""

from __future__ import annotations

from typing import Any

from datasets import Dataset as Table
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata

from smec.data import Dataset


class DemoRetrieval(AbsTaskRetrieval):
    """The first ``QUERIES`` test questions, searched among their answers and ``OTHERS`` more."""

    QUERIES, OTHERS = 40, 160

    metadata = TaskMetadata(
        name="SmecDemoRetrieval",
        description="A part of the sample of MedQuAD that comes with smec.",
        reference=None,
        dataset={"path": "smec/demo", "revision": "1"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=None,
        domains=["Medical"],
        task_subtypes=[],
        license="cc-by-4.0",
        annotations_creators="derived",
        dialect=[],
        sample_creation="found",
        bibtex_citation="",
    )

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        assert data.queries is not None
        judged = data.judged("test")
        queries = judged.ids[: self.QUERIES]
        qrels = {query: dict(judged.qrels[query]) for query in queries}
        ids = list(dict.fromkeys([*(d for q in qrels.values() for d in q), *data.corpus.ids]))
        ids = ids[: self.QUERIES + self.OTHERS]
        self.dataset = {
            "default": {
                "test": RetrievalSplitData(
                    corpus=Table.from_list([_row(data.corpus, id_) for id_ in ids]),
                    queries=Table.from_list([_row(data.queries, id_) for id_ in queries]),
                    relevant_docs=qrels,
                    top_ranked=None,
                )
            }
        }
        self.data_loaded = True

    def load_data(self, **_: Any) -> None:
        """Nothing: it is loaded."""


def _row(embeddings: Any, id_: str) -> dict[str, str]:
    return {"id": id_, "text": embeddings.texts[embeddings.row(id_)], "title": ""}
