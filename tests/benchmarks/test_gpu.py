"""The GPU's benchmark, on no GPU: its time, what it leaves out, and all its cases in tiny sizes."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks import gpu, gpu_cases
from benchmarks.adapters import on_gpu
from benchmarks.adapters.settings import PROGRAMS, RANK
from benchmarks.gpu_cases import BILLION, TINY_GEMMA, Case, cases
from benchmarks.machine import is_out_of_memory
from benchmarks.peaks import peak_flops
from benchmarks.processes import ProcessFailed
from jaxtrain.config import load
from jaxtrain.models.decoder import flops_per_token


@pytest.mark.slow
def test_all_of_it_in_tiny_sizes(tmp_path, capsys):
    """But adapters, which are next, in this process."""
    path = tmp_path / "new" / "gpu.json"
    parts = [part for part in gpu.PARTS if part != "lora"]
    words = ["--device", "cpu", "--tiny", "--parts", ",".join(parts), "--out", str(path)]
    assert command.main(["gpu", *words]) == 0
    record = json.loads(path.read_text())
    assert record["failed"] == record["left_out"] == {}
    assert record["device"]["platform"] == "cpu"
    assert list(record["parts"]) == parts
    for case in cases(tiny=True):
        assert case.part == "lora" or record["parts"][case.part][case.name]
    for trained in record["parts"]["train"].values():
        assert trained["tokens_per_second"] > 0
        assert trained["batch"] == 2
        assert trained["model_flops_utilization"] is None  # of an unknown device
        assert len(trained["rounds"]) == 3
    assert record["parts"]["loops"]["mnist_mlp"]["times_as_fast"] > 0
    assert "the rule takes tiled" in capsys.readouterr().out


@pytest.mark.slow
def test_adapters_in_tiny_sizes(monkeypatch, here, tmp_path, capsys):
    """What others do: test_lora.py."""
    path = tmp_path / "gpu.json"
    monkeypatch.setattr(gpu, "OwnProcess", here)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    monkeypatch.setattr(on_gpu, "peak_flops", lambda kind: 1e12)
    gpu.main(["--device", "cpu", "--tiny", "--parts", "lora", "--out", str(path)])
    record = json.loads(path.read_text())
    assert record["failed"] == {}
    assert list(record["left_out"]) == ["lora: peft, eager"]
    own, both = (record["parts"]["lora"][n] for n in ("low-rank", "beside all parameters"))
    # All products with kernels are there twice and not thrice, and those of the adapter are.
    config = TINY_GEMMA.config()
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    kernels = [(16, queries), (16, keys), (16, keys), (queries, 16)]
    kernels += [(16, config.hidden), (16, config.hidden), (config.hidden, 16)]
    assert own["trained_parameters"] == config.layers * RANK * sum(map(sum, kernels))
    whole, found = flops_per_token(config, TINY_GEMMA.length), own["flops_per_token"]
    assert found["weights"] == whole.weights * 2 // 3 + 6 * own["trained_parameters"]
    total = found["weights"] + found["attention"]
    assert own["model_flops_utilization"] == pytest.approx(own["tokens_per_second"] * total / 1e12)
    assert both["of_full"] > 0
    assert min(both["shares"]) <= both["of_full"] <= max(both["shares"])
    for share, full, low in zip(both["shares"], *both["rates"].values(), strict=True):
        assert share == pytest.approx(full / low)
    full, low = both["first_losses"]["full"], both["first_losses"]["low_rank"]
    assert low[0] == pytest.approx(full[0], rel=1e-4)  # a fresh adapter changes nothing
    assert low[-1] != pytest.approx(full[-1], rel=1e-4)
    printed = capsys.readouterr().out
    assert f"a step takes {both['of_full']:.2f} of one of all parameters" in printed


def answers(here, **by_name):
    """`OwnProcess` whose calls are answered, or raise, by the case's name."""

    seen = []

    class Answering(here):
        def call(self, function, *arguments, seconds=None):
            name = self.name.partition(": ")[2]
            seen.append((name, seconds, self.options))
            answer = by_name[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

    Answering.seen = seen
    return Answering


def case(name, seconds=10.0):
    return Case("part", name, seconds, print, ())


def test_cases_that_fail_or_do_not_fit_are_told_and_the_others_go_on(monkeypatch, here, capsys):
    out_of_memory = ProcessFailed("...", "JaxRuntimeError: RESOURCE_EXHAUSTED: 9 GB")
    process = answers(
        here,
        gpu={"kind": "a GPU"},
        wrong=ProcessFailed("the traceback", "ValueError: it is wrong"),
        large=out_of_memory,
        hangs=TimeoutError("hangs: was not done in 30 s"),
        good={"tokens_per_second": 7.0, "model_flops_utilization": 0.5},
    )
    monkeypatch.setattr(gpu, "OwnProcess", process)
    record, kept = {}, []
    chosen = [case("wrong"), case("large"), case("hangs"), case("slow", 999.0), case("good")]
    gpu.measure(
        chosen,
        record,
        lambda: kept.append(json.dumps(record)),
        device_name="gpu",
        seconds=600.0,
    )
    assert record["failed"] == {"part: wrong": "ValueError: it is wrong"}
    assert record["left_out"] == {
        "part: large": "does not fit into the device's memory",
        "part: hangs": "hangs: was not done in 30 s",
        "part: slow": "takes about 999 s, and 600 s were left",
    }
    assert record["parts"]["part"].keys() == {"good"}
    assert len(kept) == 5
    assert '"part: wrong"' in kept[0]
    printed = capsys.readouterr().out
    assert "the traceback" in printed
    assert "7 tokens a second, 50.0% of the device's peak" in printed
    seconds = {name: at_most for name, at_most, _ in process.seen}
    assert seconds["good"] == 30.0  # one that hangs takes three times its time
    assert 599 < seconds["gpu"] <= 600
    assert "slow" not in seconds


def test_what_is_not_there_is_said(monkeypatch, here):
    said = {"batch": 8, "left_out": "PyTorch computes on no GPU"}
    process = answers(here, gpu={"kind": "a GPU"}, there=said, good={"of_full": 0.5})
    monkeypatch.setattr(gpu, "OwnProcess", process)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name == "peft" else name)
    absent = Case("part", "absent", 10.0, print, (), programs=PROGRAMS)
    fits = Case("part", "good", 10.0, print, (), programs=("torch",))
    record = {}
    gpu.measure(
        [absent, case("there"), fits], record, lambda: None, device_name="gpu", seconds=60.0
    )
    assert record["left_out"] == {
        "part: absent": "not installed: peft (the extra 'peers' has them)",
        "part: there": "PyTorch computes on no GPU",
    }
    assert record["failed"] == {}
    assert record["parts"] == {"part": {"good": {"of_full": 0.5}}}


