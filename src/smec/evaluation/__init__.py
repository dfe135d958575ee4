"""Exact search, the field's measures with their uncertainty, and the comparison of encoders."""

from smec.evaluation.comparison import evaluate
from smec.evaluation.intervals import bootstrap_interval, paired_p_value, ratio_interval
from smec.evaluation.metrics import Scorer, per_query
from smec.evaluation.neighbours import neighbour_overlap
from smec.evaluation.novelty import NewAndSeen, new_and_seen
from smec.evaluation.results import Evaluation, GroupScore, Result
from smec.evaluation.search import exact_search, trec_tie_order

__all__ = [
    "Evaluation",
    "GroupScore",
    "NewAndSeen",
    "Result",
    "Scorer",
    "bootstrap_interval",
    "evaluate",
    "exact_search",
    "neighbour_overlap",
    "new_and_seen",
    "paired_p_value",
    "per_query",
    "ratio_interval",
    "trec_tie_order",
]
