"""Tests of jaxtrain.sweeps.best."""

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run import make_config
from jaxtrain.sweeps.best import member_config, write_best
from jaxtrain.sweeps.ledger import Row
from tests.small_run import CONFIG


def row(values, **changes):
    told = {
        "member": 7, "batch": 0, "group": 0, "values": values, "status": "finished", "epochs": 30,
        "iterations": 90, "monitor": "val/loss", "value": 0.123, "best_epoch": 21,
    }  # fmt: skip
    return Row(**{**told, **changes})


def test_it_is_the_config_of_the_member(tmp_path):
    base = {**CONFIG, "workdir": str(tmp_path)}
    values = {"optimizer.learning_rate": 0.5, "model.hidden": (8, 8), "hooks.stop.patience": 3}
    path = tmp_path / "best.yaml"
    write_best(path, base, row(values), sweep=tmp_path / "a\nb", members=64)
    found = make_config(path)
    expected = [
        "optimizer.learning_rate=0.5", "model.hidden=[8,8]", "hooks.stop.patience=3",
        "workdir=null",
    ]  # fmt: skip
    assert found == make_config({**CONFIG, "workdir": str(tmp_path)}, expected)
    assert found.workdir is None
    first, second = path.read_text().splitlines()[:2]
    assert first.startswith("# ")
    assert "member 7, the best of 64; it promises val/loss = 0.123, of epoch 21" in first
    assert ":" in second


def test_a_component_takes_its_options_along():
    values = {"optimizer.momentum": 0.5, "optimizer.name": "sgd", "optimizer.learning_rate": 0.1}
    found = member_config(CONFIG, row(values))
    assert found.optimizer == make_config({**CONFIG, "optimizer": {
        "name": "sgd", "learning_rate": 0.1, "momentum": 0.5,
    }}).optimizer  # fmt: skip


def test_what_does_not_go_is_told(tmp_path):
    base = CONFIG
    with pytest.raises(ConfigError, match=r"member 7: .*learning_rate"):
        member_config(base, row({"optimizer.learning_rate": -1.0}))
    with pytest.raises(ConfigError, match="member 7 has no value of val/loss"):
        write_best(
            tmp_path / "x", base, row({}, value=None, best_epoch=None), sweep=tmp_path, members=1
        )
    assert not (tmp_path / "x").exists()


def test_it_names_the_plugins_that_it_needs(tmp_path):
    plugin = tmp_path / "mine_of_best.py"
    plugin.write_text(
        "from jaxtrain.models import MODELS\nfrom jaxtrain.models.mlp import mlp\n"
        "@MODELS.register('mine_of_best')\n"
        "def mine(num_outputs, *, width: int = 4):\n    return mlp(num_outputs, hidden=(width,))\n"
    )
    base = {**CONFIG, "model": {"name": "mine_of_best"}}
    path = tmp_path / "best.yaml"
    said = {"sweep": tmp_path, "members": 1, "plugins": [str(plugin)]}
    write_best(path, base, row({"model.width": 8}), **said)
    found = make_config(path, plugins=[str(plugin)])
    assert found.model.width == 8
    assert [*found.plugins]
    assert str(plugin) in path.read_text()