def test_time_that_is_over_begins_nothing(monkeypatch, here):
    process = answers(here, gpu={"kind": "a GPU"}, first={}, second={})
    monkeypatch.setattr(gpu, "OwnProcess", process)
    clock = iter([0.0, 1.0, 2.0, 3.0, 4.0, 55.0, 56.0])
    monkeypatch.setattr(gpu.time, "monotonic", lambda: next(clock))
    record = {}
    gpu.measure(
        [case("first"), case("second")], record, lambda: None, device_name="gpu", seconds=60.0
    )
    assert record["left_out"] == {"part: second": "takes about 10 s, and 5 s were left"}


def test_without_a_gpu_all_is_left_out_and_nothing_failed(monkeypatch, here, tmp_path, capsys):
    absent = ProcessFailed("...", "RuntimeError: JAX computes on 'cpu'")
    monkeypatch.setattr(gpu, "OwnProcess", answers(here, gpu=absent))
    path = tmp_path / "gpu.json"
    assert command.main(["gpu", "--out", str(path)]) == 0
    record = json.loads(path.read_text())
    assert record["device"] is None
    assert record["no_device"] == absent.why
    assert list(record["left_out"]) == [case.title for case in cases(tiny=False)]
    assert "no gpu that JAX computes on: RuntimeError: JAX computes on 'cpu'" in (
        capsys.readouterr().out
    )


def test_a_failure_is_the_commands_exit_code(monkeypatch, here):
    failed = ProcessFailed("...", "ValueError: wrong")
    names = {case.name: {} for case in cases(tiny=True)} | {"bare step": failed}
    monkeypatch.setattr(gpu, "OwnProcess", answers(here, cpu={"kind": "cpu"}, **names))
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--device", "cpu", "--tiny"])
    assert ended.value.code == 1
    gpu.main(["--device", "cpu", "--tiny", "--parts", "attention,saves"])


def test_a_processor_is_for_tiny_sizes(capsys):
    with pytest.raises(SystemExit):
        gpu.main(["--device", "cpu"])
    assert "--device cpu is for --tiny" in capsys.readouterr().err


def test_a_device_that_is_not_the_wanted_one_is_none():
    assert gpu_cases.device("cpu")["platform"] == "cpu"
    with pytest.raises(RuntimeError, match="JAX computes on 'cpu'"):
        gpu_cases.device("gpu")


def test_cases_are_in_order_and_have_names_of_their_own():
    # What is trained here comes before what others train, and before the rest.
    first = [case.title for case in cases(tiny=False)][:3]
    assert first == ["train: engine, fused", "lora: low-rank", "lora: beside all parameters"]
    for tiny in (False, True):
        found = list(cases(tiny=tiny))
        assert tuple(dict.fromkeys(case.part for case in found)) == gpu.PARTS
        assert len({case.title for case in found}) == len(found)
    # Processes beside each other must not each take most of the memory.
    for one in cases(tiny=False):
        shared = one.environment.get("XLA_PYTHON_CLIENT_PREALLOCATE") == "false"
        assert shared is one.has_children is (one.part == "loops")


