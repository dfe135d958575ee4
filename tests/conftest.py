"""What several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real dataset folders that lie beside a developer's checkout, outside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(
            f"no {SHARED_DATA}: the reference datasets lie beside the checkout only where smec is developed"
        )
    return SHARED_DATA
