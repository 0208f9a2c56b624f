"""The words of a plan about memory and time."""

from __future__ import annotations

import dataclasses
import types

import pytest

from jaxtrain.models import Flops
from jaxtrain.run import RunData, Task, costs, make_config
from jaxtrain.run.costs import memory_lines, speed_lines
from jaxtrain.run.memory import Memory
from jaxtrain.run.needs import Needs

LANGUAGE = {
    "data": {"name": "text", "length": 32, "batch_size": 8},
    "model": {"name": "decoder", "width": 16, "layers": 2, "heads": 2},
    "loss": {"name": "next_token"},
    "optimizer": {"name": "adamw"},
}
MIB = 2**20


@pytest.fixture(scope="module")
def task():
    return Task.of(RunData.of(make_config(LANGUAGE)))


def counted(task, monkeypatch, memory, **parts):
    """A task's memory lines where its needs and what there is are these; and what was compiled."""
    zero = dict.fromkeys(("params", "optimizer", "rest", "gradients", "copies", "activations"), 0)
    options = {"dtypes": "float32", "rows": 8, "compute_dtype": "float32"}
    needs = Needs(**(zero | options | parts))
    monkeypatch.setattr(costs.Needs, "of", lambda task: needs)
    monkeypatch.setattr(costs, "available_memory", lambda: memory and Memory(memory, "this box"))
    made = []

    def compiled():
        made.append(1)
        sizes = {
            "argument_size_in_bytes": 10 * MIB,
            "output_size_in_bytes": 9 * MIB,
            "alias_size_in_bytes": 8 * MIB,
            "temp_size_in_bytes": 100 * MIB,
        }
        return types.SimpleNamespace(memory_analysis=lambda: types.SimpleNamespace(**sizes))

    return memory_lines(task, compiled), made


def test_what_is_shown_is_what_there_is_some_of(task, monkeypatch):
    lines, _ = counted(task, monkeypatch, None, params=3 * MIB, activations=2**31, rest=12)
    assert lines[0] == ("needed     2.00 GiB counted from shapes, beside what kernels work in:")
    assert lines[1:-1] == [
        "           3.0 MiB parameters (float32)",
        "           12 B the rest of the state",
        "           2.00 GiB activations of 8 rows, kept for the backward pass",
    ]


@pytest.mark.parametrize("memory", [None, 200 * MIB])
def test_what_fits_is_compiled_and_xla_asked(task, monkeypatch, memory):
    lines, made = counted(task, monkeypatch, memory, params=50 * MIB)
    assert lines[-1] == (
        "memory     10.0 MiB arguments, 9.0 MiB outputs, 8.0 MiB of those the same, "
        "100.0 MiB temporary"
    )
    assert made == [1]


def test_xla_may_find_that_it_does_not_fit_all_the_same(task, monkeypatch):
    lines, made = counted(task, monkeypatch, 60 * MIB, params=50 * MIB)
    assert made == [1]
    assert lines[-1].startswith("TOO MUCH   111.0 MiB are more than this box has, 60.0 MiB")
    assert "reduce data.batch_size, or raise train.accumulate" in lines[-1]


def test_what_does_not_fit_is_not_compiled(task, monkeypatch):
    lines, made = counted(task, monkeypatch, 60 * MIB, params=50 * MIB, gradients=50 * MIB)
    assert made == []
    assert lines[-2] == "memory     not asked of XLA: what does not fit is not compiled"
    assert lines[-1].startswith("TOO MUCH   100.0 MiB are more than this box has, 60.0 MiB")
    assert lines[-1].endswith("remembers less (the data count, too)")


@pytest.mark.parametrize(
    ("remat", "remedy"), [("none", ", or set model.remat=full"), ("full", "raise train.accumulate")]
)
def test_where_the_rest_would_fit_the_batch_is_named(monkeypatch, remat, remedy):
    task = Task.of(RunData.of(make_config(LANGUAGE, [f"model.remat={remat}"])))
    lines, _ = counted(task, monkeypatch, 60 * MIB, params=50 * MIB, activations=11 * MIB)
    assert "reduce data.batch_size, or raise train.accumulate" in lines[-1]
    assert lines[-1].endswith(remedy)


def test_a_platform_may_say_nothing(task, monkeypatch):
    silent = types.SimpleNamespace(memory_analysis=lambda: None)
    assert memory_lines(task, lambda: silent)[-1].endswith("this platform says nothing about it")


def lines_on(task, monkeypatch, platform, kind, *, precision="bfloat16"):
    device = types.SimpleNamespace(platform=platform, device_kind=kind)
    monkeypatch.setattr(costs, "jax", types.SimpleNamespace(devices=lambda: [device]))
    counts = Flops(weights=6_000_000_000, attention=1_500_000_000, again=25_000_000)
    model = dataclasses.replace(task.model, flops=lambda batch, dtype: counts)
    config = make_config(LANGUAGE, [f"precision={precision}"])
    data = dataclasses.replace(task.data, config=config)
    return speed_lines(dataclasses.replace(task, model=model, data=data))


def test_operations_of_a_step_and_of_a_token(task, monkeypatch):
    lines = lines_on(task, monkeypatch, "cpu", "cpu")
    assert lines == [
        "FLOPs      1.92 TFLOP a step of 256 tokens, 7.5 GFLOP a token, forward and backward: "
        "6 GFLOP products with weights, 1.5 GFLOP attention",
        "           and 25 MFLOP a token are done twice, not to be kept; MFU does not count them",
        "MFU        = tokens/s × 7.5 GFLOP / the device's peak",
    ]


@pytest.mark.parametrize(
    ("kind", "precision", "ends"),
    [
        # 2 x 7.5e9 x 256 / 989.5e12
        ("NVIDIA H200", "bfloat16", "NVIDIA H200 in bfloat16: at 50 % a step takes 0.00388 s"),
        ("NVIDIA H200", "float32", "in bfloat16; in float32, as this run computes, it is less"),
        ("NVIDIA B300", "bfloat16", "the device's peak; the peak of NVIDIA B300 is not known here"),
    ],
)
def test_time_is_told_where_the_peak_is_known(task, monkeypatch, kind, precision, ends):
    line = lines_on(task, monkeypatch, "gpu", kind, precision=precision)[-1]
    assert line.endswith(ends)


def test_the_decoder_counts_and_others_do_not(task):
    assert "FLOP a step of 256 tokens" in speed_lines(task)[0]
    digits = Task.of(RunData.of(make_config({"data": {"name": "digits"}})))
    assert speed_lines(digits) == []
