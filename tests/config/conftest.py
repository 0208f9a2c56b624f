from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field

from jaxtrain.registry import Registry

Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1, le=65536)]


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


@pytest.fixture
def registries() -> dict[str, Registry]:
    """Registries of the tests' own, with one option of every type a component may have."""
    kinds = {
        key: Registry(kind)
        for key, kind in {
            "data": "data source",
            "model": "model",
            "loss": "loss",
            "optimizer": "optimizer",
            "schedule": "schedule",
            "metrics": "metric",
            "hooks": "hook",
        }.items()
    }

    @kinds["data"].register("digits")
    def digits(*, flat: bool = True, test_fraction: Rate = 0.2): ...

    @kinds["data"].register("mnist")
    def mnist(*, root: str, flat: bool = True, mirror: str | None = None): ...

    @kinds["data"].register("adult")
    def adult(*, root: str): ...

    @kinds["model"].register("mlp")
    def mlp(num_outputs: int, *, hidden: tuple[Width, ...] = (128,), dropout: Rate = 0.0): ...

    @kinds["model"].register("cnn")
    def cnn(
        num_outputs: int,
        *,
        channels: tuple[Width, ...] = (32, 64),
        hidden: tuple[Width, ...] = (128,),
        dropout: Rate = 0.0,
        kernel: tuple[int, int] = (3, 3),
    ): ...

    @kinds["model"].register("wide")
    def wide(
        *, width: Width, even: Annotated[int, AfterValidator(_even)] = 2, alpha: Rate | None = None
    ): ...

    @kinds["loss"].register("cross_entropy")
    def cross_entropy(*, label_smoothing: Rate = 0.0): ...

    @kinds["optimizer"].register("adamw")
    def adamw(*, weight_decay: Annotated[float, Field(ge=0)] = 1e-4, b1: Rate = 0.9): ...

    @kinds["optimizer"].register("sgd")
    def sgd(*, momentum: Rate = 0.0, nesterov: bool = False): ...

    @kinds["schedule"].register("constant")
    def constant(): ...

    @kinds["schedule"].register("cosine")
    def cosine(*, warmup_steps: Annotated[int, Field(ge=0)] = 0): ...

    @kinds["metrics"].register("loss")
    def mean_loss(): ...

    @kinds["metrics"].register("accuracy")
    def accuracy(*, top_k: Annotated[int, Field(ge=1)] = 1): ...

    for name in ("progress", "console", "csv", "nan_guard"):

        def plain(): ...

        kinds["hooks"].register(name)(plain)

    @kinds["hooks"].register("jsonl")
    def jsonl(*, every: Annotated[int, Field(ge=1)] = 100): ...

    @kinds["hooks"].register("tensorboard")
    def tensorboard(*, every: Annotated[int, Field(ge=1)] = 100): ...

    @kinds["hooks"].register("early_stopping")
    def early_stopping(
        *,
        monitor: str = "val/loss",
        patience: Annotated[int, Field(ge=1)] = 5,
        mode: Literal["min", "max"] = "min",
    ): ...

    return kinds


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file into an empty working directory and gives back its relative path."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return Path(name)

    return write
