"""nDCG of the checks of a training, beside ir-measures."""

from __future__ import annotations

import numpy as np
import pytest

from smec.evaluation.metrics import per_query
from smec.evaluation.ndcg import Ndcg


@pytest.mark.parametrize("documents", [4, 30])
def test_rankings_score_as_ir_measures_scores_them(documents: int) -> None:
    rng = np.random.default_rng(documents)
    grades = [
        {int(row): int(rng.integers(-1, 4)) for row in rng.choice(documents, 4, replace=False)} | {0: 2}
        for _ in range(40)
    ]
    found = np.stack([rng.permutation(documents)[:10] for _ in grades])
    qrels = {f"q{n}": {f"d{row}": grade for row, grade in of.items()} for n, of in enumerate(grades)}
    run = {f"q{n}": {f"d{row}": -float(place) for place, row in enumerate(of)} for n, of in enumerate(found)}
    expected = per_query(qrels, run, ["nDCG@10"])["nDCG@10"]
    np.testing.assert_allclose(Ndcg(grades)(found), expected, atol=1e-12)
    some = np.array([7, 3, 31])
    np.testing.assert_allclose(Ndcg(grades)(found[some], some), expected[some], atol=1e-12)
