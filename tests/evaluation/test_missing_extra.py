"""Without the eval extra: imports work, and a use says what to install."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from smec.errors import MissingExtraError
from smec.evaluation import bootstrap_interval, paired_p_value, per_query


def test_importing_the_evaluation_loads_nothing_of_the_extra() -> None:
    code = (
        "import sys, smec.evaluation, smec.baselines\n"
        "print([m for m in ('scipy', 'ir_measures', 'pytrec_eval', 'torch', 'pandas') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_measures_without_ir_measures_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(MissingExtraError, match=r"evaluation needs ir_measures.*smec\[eval\]"):
        per_query({"q": {"a": 1}}, {}, ["AP"])


def test_statistics_without_scipy_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    values = np.array([0.1, 0.2, 0.3])
    with pytest.raises(MissingExtraError, match=r"evaluation needs scipy.*smec\[eval\]"):
        bootstrap_interval(values)
    with pytest.raises(MissingExtraError, match=r"smec\[eval\]"):
        paired_p_value(values, np.zeros(3))