def test_the_first_batch_that_fits_is_taken(monkeypatch):
    tried = []

    def train(shape, engine, remat, seconds):
        tried.append((shape.batch, remat))
        if len(tried) < 3:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return {"tokens_per_second": 1.0, "peak_bytes": 9}

    monkeypatch.setattr(gpu_cases, "_train", train)
    tries = ((8, "none"), (8, "mlp"), (4, "mlp"), (1, "full"))
    found = gpu_cases.train(BILLION, True, tries, 1.0)
    assert tried == list(tries[:3])
    assert (found["batch"], found["remat"]) == (4, "mlp")
    assert [each["remat"] for each in found["too_large"]] == ["none", "mlp"]
    assert found["peak_bytes"] is None  # the process' highest is that of what did not fit
    assert gpu_cases.train(BILLION, True, tries, 1.0)["peak_bytes"] == 9
    tried.clear()
    with pytest.raises(MemoryError, match="RESOURCE_EXHAUSTED"):
        gpu_cases.train(BILLION, True, tries[:2], 1.0)


def test_an_error_besides_memory_is_not_tried_again(monkeypatch):
    def train(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(gpu_cases, "_train", train)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        gpu_cases.train(BILLION, True, ((1, "none"), (1, "full")), 1.0)


def test_errors_of_pytorch_say_the_same():
    assert is_out_of_memory("OutOfMemoryError: CUDA out of memory. Tried to allocate 31 GiB.")
    assert not is_out_of_memory("RuntimeError: CUDA error: an illegal memory access")


class Peft:
    """PyTorch with PEFT, which fails as it is told when its first step runs."""

    errors = ()
    made = ()

    def __init__(self, shape, compiled, again):
        self._number = len(Peft.made)
        Peft.made = (*Peft.made, (shape.batch, compiled, again))

    def first_losses(self, number):
        if self._number < len(self.errors):
            raise self.errors[self._number]
        return [1.0] * number

    def round(self, steps):
        return {"clock": 7.0}

    def trained(self):
        return 3


@pytest.fixture
def with_peft(monkeypatch):
    """`on_gpu.with_peft` of a PyTorch that computes on the device, with the given errors."""

    def run(device, *errors, compiled=False, on_cpu=False):
        monkeypatch.setattr(Peft, "errors", errors)
        monkeypatch.setattr(Peft, "made", ())
        there = SimpleNamespace(Training=Peft, device=lambda: device, peak=lambda: 9)
        monkeypatch.setitem(sys.modules, "benchmarks.adapters.peft_on_gpu", there)
        tries = ((8, "none"), (8, "full"), (1, "full"))
        return on_gpu.with_peft(TINY_GEMMA, tries, 0.0, compiled, on_cpu)

    return run


def test_peft_takes_what_fits_or_says_why_not(with_peft):
    found = with_peft("cpu")
    assert found["left_out"].startswith("PyTorch computes on no GPU")
    assert Peft.made == ()
    assert with_peft("cpu", on_cpu=True)["tokens_per_second"] == 7.0
    large = RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")
    found = with_peft("cuda", large, compiled=True)
    assert Peft.made == ((8, True, False), (8, True, True))
    assert (found["remat"], found["peak_bytes"], found["trained_parameters"]) == ("full", None, 3)
    with pytest.raises(MemoryError, match="RESOURCE_EXHAUSTED"):
        with_peft("cuda", large, large, large)
    broken = RuntimeError("InvalidCxxCompiler: none\nmore of it")
    found = with_peft("cuda", broken, compiled=True)
    assert found["left_out"] == "torch.compile: RuntimeError: InvalidCxxCompiler: none"
    with pytest.raises(RuntimeError, match="InvalidCxxCompiler"):
        with_peft("cuda", broken)


def test_the_gemma_is_the_one_of_the_config():
    model = load(Path(__file__).parents[2] / "configs" / "gemma_2b.py")["model"].to_dict()
    sizes = vars(on_gpu.GEMMA_2B.config())
    assert sizes["max_length"] == on_gpu.GEMMA_2B.length
    own = {key: value for key, value in model.items() if key in sizes and key != "max_length"}
    assert len(own) == 8
    assert {key: sizes[key] for key in own} == own
    assert sizes["norm"] == model["family"]


def test_the_billion_is_one():
    found = flops_per_token(BILLION.config(), BILLION.length)
    assert 1.2e9 < found.weights / 6 < 1.3e9


def test_peaks_are_those_of_the_device_by_its_whole_name():
    assert peak_flops("NVIDIA H100 80GB HBM3") == peak_flops("NVIDIA H200") == 9.89e14
    assert peak_flops("NVIDIA H100 PCIe") == 7.56e14
    assert peak_flops("NVIDIA L40S") == 3.62e14
    assert peak_flops("NVIDIA L4") == 1.21e14
    assert peak_flops("NVIDIA A100-SXM4-40GB") == 3.12e14
    assert peak_flops("cpu") is None
    assert all(math.isfinite(peak_flops(name)) for name in ("NVIDIA A10G", "NVIDIA B200"))
