"""What ``import smec`` offers and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import smec
from small_compressor import WIDTH, compressor
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
    code = (
        "import sys\n"
        "from smec.cli.main import main\n"
        "sys.argv = ['smec', '--help']\n"
        "try: main()\n"
        f"finally: print([m for m in {(*HEAVY, 'rich')} if m in sys.modules])"
    )
    *lines, imported = printed(code).splitlines()
    assert "  compress   Compress embeddings of any number into a file, or into a..." in lines
    assert imported == "[]"


def test_a_command_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys\n"
        "from smec.cli.main import COMMANDS, main\n"
        "sys.argv = ['smec', 'compress', '--help']\n"
        "try: main()\n"
        "finally: print([name for name in COMMANDS if f'smec.cli.{name}' in sys.modules])"
    )
    assert printed(code).splitlines()[-1] == "['compress']"


def test_a_misspelt_command_is_told_the_nearest() -> None:
    program = [sys.executable, "-W", "error", "-m", "smec", "compres"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 2
    assert "No such command 'compres'. Did you mean 'compress'?" in done.stderr


def test_a_compressor_needs_pydantic_only_to_be_loaded() -> None:
    beside_numpy = tuple({*HEAVY, "rich"} - {"numpy", "safetensors"})
    code = f"import sys; from smec import Compressor; print([m for m in {beside_numpy} if m in sys.modules])"
    assert printed(code) == "[]"


def test_compressing_a_file_of_vectors_alone_imports_neither_pandas_nor_arrows_kernels(
    tmp_path: Path,
) -> None:
    compressor().save(tmp_path / "model")
    np.save(tmp_path / "rows.npy", np.eye(8, WIDTH, dtype=np.float32))
    others = ("pandas", "pyarrow.compute", "pyarrow.parquet", "smec.data.dataset", "torch", "scipy")
    code = (
        "import sys, smec\n"
        "done = smec.compress(smec.Compressor.load('model'), 'rows.npy', 'small.npy', codec='float16')\n"
        f"print(done.rows, [m for m in {others} if m in sys.modules])"
    )
    program = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.check_output(program, text=True, cwd=tmp_path).strip() == "8 []"


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
