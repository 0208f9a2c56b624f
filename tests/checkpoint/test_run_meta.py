"""What a checkpoint says of its run is what it must be, or an error that names the key."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from jaxtrain.checkpoint import RunMeta, Saved
from jaxtrain.errors import CheckpointError

PATH = Path("checkpoints/00000012")
GOOD = {
    "iteration": 12,
    "epoch": 2,
    "metrics": {"val/loss": 0.5, "val/accuracy": float("nan"), "n": 3},
    "engine": {
        "counters": {
            "epoch": 2,
            "iteration": 12,
            "epoch_iteration": 3,
            "max_epochs": 3,
            "max_iters": None,
            "epoch_length": 9,
            "epoch_open": True,
            "epoch_cut": False,
            "started": True,
            "stopped": "interrupt",
            "metrics": {"val/loss": 0.5, "confusion": [[1, 2], [3, 4]], "name": "x"},
        },
        "cursor": {"epoch": 1, "batch": 3, "fingerprint": "f"},
        "fired": {"CHECKPOINT_SAVED": 3},
        "form": "fused",
        "hooks": {"history": {"epochs": []}},
        "user": {"anything": [1, {"at": "all"}]},
    },
    "fingerprint": "f",
    "config": {"seed": 0, "model": {"name": "mlp"}},
    "data": {"train": "f"},
    "environment": {"jax": "0.10.2"},
    "plugins": {"a.py": "0" * 64},
    "weights": {"model.safetensors": "1" * 64},
}
REQUIRED = ["iteration", "epoch", "metrics", "engine"]


def changed(key: str, value: object) -> Saved:
    meta = copy.deepcopy(GOOD)
    *path, last = key.split("/")
    place = meta
    for name in path:
        place = place[name]
    place[last] = value
    return Saved(PATH, meta)


def test_a_good_one():
    said = RunMeta.of(Saved(PATH, json.loads(json.dumps(GOOD))))
    assert (said.iteration, said.epoch) == (12, 2)
    assert said.engine == GOOD["engine"]
    assert said.plugins == GOOD["plugins"]
    assert said.weights == GOOD["weights"]


def test_one_of_before_there_were_plugins_or_without_a_description():
    meta = {key: GOOD[key] for key in REQUIRED}
    said = RunMeta.of(Saved(PATH, meta))
    assert (said.plugins, said.config, said.data, said.weights) == (None, None, {}, {})


def test_one_that_is_none_of_a_run():
    with pytest.raises(CheckpointError, match=r"does not say where a run stood"):
        RunMeta.of(Saved(PATH, {"iteration": 3}))


JUNK = [None, "x", -1, True, [], {}, 10**30, 1.5, float("nan")]
ALLOWED = {
    "metrics": [{}],
    "engine/cursor": [None, {}],
    "engine/fired": [{}],
    "engine/hooks": [{}],
    "engine/user": [{}],
    "engine/form": [None],
    "engine/counters/max_epochs": [None],
    "engine/counters/max_iters": [None],
    "engine/counters/epoch_length": [None],
    "engine/counters/epoch_open": [True],
    "engine/counters/epoch_cut": [True],
    "engine/counters/started": [True],
    "engine/counters/metrics": [{}],
    "fingerprint": [None, "x"],
    "config": [None, {}],
    "data": [{}],
    "environment": [{}],
    "plugins": [None, {}],
    "weights": [{}],
}
KEYS = [
    *REQUIRED,
    *(f"engine/{key}" for key in GOOD["engine"]),
    *(f"engine/counters/{key}" for key in GOOD["engine"]["counters"]),
    *("fingerprint", "config", "data", "environment", "plugins", "weights"),
]


@pytest.mark.parametrize("key", KEYS)
def test_another_type_or_range_is_named(key):
    for value in JUNK:
        if any(value is ok or value == ok for ok in ALLOWED.get(key, ())) and value is not False:
            continue
        with pytest.raises(CheckpointError) as raised:
            RunMeta.of(changed(key, value))
        said = str(raised.value)
        assert said.startswith(f"{PATH / 'meta.json'}: ")
        assert key.rpartition("/")[2] in said
        assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("iteration", 13, "iteration is 13, engine.counters.iteration 12"),
        ("epoch", 3, "epoch is 3, engine.counters.epoch 2"),
        ("engine/counters/epoch_iteration", 13, "epoch_iteration"),
        ("engine/counters/epoch_length", 2, "epoch_iteration"),
        ("engine/counters/stopped", "perhaps", "counters.stopped"),
        ("engine/counters/metrics", {"a": [[1], [2, 3]]}, "nested lists of equal lengths"),
        ("engine/counters/metrics", {"a": 10**400}, "counters.metrics.a"),
        ("engine/counters/metrics", {"a": [10**400]}, "nested lists of numbers"),
        ("engine/fired", {"X": -1}, "fired.X"),
        ("engine/fired", {"X": "1"}, "fired.X"),
        ("engine/form", "loose", "form"),
        ("metrics", {"a": "0.5"}, "metrics.a"),
        ("metrics", {"a": 10**400}, "metrics.a"),
        ("config", {"a.b": 1}, "config"),
        ("config", {"": 1}, "config"),
        ("data", {"train": 3}, "data.train"),
        ("plugins", {"a.py": None}, "plugins.a.py"),
    ],
)
def test_what_contradicts_itself_or_can_not_be_is_named(key, value, says):
    with pytest.raises(CheckpointError) as raised:
        RunMeta.of(changed(key, value))
    assert says in str(raised.value)


def test_an_epoch_was_begun_where_there_were_iterations():
    meta = copy.deepcopy(GOOD)
    meta["epoch"] = meta["engine"]["counters"]["epoch"] = 0
    with pytest.raises(CheckpointError, match="yet epoch is 0"):
        RunMeta.of(Saved(PATH, meta))


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_missing_is_named(key):
    meta = copy.deepcopy(GOOD)
    *path, last = key.split("/")
    place = meta
    for name in path:
        place = place[name]
    del place[last]
    if len(path) or key in REQUIRED:
        with pytest.raises(
            CheckpointError, match="engine|where a run stood" if last == "engine" else last
        ):
            RunMeta.of(Saved(PATH, meta))
    else:
        RunMeta.of(Saved(PATH, meta))
