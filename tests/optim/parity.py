"""How far optimizers and schedules are from PyTorch's; `python -m tests.optim.parity` prints it.

    difference = compare(Case("adam", {"amsgrad": True}, "Adam", {"amsgrad": True}))
    difference.of_parameters                     # 3e-7

Rates are such that no method swings: where one does, the last digit is amplified, and says nothing.

An optimizer: 100 updates on 256 of scikit-learn's digits, all of them in each, by an MLP of 8 tanh
units. Both begin with the same parameters; each takes the gradients of its own library at its own
parameters. A schedule: its rate at each of 200 steps, PyTorch's in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.config import OptimizerSection, ScheduleSection
from jaxtrain.optim import OPTIMIZERS, SCHEDULES, make_schedule
from tests import compiling

UPDATES = 100
STEPS = 200
RATE = 0.3

OF_PARAMETERS = 2e-5
"""The largest difference allowed, over the largest parameter of the same array."""
OF_WAY = 2e-4
"""The same over the longest way that a parameter of the array has gone."""
OF_RATE = 1e-6
"""Of a schedule, over its rate at that step."""


# -- optimizers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An optimizer with options, and PyTorch's class with its own."""

    name: str
    options: dict[str, Any]
    theirs: str
    their_options: dict[str, Any] = field(default_factory=dict)
    rate: float = 0.01
    updates: int = UPDATES

    def __str__(self) -> str:
        return self.name + "".join(f" {key}={value}" for key, value in self.options.items())


@dataclass(frozen=True)
class Difference:
    of_parameters: float
    of_way: float


CASES = [
    Case("sgd", {}, "SGD", rate=0.3),
    Case("sgd", {"momentum": 0.9}, "SGD", {"momentum": 0.9}, 0.1),
    Case(
        "sgd",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        "SGD",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        0.1,
    ),
    Case(
        "sgd",
        {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        "SGD",
        {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
        0.1,
    ),
    Case("adam", {}, "Adam"),
    Case(
        "adam",
        {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.01},
        "Adam",
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.01},
    ),
    Case("adam", {"amsgrad": True, "b2": 0.9}, "Adam", {"amsgrad": True, "betas": (0.9, 0.9)}),
    Case("adamw", {"weight_decay": 0.1}, "AdamW", {"weight_decay": 0.1}),
    Case("nadam", {}, "NAdam"),
    Case(
        "nadam",
        {"momentum_decay": 0.1, "weight_decay": 0.01},
        "NAdam",
        {"momentum_decay": 0.1, "weight_decay": 0.01},
        rate=0.002,
    ),
    Case(
        "nadamw",
        {"weight_decay": 0.1, "b1": 0.8, "b2": 0.95, "eps": 1e-3},
        "NAdam",
        {
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
            "betas": (0.8, 0.95),
            "eps": 1e-3,
        },
        rate=0.002,
    ),
    Case("radam", {}, "RAdam"),
    Case(
        "radam",
        {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.01},
        "RAdam",
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.01},
    ),
    Case(
        "radam",
        {"weight_decay": 0.1, "decoupled": True},
        "RAdam",
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    Case("adamax", {}, "Adamax"),
    Case(
        "adamax",
        {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.01},
        "Adamax",
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.01},
    ),
    Case("adadelta", {}, "Adadelta", rate=1.0),
    Case(
        "adadelta",
        {"rho": 0.8, "eps": 1e-4, "weight_decay": 0.01},
        "Adadelta",
        {"rho": 0.8, "eps": 1e-4, "weight_decay": 0.01},
        0.5,
    ),
    Case("adagrad", {}, "Adagrad", rate=0.05),
    Case(
        "adagrad",
        {"initial_sum": 0.1, "eps": 1e-3, "weight_decay": 0.01},
        "Adagrad",
        {"initial_accumulator_value": 0.1, "eps": 1e-3, "weight_decay": 0.01},
        0.05,
    ),
    Case("rmsprop", {}, "RMSprop"),
    Case(
        "rmsprop",
        {"decay": 0.9, "eps": 1e-3, "momentum": 0.5, "weight_decay": 0.01},
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-3, "momentum": 0.5, "weight_decay": 0.01},
        rate=0.002,
    ),
    Case(
        "rmsprop",
        {"centered": True, "momentum": 0.5, "eps": 1e-5},
        "RMSprop",
        {"centered": True, "momentum": 0.5, "eps": 1e-5},
    ),
    Case("adafactor", {"smallest_factored": 2}, "Adafactor", {"eps": (1e-15, 1e-3)}),
    Case(
        "adafactor",
        {"smallest_factored": 2, "decay_rate": 0.6, "clipping": 1.5, "weight_decay": 0.1},
        "Adafactor",
        {"eps": (1e-15, 1e-3), "beta2_decay": -0.6, "d": 1.5, "weight_decay": 0.1},
        rate=0.6,  # above 1 / sqrt(t), so that the cap is felt: no problem bears such steps long
        updates=6,
    ),
    Case("muon", {}, "Muon"),
    Case(
        "muon",
        {
            "momentum": 0.8,
            "nesterov": False,
            "iterations": 3,
            "scaling": "match_rms_adamw",
            "weight_decay": 0.01,
        },
        "Muon",
        {
            "momentum": 0.8,
            "nesterov": False,
            "ns_steps": 3,
            "adjust_lr_fn": "match_rms_adamw",
            "weight_decay": 0.01,
        },
    ),
]
"""Each optimizer that PyTorch has, in each option."""


