"""Two-stage search: candidates by a small code, order by a finer one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from smec import Dataset, evaluate
from smec.baselines import fit_baseline
from smec.cli.main import app
from smec.coded import Coded, coded
from smec.demo import demo_dataset, demo_folder
from smec.encoder import Encoder
from smec.errors import ConfigError
from smec.evaluation import exact_search
from smec.evaluation.rescoring import Rescored


@cache
def dataset() -> Dataset:
    return demo_dataset()


@cache
def pca() -> Encoder:
    return fit_baseline("pca", dataset(), (192, 48, 24))


def stored(codec: str, *dims: int) -> Coded:
    return coded(pca(), codec, dataset().corpus.vectors, dims)


def test_candidates_are_put_in_the_order_of_the_finer_code() -> None:
    fine = stored("int8", 192)
    corpus, queries = dataset().corpus.vectors, dataset().judged("test").vectors[:20]
    found = Rescored(stored("binary", 48), fine, 192, oversample=5)
    scores, rows = exact_search(found.encode(corpus), found.encode_queries(queries), 100)
    after, of_rows = found.reorder(corpus, queries, rows, scores, wanted=10)
    # Coded together as there: in another batch a coordinate may round to the next of int8's steps.
    candidates = np.unique(rows[:, :50])
    exact = np.full((20, len(corpus)), np.nan)
    exact[:, candidates] = fine.encode_queries(queries) @ fine.encode(corpus[candidates]).T
    for query in range(20):
        assert set(after[query, :50]) == set(rows[query, :50])
        np.testing.assert_allclose(of_rows[query, :50], exact[query, after[query, :50]], atol=1e-5)
        assert np.array_equal(after[query, 50:], rows[query, 50:])
    assert (np.diff(of_rows, axis=1) <= 0).all()


def test_all_candidates_give_the_finer_search() -> None:
    fine = stored("float32", 192)
    whole = Rescored(stored("binary", 24), fine, 192, oversample=len(dataset().corpus))
    alone, both = (evaluate(dataset(), [encoder]).results[0].metrics["nDCG@10"] for encoder in (fine, whole))
    assert both == pytest.approx(alone, abs=5e-3)  # but for documents that are no candidate at depth 1000


def test_rescoring_repairs_most_of_what_bits_lose() -> None:
    coarse = stored("binary", 48)
    found = Rescored(coarse, stored("float32", 192), 192, oversample=10)
    once, twice = (evaluate(dataset(), [encoder]).results[0] for encoder in (coarse, found))
    assert twice.metrics["nDCG@10"] > once.metrics["nDCG@10"] + 0.1
    assert (once.bytes, twice.bytes, once.rescored) == (6, 6, None)
    assert twice.rescored is not None
    assert (twice.rescored.dim, twice.rescored.bytes, twice.rescored.oversample) == (192, 768, 10)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="no code is smaller than 24 dims as binary"):
        Rescored(stored("float32", 192), stored("binary", 24), 24, 10)
    with pytest.raises(ConfigError, match="oversample: must be 1 or more, got 0"):
        Rescored(stored("binary", 48), stored("float32", 192), 192, 0)
    with pytest.raises(ConfigError, match="size 96 is not served"):
        Rescored(stored("binary", 48), stored("float32", 192), 96, 10)


def test_the_command_line(tmp_path: Path) -> None:
    with demo_folder() as folder:
        base = ["evaluate", str(folder), "--baselines", "pca", "--dims", "48", "--codec", "binary"]

        def run(*options: str) -> tuple[int, str, str]:
            found = CliRunner().invoke(app, [*base, *options])
            return found.exit_code, found.stdout, found.stderr

        exit_code, out, _ = run("--rescore", "192:int8", "--oversample", "4")
        assert exit_code == 0 and "pca, binary, 4x rescored by 192 int8" in out
        _, out, _ = run("--rescore", "192", "--json")
        plain, rescored = json.loads(out)["results"]
        assert plain["rescored"] is None and plain["dim"] == rescored["dim"] == 48
        assert rescored["rescored"] == {"dim": 192, "codec": "float32", "bytes": 768, "oversample": 10}
        for text, message in (
            ("192,96:int8", "is not one size and codec; write it as 384:int8"),
            ("24:binary", "no code is smaller than 24 dims as binary, 3 bytes"),
            ("192:int3", "codec 'int3' is unknown"),
        ):
            exit_code, out, error = run("--rescore", text)
            assert (exit_code, out) == (2, "") and message in error and error.count("\n") == 1
