"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of the real data sets (`mnist/`, `adult/`, ...); skips where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("JAXTRAIN_TEST_DATA", default))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; JAXTRAIN_TEST_DATA names another directory")
    return root


@pytest.fixture(scope="session", autouse=True)
def _compilation_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What one test has compiled the next one need not: half of the suite's time is XLA's."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
