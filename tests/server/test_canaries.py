"""``smec canaries``: texts beside the canaries' vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from server.proxies import compressor
from server.recorded_upstream import recorded
from smec.calibration import calibrate
from smec.canaries import with_canary_texts
from smec.cli.main import app
from smec.compressor import Compressor
from smec.contents import CANARY_INPUTS
from smec.data import Dataset
from smec.demo import demo_dataset, demo_folder
from smec.errors import DataError
from smec.verification import verify


def test_queries_become_canaries_with_their_texts(tmp_path: Path) -> None:
    compressor().save(tmp_path / "model")
    with demo_folder() as folder:
        arguments = [str(tmp_path / "model"), str(folder), "-o", str(tmp_path / "watched"), "--queries"]
        done = CliRunner().invoke(app, ["canaries", *arguments])
    assert done.exit_code == 0, done.output
    assert "with 16 canary texts" in done.output
    made = Compressor.load(tmp_path / "watched")
    vectors = np.array([recorded()[text] for text in made.manifest.canary_texts])
    np.testing.assert_allclose(made.tensors[CANARY_INPUTS], vectors, atol=1e-6)
    assert all(check.passed for check in verify(made))
    rows = demo_dataset().corpus.vectors[:50]
    np.testing.assert_array_equal(made.encode(rows, 48), compressor().encode(rows, 48))


def test_documents_that_are_canaries_stay_canaries_and_codecs_stay_calibrated() -> None:
    dataset = demo_dataset()
    coded = calibrate(compressor(), dataset.corpus.vectors, ["binary"])
    made = with_canary_texts(coded, dataset)
    assert set(compressor().manifest.canary_ids) < set(made.manifest.canary_ids)
    assert made.codecs == coded.codecs
    assert with_canary_texts(made, dataset).manifest.canary_texts == made.manifest.canary_texts


def test_an_artefact_from_before_has_no_canary_texts(tmp_path: Path) -> None:
    compressor().save(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"canary_texts": [],', ""))
    assert Compressor.load(tmp_path / "model").manifest.canary_texts == ()


def test_vectors_without_texts_are_refused() -> None:
    bare = Dataset(np.ones((5, 384), dtype=np.float32), name="bare")
    with pytest.raises(DataError, match="corpus: has no texts to take canaries from"):
        with_canary_texts(compressor(), bare)
    with pytest.raises(DataError, match="bare: has no queries"):
        with_canary_texts(compressor(), bare, queries=True)
