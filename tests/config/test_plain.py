"""What stands for plain values."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import sys
import types
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pydantic
import pytest

from jaxtrain.config import ConfigDict, check, dumps, from_dict, load
from jaxtrain.config.plain import as_plain
from jaxtrain.errors import ConfigError


@dataclasses.dataclass
class Model:
    name: str = "mlp"
    hidden: tuple = (64, np.int64(32))


@dataclasses.dataclass
class Settings:
    model: Model = dataclasses.field(default_factory=Model)
    seed: int = 3


class Pydantic(pydantic.BaseModel):
    model: Model = Model()


class Colour(enum.Enum):
    RED = "red"


Named = collections.namedtuple("Named", ["name"])


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Settings(), {"model": Model(), "seed": 3}),
        (Pydantic(), {"model": Model()}),
        (Named("mlp"), {"name": "mlp"}),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (argparse.Namespace(a=1), {"a": 1}),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([1, 2]), [1, 2]),
        (jnp.float32(0.5), 0.5),
        (Path("data/x"), "data/x"),
    ],
)
def test_what_can_mean_one_thing_means_it(value, plain):
    found = as_plain(value)
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize("value", [3, "x", None, (1, 2), {3}, Colour.RED, Settings, len])
def test_all_else_stays_as_it_is(value):
    assert as_plain(value) is value


def test_they_are_plain_all_the_way_down_and_a_file_can_hold_them():
    tree = from_dict(Settings())
    assert tree.to_dict() == {"model": {"name": "mlp", "hidden": (64, 32)}, "seed": 3}
    assert dumps(tree) == "model:\n  name: mlp\n  hidden: [64, 32]\nseed: 3\n"
    tree = ConfigDict()
    tree.rate = np.float64(0.5)
    tree.paths = [Path("a"), Path("b")]
    assert tree.to_dict() == {"rate": 0.5, "paths": ("a", "b")}
    assert type(tree.rate) is float


DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass, field
from pathlib import Path
import numpy as np

@dataclass
class Train:
    epochs: int = 3

@dataclass
class Config:
    seed: np.int64 = np.int64(7)
    workdir: Path = Path("runs/a")
    train: Train = field(default_factory=Train)

def get_config():
    return Config{call}
"""


def test_a_dataclass_is_a_config(write, registries):
    """Words that don't help: "'NoneType' object has no attribute '__dict__'"."""
    before = set(sys.modules)
    path = write("x.py", DATACLASS.format(call="()"))
    config = check(load(path), registries)
    assert (config.seed, config.workdir, config.train.epochs) == (7, "runs/a", 3)
    assert set(sys.modules) == before
    path = write("y.py", DATACLASS.format(call=""))
    with pytest.raises(ConfigError, match=r"^y\.py: get_config\(\) must return .*; call it$"):
        load(path)


def test_what_can_mean_two_things_is_refused_by_its_key(registries):
    for value in (Colour.RED, {3}, len):
        with pytest.raises(ConfigError, match="seed: expected a whole number"):
            check({"seed": value}, registries)