def cases(*names: str) -> Any:
    """A decorator: the test is of each case of these optimizers."""
    return pytest.mark.parametrize("case", [c for c in CASES if c.name in names], ids=str)


def plans(*names: str) -> Any:
    """A decorator: the test is of each plan of these schedules."""
    return pytest.mark.parametrize(
        "plan", [p for p in PLANS if p.section["name"] in names], ids=str
    )


def assert_theirs(case: Case) -> None:
    """Ours is where PyTorch's is; skips without PyTorch."""
    pytest.importorskip("torch")
    found = compare(case)
    assert found.of_parameters < OF_PARAMETERS
    assert found.of_way < OF_WAY


def assert_their_rates(plan: Plan) -> None:
    """The same of a schedule."""
    pytest.importorskip("torch")
    assert compare_rates(plan) < OF_RATE


@cache
def problem() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Inputs `[B, 64]`, labels `[B]`, and the parameters to begin with, kernels `[I, O]`."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    random = np.random.default_rng(0)
    params = {
        "a_kernel": random.normal(size=(64, 8)) / 8,
        "a_bias": 0.1 * random.normal(size=8),
        "b_kernel": random.normal(size=(8, 10)) / 3,
        "b_bias": 0.1 * random.normal(size=10),
    }
    inputs = (digits.data[:256] / 16).astype(np.float32)
    return (
        inputs,
        digits.target[:256].astype(np.int32),
        {name: value.astype(np.float32) for name, value in params.items()},
    )


