"""What ``import smec`` offers and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import smec
from smec import errors

HEAVY = ("torch", "scipy", "pandas", "pydantic", "pyarrow", "safetensors", "ir_measures", "sklearn", "numpy")


def printed(code: str) -> str:
    return subprocess.check_output([sys.executable, "-W", "error", "-c", code], text=True).strip()


def test_every_public_name_exists_and_is_documented() -> None:
    for name in smec.__all__:
        assert getattr(smec, name).__doc__, name
        assert name in dir(smec)
    with pytest.raises(AttributeError, match="'Compresor'"):
        smec.Compresor  # noqa: B018


def test_importing_smec_imports_nothing_heavy() -> None:
    assert printed(f"import sys, smec; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_the_programs_help_needs_nothing_heavy() -> None:
    heavy = [name for name in HEAVY]
    assert printed(f"import sys, smec.cli.main; print([m for m in {heavy} if m in sys.modules])") == "[]"


@pytest.mark.parametrize("name", ["train", "extend", "adapt"])
def test_training_without_torch_says_what_to_install(name: str) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import smec\n"
        f"try: smec.{name}\n"
        "except smec.SmecError as error: print(error)"
    )
    assert printed(code) == "training needs torch, which is not installed: pip install 'smec[train]'"


def test_every_error_is_a_smec_error_with_an_exit_code() -> None:
    types = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in types if issubclass(kind, smec.SmecError)]
    assert kinds == types
    assert {kind.__name__: kind.exit_code for kind in kinds if kind.exit_code != 2} == {
        "GateError": 3,
        "IncompleteError": 4,
    }
    assert issubclass(errors.MissingExtraError, ImportError)
