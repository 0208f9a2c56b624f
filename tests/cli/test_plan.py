"""`plan` for devices that are not there; what is planned here is in test_train.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jaxtrain.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--chip", "h200"], "--chip: of how many"),
        (["--devices", "0"], "--devices: expected a number from 1 on, found '0'"),
        (["--devices", "many"], "--devices: expected a number from 1 on, found 'many'"),
        (["--devices", "8", "--chip", "h300"], r"--chip: 'h300' is not known here.*a100, h100, h2"),
        (["--devices", "8", "--calibrate"], "--calibrate: times what is here"),
        (["--devices", "8", "--devices", "9"], "plan: both '8' and '9' are given as --devices"),
    ],
)
def test_words_that_can_not_be_meant(call, digits, words, says):
    with pytest.raises(ConfigError, match=says):
        call("plan", *digits, *words)


def test_phases_are_planned_one_by_one(call):
    with pytest.raises(ConfigError, match="--devices: plans one run"):
        call("plan", str(ROOT / "configs/korean_medical.py"), "--devices", "8")


def test_eight_chips(call, digits, tmp_path, capsys):
    """All of it, in a process with so many devices; nothing is written."""
    workdir = tmp_path / "run"
    mesh = ["--config.mesh.fsdp=8", "--config.mesh.data=1", "--config.model.hidden=[512]"]
    words = [*digits, *mesh, "--workdir", str(workdir), "--devices", "8"]
    assert call("plan", *words, "--chip", "h100") == 0
    said = capsys.readouterr().out
    assert said.startswith("mesh       {data: 1, fsdp: 8, tensor: 1}, over 8 devices\n")
    assert re.search(r"all-gathers? among 8, of 0\.\d MiB on average: .* at 450 GB/s, ", said)
    assert "REMARK     the run computes in float32" in said
    assert "step       max(products, memory) + links = " in said
    assert not workdir.exists()