def loss_of(params: Any) -> jax.Array:
    """Cross entropy over all of the problem."""
    inputs, labels, _ = problem()
    hidden = jnp.tanh(jnp.asarray(inputs) @ params["a_kernel"] + params["a_bias"])
    logits = hidden @ params["b_kernel"] + params["b_bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(labels)).mean()


def built(name: str, rate: Any, options: dict[str, Any]) -> Any:
    """The optimizer as a config makes it, its options checked."""
    section = OPTIMIZERS.schema(name, OptimizerSection).model_validate({"name": name, **options})
    return OPTIMIZERS.build(section, learning_rate=rate)


def trajectory(tx: Any, updates: int = UPDATES) -> dict[str, np.ndarray]:
    """The parameters after so many updates."""

    @jax.jit
    def step(params: Any, opt_state: Any) -> Any:
        changes, opt_state = tx.update(jax.grad(loss_of)(params), opt_state, params)
        return optax.apply_updates(params, changes), opt_state

    params = jax.tree.map(jnp.asarray, problem()[2])
    opt_state = tx.init(params)
    for _ in range(updates):
        params, opt_state = step(params, opt_state)
    return {name: np.asarray(value, np.float64) for name, value in params.items()}


def their_trajectory(case: Case) -> dict[str, np.ndarray]:
    """The same by PyTorch, whose kernels are `[O, I]`."""
    import torch

    inputs, labels, start = problem()
    x, y = torch.tensor(inputs), torch.tensor(labels.astype(np.int64))
    params = {name: torch.tensor(value.T.copy()).requires_grad_() for name, value in start.items()}
    with in_float32(), one_thread():
        tx = [getattr(torch.optim, case.theirs)]
        groups = [list(params.values())]
        if case.theirs == "Muon":  # it takes matrices alone; ours trains the rest by AdamW
            groups = [[p for p in params.values() if p.ndim == n] for n in (2, 1)]
            decay = case.their_options.get("weight_decay", 0.1)
            tx.append(lambda p, lr, **_: torch.optim.AdamW(p, lr=lr, weight_decay=decay))
        optimizers = [
            make(group, lr=case.rate, **case.their_options)
            for make, group in zip(tx, groups, strict=True)
        ]
        for _ in range(case.updates):
            hidden = torch.tanh(x @ params["a_kernel"].T + params["a_bias"])
            logits = hidden @ params["b_kernel"].T + params["b_bias"]
            loss = torch.nn.functional.cross_entropy(logits, y)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
    return {name: value.detach().numpy().T.astype(np.float64) for name, value in params.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """More would wait for each other, at arrays of this size."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def in_float32() -> Iterator[None]:
    """PyTorch's Muon rounds to bfloat16 before it iterates: two digits, which would hide all."""
    import torch

    rounding = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = torch.Tensor.clone
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = rounding


def by_numpy(
    step: Callable[[dict[str, np.ndarray], dict[str, np.ndarray], int], dict[str, np.ndarray]],
    updates: int,
) -> dict[str, np.ndarray]:
    """What `step(params, gradients, t)`, t from 1, makes of the parameters, in float64."""
    params = {name: value.astype(np.float64) for name, value in problem()[2].items()}
    for t in range(1, updates + 1):
        params = step(params, gradients(params), t)
    return params


def gradients(params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of `loss_of`, by hand."""
    inputs, labels, _ = problem()
    hidden = np.tanh(inputs @ params["a_kernel"] + params["a_bias"])
    logits = hidden @ params["b_kernel"] + params["b_bias"]
    shares = np.exp(logits - logits.max(1, keepdims=True))
    off = (shares / shares.sum(1, keepdims=True) - np.eye(10)[labels]) / len(labels)
    back = (off @ params["b_kernel"].T) * (1 - hidden**2)
    return {
        "a_kernel": inputs.T @ back,
        "a_bias": back.sum(0),
        "b_kernel": hidden.T @ off,
        "b_bias": off.sum(0),
    }


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Within `OF_WAY` of the way that each array has gone."""
    start = problem()[2]
    for name, value in theirs.items():
        way = np.abs(value - start[name]).max()
        assert way > 0
        assert np.abs(ours[name] - value).max() < OF_WAY * way, name


def compare(case: Case) -> Difference:
    """The largest differences, array by array."""
    start = problem()[2]
    ours = trajectory(built(case.name, case.rate, case.options), case.updates)
    theirs = their_trajectory(case)
    gaps = {name: np.abs(ours[name] - theirs[name]).max() for name in start}
    return Difference(
        max(gaps[n] / np.abs(theirs[n]).max() for n in start),
        max(gaps[n] / np.abs(theirs[n] - start[n]).max() for n in start),
    )


# -- schedules -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """A section `schedule`, and PyTorch's scheduler of an optimizer."""

    section: dict[str, Any]
    theirs: Callable[[Any, Any], Any]
    steps_per_epoch: int = 10

    def __str__(self) -> str:
        name, *options = self.section.values()
        if name == "chain":
            options = [part["name"] for part in options[0]]
        return f"{name} {options}" if options else name


PLANS = [
    Plan(
        {"name": "step", "every": 30, "unit": "steps", "factor": 0.5},
        lambda of, tx: of.StepLR(tx, 30, 0.5),
    ),
    Plan({"name": "step", "every": 7, "factor": 0.1}, lambda of, tx: of.StepLR(tx, 70, 0.1)),
    Plan(
        {"name": "multi_step", "milestones": [3, 90, 91], "unit": "steps", "factor": 0.3},
        lambda of, tx: of.MultiStepLR(tx, [3, 90, 91], 0.3),
    ),
    Plan(
        {"name": "multi_step", "milestones": [6, 16]}, lambda of, tx: of.MultiStepLR(tx, [60, 160])
    ),
    Plan(
        {"name": "exponential", "factor": 0.98, "unit": "steps"},
        lambda of, tx: of.ExponentialLR(tx, 0.98),
    ),
    Plan({"name": "polynomial", "power": 2.0}, lambda of, tx: of.PolynomialLR(tx, STEPS, 2.0)),
    Plan({"name": "polynomial", "power": 0.5}, lambda of, tx: of.PolynomialLR(tx, STEPS, 0.5)),
    Plan(
        {"name": "linear", "start_scale": 0.25, "final_scale": 0.75},
        lambda of, tx: of.LinearLR(tx, 0.25, 0.75, STEPS),
    ),
    Plan({"name": "linear"}, lambda of, tx: of.LinearLR(tx, 1.0, 0.0, STEPS)),
    Plan(
        {"name": "cosine", "final_scale": 0.1},
        lambda of, tx: of.CosineAnnealingLR(tx, STEPS, 0.1 * RATE),
    ),
    Plan(
        {"name": "sgdr", "first": 5, "final_scale": 0.01},
        lambda of, tx: of.CosineAnnealingWarmRestarts(tx, 50, 1, 0.01 * RATE),
    ),
    Plan(
        {"name": "sgdr", "first": 9, "unit": "steps", "growth": 3},
        lambda of, tx: of.CosineAnnealingWarmRestarts(tx, 9, 3),
    ),
    Plan(
        {"name": "one_cycle"},
        lambda of, tx: of.OneCycleLR(tx, RATE, STEPS, cycle_momentum=False),
    ),
    Plan(
        {"name": "one_cycle", "three_phases": True, "peak_at": 0.4, "shape": "linear"},
        lambda of, tx: of.OneCycleLR(
            tx,
            RATE,
            STEPS,
            pct_start=0.4,
            three_phase=True,
            anneal_strategy="linear",
            cycle_momentum=False,
        ),
    ),
    Plan(
        {"name": "one_cycle", "peak_at": 0.257, "start_scale": 0.1, "final_scale": 0.001},
        lambda of, tx: of.OneCycleLR(
            tx,
            RATE,
            STEPS,
            pct_start=0.257,
            div_factor=10,
            final_div_factor=100,
            cycle_momentum=False,
        ),
    ),
    Plan(
        {"name": "step", "every": 50, "unit": "steps", "warmup_steps": 20, "warmup_from": 0.1},
        lambda of, tx: of.SequentialLR(
            tx, [of.LinearLR(tx, 0.1, 1.0, 20), of.StepLR(tx, 50, 0.1)], [20]
        ),
    ),
    Plan(
        {
            "name": "chain",
            "parts": [
                {"name": "constant", "epochs": 2, "scale": 0.5},
                {"name": "linear", "steps": 30, "start_scale": 0.5, "final_scale": 1.0},
                {"name": "exponential", "factor": 0.97, "unit": "steps", "fraction": 0.25},
                {"name": "polynomial", "power": 2.0},
            ],
        },
        lambda of, tx: of.SequentialLR(
            tx,
            [
                of.ConstantLR(tx, 0.5, 1000),
                of.LinearLR(tx, 0.5, 1.0, 30),
                of.ExponentialLR(tx, 0.97),
                of.PolynomialLR(tx, 100, 2.0),
            ],
            [20, 50, 100],
        ),
    ),
]
"""Each schedule that PyTorch has."""


def scheduled(section: dict[str, Any], total_steps: int, **given: Any) -> Any:
    """The schedule as a config makes it, its options checked."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in section.items()}
    schema = SCHEDULES.schema(section["name"], ScheduleSection)
    checked = schema.model_validate(SCHEDULES.complete(section["name"], values))
    return make_schedule(checked, RATE, total_steps, **given)


def rates(schedule: Any, steps: int = STEPS) -> np.ndarray:
    """The learning rate at each step."""
    return np.asarray(jax.jit(jax.vmap(schedule))(jnp.arange(steps)), np.float64)


def their_rates(plan: Plan) -> np.ndarray:
    """PyTorch's."""
    import torch

    tx = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = plan.theirs(torch.optim.lr_scheduler, tx)
    found = []
    for _ in range(STEPS):
        found.append(tx.param_groups[0]["lr"])
        tx.step()
        scheduler.step()
    return np.asarray(found)


def compare_rates(plan: Plan) -> float:
    """The largest difference over the rate of the same step."""
    ours = rates(scheduled(plan.section, STEPS, steps_per_epoch=plan.steps_per_epoch))
    theirs = their_rates(plan)
    return float((np.abs(ours - theirs) / theirs).max())


def main() -> None:
    """Print the largest differences, a component a line."""
    compiling.quickly()
    print(f"{'optimizer':86} {'parameters':>10} {'way':>10}")
    for case in CASES:
        found = compare(case)
        print(f"{case!s:86} {found.of_parameters:10.1e} {found.of_way:10.1e}")
    print(f"\n{'schedule':86} {'rate':>10}")
    for plan in PLANS:
        print(f"{str(plan)[:86]:86} {compare_rates(plan):10.1e}")


if __name__ == "__main__":
    main()
