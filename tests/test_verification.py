"""Whether a compressor still computes what it computed, and whether embeddings are those it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from small_compressor import centred, compressor, corpus, embeddings
from smec import verify
from smec.compressor import Compressor
from smec.contents import CANARY_OUTPUTS
from smec.data import Embeddings
from smec.vectors import FloatArray


def renamed(vectors: FloatArray) -> Embeddings:
    return Embeddings([f"new{row}" for row in range(len(vectors))], vectors, name="new.npy")


def test_an_untouched_compressor_and_its_own_data_pass() -> None:
    assert [check.passed for check in verify(compressor())] == [True]
    checks = verify(compressor(), embeddings())
    assert [(check.name, check.passed) for check in checks] == [("canaries", True), ("embedding model", True)]
    assert "3 canary ids found" in checks[1].detail


def test_outputs_of_blocks_with_a_bias_are_checked_with_it() -> None:
    whole = centred()
    assert [check.passed for check in verify(whole, embeddings())] == [True, True]
    without = [replace(block, bias=None) for block in whole.blocks]
    assert not verify(Compressor(without, whole.manifest, whole.tensors))[0].passed


def test_outputs_that_are_no_longer_computed_fail() -> None:
    whole = compressor()
    name = CANARY_OUTPUTS.format(dim=4)
    changed = {**whole.tensors, name: whole.tensors[name] + np.float32(1e-3)}
    (check,) = verify(Compressor([whole.block(8), whole.block(2), whole.block(1)], whole.manifest, changed))
    assert not check.passed
    assert "differ from the stored outputs by at most 1.0e-03" in check.detail


def test_known_ids_with_other_embeddings_fail() -> None:
    assert not verify(compressor(), embeddings(seed=4))[1].passed
    noisy = embeddings().vectors + np.random.default_rng(0).normal(0, 0.005, (60, 16))
    assert verify(compressor(), Embeddings(embeddings().ids, noisy))[1].passed
    assert verify(compressor(), Embeddings(embeddings().ids, corpus().astype(np.float16)))[1].passed


def test_unknown_ids_are_judged_by_their_mean_direction() -> None:
    same = verify(compressor(), renamed(corpus(seed=9)))[1]
    other = verify(compressor(), renamed(np.random.default_rng(1).standard_normal((200, 16))))[1]
    opposite = verify(compressor(), renamed(-corpus()))[1]
    assert (same.passed, other.passed, opposite.passed) == (True, False, False)
    assert "no canary id among the rows" in same.detail


def test_another_width_fails() -> None:
    check = verify(compressor(), renamed(corpus()[:, :12]))[1]
    assert not check.passed
    assert check.detail == "new.npy has 12 dims, the compressor takes 16"
