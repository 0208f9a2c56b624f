"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import gc
import os
import signal
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import flax.linen as nn
import jax
import pytest
from flax import nnx
from hypothesis import settings

from jaxtrain.models import from_linen, from_nnx
from tests import compiling

compiling.quickly()

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Looked through for doctests, though nothing there is a test: without the extra `peers` they can't
# be imported.
collect_ignore = [] if find_spec("peft") else ["lora/peers.py", "lora/peft/theirs.py"]
collect_ignore += [] if find_spec("torch") else ["models/theirs"]

_MANY_MAPPED = 6_000  # pieces of memory; torch and all that it needs have three thousand

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("jaxtrain", deadline=None)
settings.load_profile("jaxtrain")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, or a worker would be left alone with one at the end.

    How long they take is not known; how many of a file's tests are marked as slow says enough.
    """
    costs: Counter[Path] = Counter()
    for item in items:
        costs[item.path] += 20 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -costs[item.path])


def pytest_collection_finish() -> None:
    """What is imported by now stays: no collection need look through it again."""
    gc.collect()
    gc.freeze()


class Linen(nn.Module):
    """Dense, batch norm, dropout, dense."""

    @nn.compact
    def __call__(self, inputs, *, train):
        hidden = nn.Dense(8)(inputs)
        hidden = nn.relu(nn.BatchNorm(use_running_average=not train)(hidden))
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(hidden))


class NNX(nnx.Module):
    """The same in NNX."""

    def __init__(self, rngs):
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, inputs):
        return self.second(self.dropout(nnx.relu(self.norm(self.first(inputs)))))


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    """A real MLflow server: `uri`, and a `client` of it."""
    from types import SimpleNamespace

    from jaxtrain.tracking.mlflow.server import client_of
    from tests.mlflow_server import serving

    with serving(tmp_path_factory.mktemp("mlflow")) as uri:
        yield SimpleNamespace(uri=uri, client=client_of(uri))


@pytest.fixture(scope="session")
def stochastic_model():
    """stochastic_model("linen" | "nnx"): dropout and batch statistics; [B, 6] to [B, 3]."""
    return lambda library: from_linen(Linen()) if library == "linen" else from_nnx(NNX)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of the real data sets (`mnist/`, `adult/`, ...); skips where there is none."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("JAXTRAIN_TEST_DATA", default))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; JAXTRAIN_TEST_DATA names another directory")
    return root


@pytest.fixture(scope="session", autouse=True)
def compiled_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What one test has compiled the next one need not: half of the suite's time is XLA's.

    Nor need the processes that a test starts.
    """
    directory = tmp_path_factory.mktemp("compiled")
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in compiling.kept_in(directory).items():
            patched.setenv(name, value)
        yield directory


@pytest.fixture(scope="module", autouse=True)
def _forget_programs() -> Iterator[None]:
    """What is compiled stays in a process; of thousands of tests that would be gigabytes a worker.

    The next file reads from the disk what it has in common with this one.
    """
    yield
    if compiling.mapped() > _MANY_MAPPED:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _exchange_compiled(
    compiled_in: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> None:
    """Between two files nothing runs that a test has started."""
    if worker_id != "master":  # the directory of a worker is in that of the session
        shared = tmp_path_factory.getbasetemp().parent / "compiled"
        shared.mkdir(exist_ok=True)
        compiling.exchange(compiled_in, shared)
