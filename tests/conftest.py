"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of the real data sets (`mnist/`, `adult/`, ...); skips where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("JAXTRAIN_TEST_DATA", default))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; JAXTRAIN_TEST_DATA names another directory")
    return root
