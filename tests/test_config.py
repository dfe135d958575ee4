"""One validated configuration: presets, files over them, arguments over those, faults in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smec import TrainConfig
from smec.config import build_config, candidate_config, overlay, parsed
from smec.errors import ConfigError
from smec.presets import CANDIDATES


def written(folder: Path, document: object) -> Path:
    (folder / "config.json").write_text(json.dumps(document), "utf-8")
    return folder / "config.json"


def test_the_default_preset_compares_trainings_of_all_sizes_at_once() -> None:
    config = build_config()
    assert config == build_config("default", dims=None, seed=None)
    assert (config.preset, config.schedule, config.memory.loss) == ("default", "joint", "none")
    assert config.candidates == ("unlabelled", "distilled", "tempered", "trained")


def test_the_paper_preset_is_the_published_method() -> None:
    paper = build_config("paper")
    assert (paper.preset, paper.start, paper.layers, paper.selection) == ("paper", "identity", "fresh", "ads")
    assert (paper.rank.loss, paper.memory.loss) == ("pairwise", "absolute")


def test_a_file_overlays_the_preset_and_arguments_overlay_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, {"seed": 3, "dims": [8, 4], "memory": {"size": 64}, "optimiser": {"steps": 7}})
    config = build_config("paper", file=file, seed=9)
    assert (config.seed, config.dims, config.optimiser.steps) == (9, (8, 4), 7)
    assert (config.memory.size, config.memory.loss, config.memory.weight) == (64, "absolute", 1.0)


def test_a_config_survives_its_json() -> None:
    config = build_config("paper", dims=(8, 4), supervised=False)
    assert parsed(TrainConfig, json.loads(config.model_dump_json()), "manifest") == config


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"optimizer": {"steps": 5}}, "configuration: optimizer: Extra inputs"),
        ({"optimiser": {"steps": 0}}, "configuration: optimiser.steps: Input should be greater"),
        ({"memory": {"loss": "l2"}}, "configuration: memory.loss: Input should be"),
        ({"schedule": "joint", "selection": "ads"}, "configuration: as a whole: .*'joint'"),
        ({"supervised": False, "distillation": {"weight": 0.0}}, "without labels there is nothing to learn"),
        ({"supervised": False, "schedule": "sequential"}, "without labels there is nothing to learn"),
        (
            {"candidates": ["distilled", "best"]},
            "candidate 'best' is unknown; there are unlabelled, distilled",
        ),
        ({"supervised": False, "candidates": ["distilled"]}, "without labels there are none"),
        ({"layers": "fresh", "schedule": "sequential"}, "candidates train one nested matrix: no 'ads'"),
        ({"corpus": "shrinking"}, "configuration: corpus: Input should be 'growing' or 'fixed'"),
        ({"optimiser": {"learning_rate": True}}, "optimiser.learning_rate: Input should be a valid number"),
        ({"rank": {"weight": "3"}}, "rank.weight: Input should be a valid number"),
        ({"rank": {"weight": float("inf")}}, "rank.weight: Input should be a finite number"),
        ({"dims": [True]}, "dims.0: Input should be a valid integer"),
        ([1], "must be a JSON object"),
    ],
)
def test_faults_are_named_in_one_line(tmp_path: Path, document: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_config(file=written(tmp_path, document))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("corpus", ["growing", "fixed"])
def test_a_corpus_is_growing_or_fixed(corpus: str, tmp_path: Path) -> None:
    assert build_config(file=written(tmp_path, {"corpus": corpus})).corpus == corpus
    assert build_config(file=written(tmp_path, {"corpus": "fixed"}), corpus=corpus).corpus == corpus
    assert build_config().corpus == "growing"


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_replaces_its_own_settings_alone(name: str) -> None:
    config = build_config(dims=(8, 4), seed=3, codec="int8", distillation={"passes": 7.0})
    candidate = candidate_config(config, name)
    assert candidate.candidates == ()
    assert (candidate.dims, candidate.seed, candidate.codec) == ((8, 4), 3, "int8")
    assert candidate.distillation.passes == 7
    document = candidate.model_dump()
    assert overlay(document, CANDIDATES[name]) == document


@pytest.mark.parametrize("name", CANDIDATES)
def test_what_a_user_sets_is_kept_by_every_candidate(name: str, tmp_path: Path) -> None:
    file = written(tmp_path, {"rank": {"weight": 0.7}, "dims": [8, 4], "validation": {"gate": False}})
    config = build_config(file=file, optimiser={"learning_rate": 5e-4, "batch": 9})
    assert config.own == {"rank": {"weight": 0.7}, "optimiser": {"learning_rate": 5e-4}}
    candidate = candidate_config(config, name)
    assert (candidate.rank.weight, candidate.optimiser.learning_rate) == (0.7, 5e-4)
    assert (candidate.optimiser.batch, candidate.validation.gate) == (9, False)
    untouched = overlay(CANDIDATES[name], config.own)
    assert overlay(candidate.model_dump(), untouched) == candidate.model_dump()
    assert parsed(TrainConfig, json.loads(config.model_dump_json()), "manifest") == config


def test_without_labels_nothing_is_compared() -> None:
    assert build_config(supervised=False).candidates == build_config("paper").candidates == ()


def test_a_configuration_of_before_there_were_candidates_is_read() -> None:
    old = json.loads(TrainConfig(dims=(8, 4), seed=3).model_dump_json())
    for name in ("candidates", "corpus"):
        del old[name]
    del old["rank"]["weight"], old["distillation"]["tempering"], old["optimiser"]["hard_negatives"]
    config = parsed(TrainConfig, old, "the compressor's configuration")
    assert (config.dims, config.seed, config.schedule) == ((8, 4), 3, "distilled")
    assert (config.candidates, config.corpus) == ((), "growing")


def test_unreadable_files_and_unknown_presets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file"):
        build_config(file=tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"seed": ')
    with pytest.raises(ConfigError, match=r"cut\.json: not a JSON file"):
        build_config(file=tmp_path / "cut.json")
    with pytest.raises(ConfigError, match="preset 'fast' is unknown; there are default, paper"):
        build_config("fast")


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrainConfig().seed = 4  # type: ignore[misc]


def test_numbers_of_numpy_are_numbers() -> None:
    config = build_config(dims=tuple(np.array([4, 2])), seed=np.int64(3), target=np.float32(0.5))
    assert (config.dims, config.seed, config.target) == ((4, 2), 3, 0.5)
    assert json.loads(config.model_dump_json())["dims"] == [4, 2]


def test_a_single_value_where_a_list_belongs_is_told_in_words_of_json() -> None:
    with pytest.raises(ConfigError, match="candidates: Input should be a list"):
        build_config(candidates="distilled")
