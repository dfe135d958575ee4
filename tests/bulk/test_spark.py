"""The recipe for Spark runs as it is written, on a Spark of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compressible import compressor, lists, vectors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
ROWS, DIM = 300, 4


@pytest.mark.skipif(
    shutil.which("java") is None and "SMEC_SPARK_TESTS" not in os.environ,
    reason="no java (Debian: default-jre-headless)",
)
def test_the_recipe_gives_what_encode_gives(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    (recipe,) = (block for block in blocks if "mapInArrow" in block)
    assert 'DIM = "my-model", 96' in recipe
    compressor().save(tmp_path / "my-model")
    corpus = vectors(ROWS)
    table = pa.table({"id": [f"d{row}" for row in range(ROWS)], "vector": lists(corpus)})
    pq.write_table(table, tmp_path / "corpus.parquet", row_group_size=100)
    (tmp_path / "recipe.py").write_text(recipe.replace("96", str(DIM)))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = (
        "--master local[2] --conf spark.ui.enabled=false",
        "--conf spark.sql.execution.arrow.maxRecordsPerBatch=64",
        f"--conf spark.local.dir={scratch}",
        f"--conf 'spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -Djava.io.tmpdir={scratch}'",
        "pyspark-shell",
    )
    settings = {
        "PYSPARK_SUBMIT_ARGS": " ".join(options),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    run = subprocess.run(
        [sys.executable, "recipe.py"],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    written = pq.read_table(tmp_path / "small").sort_by("id")
    order = np.argsort(np.array(table["id"].to_pylist()))
    assert written["id"].to_pylist() == table["id"].take(pa.array(order)).to_pylist()
    np.testing.assert_allclose(
        np.array(written["vector"].to_pylist()), compressor().encode(corpus, DIM)[order], atol=1e-6
    )
