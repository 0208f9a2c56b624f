"""Seconds and bytes of a step that was not run; by hand."""

from dataclasses import replace

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.parallel import Collective, Work
from jaxtrain.run.chips import Chip, chip_of
from jaxtrain.run.needs import Needs
from jaxtrain.run.scale import Prediction, scale_lines, taken, updated
from jaxtrain.run.simulated import Simulated

CHIP = Chip("toy", 1e12, 1e9, 1e11, 1e10, 4, 1e9, "a data sheet")
MIB = 2**20
NEEDS = Needs(
    params=100 * MIB,
    dtypes="float32",
    optimizer=200 * MIB,
    rest=12,
    gradients=100 * MIB,
    copies=0,
    activations=300 * MIB,
    rows=2,
    compute_dtype="bfloat16",
)
GATHER = Collective("all-gather", 16, 4_000_000, 4, (0, 1, 2, 3))
REDUCE = Collective("all-reduce", 1, 8_000_000, 8, tuple(range(8)))


def found(**changes):
    given = {
        "mesh": {"data": 2, "fsdp": 4, "tensor": 1},
        "layout": ("mesh       {...}",),
        "needs": NEEDS,
        "work": Work(3e10, 2e9),
        "collectives": (GATHER, REDUCE, GATHER),
        "temporary": 5,
        "seconds": 3.2,
    }
    return Simulated(**given | changes)


def test_what_takes_a_step_by_the_formula():
    took = Prediction.of(found(), CHIP)
    assert took.products == pytest.approx(0.03)
    assert updated(NEEDS) == 800 * MIB
    assert took.memory == pytest.approx((2e9 + 800 * MIB) / 1e11)
    # 16 gathers of which each device sends 3/4 over its links; 7/4 between two hosts of 4.
    assert taken(GATHER, CHIP) == pytest.approx(16 * 3e6 / 1e10)
    assert taken(REDUCE, CHIP) == pytest.approx(14e6 / 4e9)
    assert took.links == pytest.approx(2 * 0.0048 + 0.0035)
    assert took.step == pytest.approx(0.03 + 0.0131)
    assert took.hidden == pytest.approx(0.03)
    slow = Prediction(products=0.03, memory=0.05, links=0.2)
    assert (slow.step, slow.hidden) == (0.25, 0.2)


def test_the_lines_hold_the_formula_and_what_goes_into_it():
    text = "\n".join(scale_lines(found(), CHIP))
    for line in (
        "compiled   for as many simulated devices, in 3 s; nothing was run",
        "bytes      700.0 MiB on each device",
        "300.0 MiB activations of 2 rows, kept for the backward pass",
        "32 all-gathers among 4, of 3.8 MiB on average: sends 91.6 MiB at 10 GB/s, 9.6 ms",
        "1 all-reduce among 8, of 7.6 MiB on average: sends 13.4 MiB at 4 GB/s, 3.5 ms",
        "chip       toy: 1 TFLOP/s in bfloat16, 953.7 MiB at 100 GB/s; sends 10 GB/s among 4, "
        "1 GB/s beyond",
        "(a data sheet)",
        "products   30 GFLOP / 1 TFLOP/s = 30 ms",
        "memory     (2 GB of products + 839 MB of the update) / 100 GB/s = 28.4 ms",
        "links      the sum of the above = 13.1 ms",
        "step       max(products, memory) + links = 43.1 ms at best; 30 ms if all communication",
    ):
        assert line in text
    assert text.startswith("mesh       {...}\n")
    assert "TOO MUCH" not in text
    assert "REMARK" not in text


def test_what_does_not_fit_is_told_and_what_the_figures_leave_out():
    needs = replace(NEEDS, activations=900 * MIB, compute_dtype="float32")
    text = "\n".join(scale_lines(found(needs=needs, work=Work(1, 1, 2)), CHIP))
    assert "TOO MUCH   1.27 GiB are more than a toy has, 953.7 MiB: raise mesh.fsdp" in text
    assert "REMARK     the run computes in float32, in which the chip does less" in text
    assert "REMARK     2 loops run as long as their data say" in text


def test_without_a_chip_there_is_no_time():
    lines = scale_lines(found(collectives=()), None)
    assert lines[-1] == "says       nothing: no device needs another"
    lines = scale_lines(found(), None)
    assert lines[-1].endswith("1 all-reduce among 8, of 7.6 MiB on average: sends 13.4 MiB")


def test_a_pod_that_is_too_small():
    wide = Collective("all-reduce", 1, 8, 2, (0, 9000))
    with pytest.raises(ConfigError, match="more than 8,960 devices"):
        scale_lines(found(collectives=(wide,)), chip_of("v5p"))
