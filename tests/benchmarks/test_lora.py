"""The benchmark of adapters, in tiny sizes: those who train one train the same."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks import __main__ as command
from benchmarks import lora as benchmark
from benchmarks.adapters import forgetting, merging, on_gpu, step
from benchmarks.adapters.settings import RANK
from benchmarks.gpu_cases import TINY_GEMMA
from benchmarks.language.shape import Shape
from benchmarks.processes import OwnProcess

SIZES = ["--layers", "1", "--width", "24", "--length", "8", "--rounds", "2", "--seconds", "0"]
TINY = ["train.epochs=2", "model.width=16", "model.layers=1", "model.head_dim=4"]


@pytest.fixture
def alone(monkeypatch, here):
    """No peers are installed but qwix, and all processes are this one."""
    for module in (step, merging, forgetting):
        monkeypatch.setattr(module, "OwnProcess", here)
    monkeypatch.setattr(step, "find_spec", lambda name: name if name == "qwix" else None)


@pytest.mark.slow
def test_steps_and_merging_without_peers(alone, tmp_path, capsys):
    path = tmp_path / "lora.json"
    assert command.main(["lora", "--parts", "step,merge", *SIZES, "--out", str(path)]) == 0
    record = json.loads(path.read_text())
    assert record["step"]["left_out"].keys() == {"peft, eager", "peft, compiled"}
    losses = record["step"]["first_losses"]
    assert losses["jaxtrain, low-rank"] == pytest.approx(losses["jaxtrain, merged"], abs=1e-4)
    assert losses["jaxtrain, full"][0] == pytest.approx(losses["jaxtrain, merged"][0], abs=1e-4)
    assert losses["jaxtrain, full"][-1] != pytest.approx(losses["jaxtrain, merged"][-1], abs=1e-4)
    small = {"jaxtrain, base in int8", "jaxtrain, base in nf4"}
    for name in small:  # near to the floats, and not the same
        assert losses[name] == pytest.approx(losses["jaxtrain, merged"], abs=0.1)
        assert losses[name] != losses["jaxtrain, low-rank"]
    assert record["step"]["of_full"].keys() == {"jaxtrain, low-rank", "jaxtrain, merged", *small}
    assert all(peak > 2**20 for peak in record["step"]["peak_bytes"].values())
    assert record["merge"]["gigabytes_a_second"].keys() == {"copy", "merge", "unmerge"}
    printed = capsys.readouterr().out
    assert "of that of all parameters" in printed
    assert "peft, eager: left out, not installed: torch, transformers, peft" in printed


@pytest.mark.slow
def test_peft_trains_the_same_adapter(tmp_path):
    pytest.importorskip("peft", reason="the peers extra installs peft")
    shape = Shape(vocabulary=64, width=16, layers=2, heads=2, length=8, batch=2)
    weights, adapter = tmp_path / "weights", tmp_path / "adapter"
    losses = {}
    with OwnProcess("jaxtrain") as process:
        process.call(step._write, shape, weights, adapter)
        process.make(step.training, "jaxtrain, low-rank", shape, weights, adapter)
        losses["jaxtrain"] = process.ask("first_losses", 4)
    with OwnProcess("peft") as process:
        process.make(step.training, "peft, eager", shape, weights, adapter)
        losses["peft"] = process.ask("first_losses", 4)
        assert process.ask("settle").keys() == {"threads", "optimizer"}
        assert process.ask("round", 1)["clock"] > 0
        gpus = process.call(on_gpu.with_peft, TINY_GEMMA, ((2, "full"),), 0.0, False, True)
    assert losses["jaxtrain"] == pytest.approx(losses["peft"], abs=1e-3)
    # What the GPU's benchmark does: the same work by other means, and with other weights.
    kernels = 4 * (16 + 16) - 2 * 8 + 3 * (16 + 32)
    assert gpus["trained_parameters"] == 2 * RANK * kernels
    assert gpus["sizes"]["norm"] == "gemma"
    assert gpus["first_losses"] == pytest.approx([math.log(64)] * 3, rel=0.05)
    assert gpus["tokens_per_second"] > 0


@pytest.mark.slow
def test_phases_of_several_seeds(alone, tmp_path, capsys):
    path = tmp_path / "lora.json"
    words = [word for change in TINY for word in ("--config", change)]
    words += ["--parts", "phases", "--kinds", "none,replay", "--seeds", "2", "--out", str(path)]
    assert command.main(["lora", *words]) == 0
    record = json.loads(path.read_text())["phases"]
    assert [len(reports) for reports in record["reports"].values()] == [2, 2]
    assert record["summary"].keys() == {"none", "replay"}
    assert record["against"]["replay"].keys() >= {"backward_transfer", "change/korean"}
    bases = [report["scores"][0] for reports in record["reports"].values() for report in reports]
    assert bases[0] == bases[2] != bases[1]  # of a seed all kinds begin with the same base
    # What all tasks come to at once stands beside the phases without protection.
    assert record["seconds"].keys() == {"none", "replay", "joint"}
    assert {len(seconds) for seconds in record["seconds"].values()} == {2}
    assert record["summary"]["none"]["joint_average"] is not None
    assert record["summary"]["replay"]["joint_average"] is None
    printed = capsys.readouterr().out
    assert "against none, BWT" in printed
    assert printed.count("joint_average") == 1


def test_kinds_that_are_not_measured_stay_beside_the_same_scores():
    def record(score, **kinds):
        parts = {"none": score, **kinds}
        return {
            "summary": {kind: {"scores": value} for kind, value in parts.items()},
            "against": {kind: {"backward_transfer": value} for kind, value in kinds.items()},
            "seconds": {kind: [1.0] for kind in parts},
        }

    earlier = record([0.5], replay=[0.7], project=[0.6])
    found = record([0.5], project=[0.65])
    assert forgetting.beside(found, None) is found
    both = forgetting.beside(found, earlier)
    assert both == record([0.5], replay=[0.7], project=[0.65])
    other = record([0.4], project=[0.65])
    assert forgetting.beside(other, earlier) is other
    unknown = {"summary": {}, "against": {}, "seconds": {}}
    assert forgetting.beside(unknown, unknown | {"reports": {}}) is unknown


def test_each_kind_is_one_that_the_config_takes():
    from jaxtrain.phases import PhasedConfig

    for kind, words in forgetting.KINDS.items():
        phased = PhasedConfig.of(forgetting.CONFIG, words)
        assert phased.names == forgetting.PHASES, kind
        if kind not in ("none", "replay"):
            protect = phased.config_of("medical").lora.protect
            assert getattr(protect, kind) > 0
    assert benchmark.PARTS.keys() == {"step", "merge", "phases"}
