"""Faults found before training, on the user's own config.

    for finding in run_checks(RunData.of(make_config("configs/digits.py"))):
        print(finding.ok, finding.name, finding.detail)

The checks of the data come first; then those of the model, each on a small batch of real rows.
Each check of the model is also a function of its own, usable in a test suite or a notebook:
`check_gradients_reach`, `check_gradient_numerically`, `check_overfits`, `check_repeats`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.batch import batch_size
from jaxtrain.compiling import jit
from jaxtrain.data import Finding
from jaxtrain.data.epoch_order import LastBatch
from jaxtrain.models import Model
from jaxtrain.run.data import RunData
from jaxtrain.run.experiment import Experiment
from jaxtrain.run.figures import loss_for
from jaxtrain.run.planning import refuse_what_train_refuses
from jaxtrain.run.step_options import step_options, without_schedule
from jaxtrain.run.task import Task
from jaxtrain.step import (
    LossFn,
    TrainState,
    create_train_state,
    make_eval_step,
    make_train_step,
)

Batch = dict[str, np.ndarray]

SMALL_BATCH = 16
OVERFIT_STEPS = 1000
OVERFIT_LOSS = 0.01  # of a regression: of the variance of the batch's labels
GRADIENT_TOLERANCE = 0.02
RANDOM_TOLERANCE = 0.2
RANDOM_DIRECTIONS = 3


def run_checks(data: RunData) -> Iterator[Finding]:
    """Check data, model and the very step of the run, one finding after the other.

    Where the data are broken, what they are broken by is all that can be said. The gradient of an
    adapter with DoRA is not compared with differences: by definition it holds norms fixed.

    Raises:
        ConfigError: the parts don't fit each other, or training would refuse to begin.
    """
    yield from data.findings
    if data.broken:
        return
    task = Task.of(data)
    refuse_what_train_refuses(Experiment(task, state=task.abstract_state()))
    batch, state = small_batch(data), task.initial_state()
    moved = state.replace(params=_off_the_kinks(state.params))
    adapter = task.parameters.adapter
    # Where something begins at 0, as a factor of an adapter or the last scale of a residual block,
    # no gradient reaches what stands behind it, at first.
    yield check_gradients_reach(task.model, task.loss, moved, batch)
    if adapter is None or not adapter.dora:
        yield check_gradient_numerically(task.model, task.loss, moved, batch)
    yield _overfit(task, batch)
    yield check_repeats(task.train_step, state, batch)


def small_batch(data: RunData) -> Batch:
    """Some 16 rows of the first epoch, so that their classes are mixed.

    As many as the run's micro-batches can share evenly, those of all its virtual shards; where
    there are not so many, padded.
    """
    options, train = data.config.train, data.train
    micro_batches = options.accumulate * (options.virtual_shards or 1)
    size = micro_batches * max(1, min(SMALL_BATCH, len(train)) // micro_batches)
    last_batch: LastBatch = "drop" if size <= len(train) else "pad"
    loader = train.loader(batch_size=size, shuffle=True, seed=0, last_batch=last_batch)
    return dict(next(iter(loader)))


def check_gradients_reach(model: Model, loss: LossFn, state: TrainState, batch: Batch) -> Finding:
    """Whether every parameter gets a gradient that is finite and not zero throughout."""
    grads = jax.jit(jax.grad(_loss_of(model, loss, state, batch)))(state.params)
    largest = jax.device_get(jax.tree.map(lambda g: jnp.abs(g).max(), grads))
    found = {
        jax.tree_util.keystr(path, simple=True, separator="/"): float(value)
        for path, value in jax.tree_util.tree_leaves_with_path(largest)
    }
    without = [name for name, value in found.items() if value == 0]
    broken = [name for name, value in found.items() if not np.isfinite(value)]
    name = "every parameter gets a gradient"
    if without or broken:
        detail = [f"none reaches {', '.join(without)}"] if without else []
        detail += [f"NaN or Inf reaches {', '.join(broken)}"] if broken else []
        return Finding(name, False, "; ".join(detail))
    return Finding(name, True, f"{len(found)} arrays")


def check_gradient_numerically(
    model: Model, loss: LossFn, state: TrainState, batch: Batch
) -> Finding:
    """Whether the gradient is what central differences say, for each parameter array.

    Along a unit direction d the loss changes by `(L(p + h d) - L(p - h d)) / 2h`, which has to be
    the product of d and the gradient g. Two kinds of d are tried. With d = g / |g| the product is
    |g|: wrong values show. Components that g lacks altogether only show along directions that
    have them, so some random ones, always the same, are tried as well. Along one of them the
    product is about |g| / sqrt(n) large, for an array of n numbers, and that is what the
    difference is compared with there.

    The step h is the one among several at which the two agree best: a large one sees the
    curvature, a small one float32's rounding.
    """
    # Matrix products of less than float32, an accelerator's default, would be all that is seen.
    with jax.default_matmul_precision("float32"):
        return _check_gradient(model, loss, state, batch)


def _check_gradient(model: Model, loss: LossFn, state: TrainState, batch: Batch) -> Finding:
    objective = jax.jit(_loss_of(model, loss, state, batch))
    grads = jax.jit(jax.grad(_loss_of(model, loss, state, batch)))(state.params)
    leaves, treedef = jax.tree.flatten(state.params)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(state.params)]
    largest = float(jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(grads))))
    name, start = "gradient equals finite differences", float(objective(state.params))
    if not (np.isfinite(start) and np.isfinite(largest)):
        return Finding(name, False, f"the loss is {start}, the gradient's norm {largest}")
    if not largest:
        return Finding(name, False, "the gradient is 0 throughout: nothing to compare with")
    random = np.random.default_rng(0)
    worst = {"along it": (0.0, ""), "along random directions": (0.0, "")}
    for i, (path, grad) in enumerate(zip(paths, jax.tree.leaves(grads), strict=True)):
        norm = float(jnp.linalg.norm(grad.reshape(-1)))
        if norm < 1e-3 * largest:
            continue  # below what differences of float32 losses can resolve
        scale = max(float(jnp.linalg.norm(leaves[i].reshape(-1))), 1.0)

        def slope(direction: Any, distance: float, i: int = i) -> float:
            ends = []
            for signed in (distance, -distance):
                moved = [*leaves[:i], leaves[i] + signed * direction, *leaves[i + 1 :]]
                ends.append(float(objective(jax.tree.unflatten(treedef, moved))))
            return (ends[0] - ends[1]) / (2 * distance)

        directions = [("along it", grad / norm, norm)]
        for _ in range(RANDOM_DIRECTIONS):
            drawn = random.normal(size=grad.shape)
            drawn = (drawn / np.linalg.norm(drawn)).astype(grad.dtype)
            directions.append(("along random directions", drawn, norm / np.sqrt(grad.size)))
        for kind, direction, unit in directions:
            expected = float(jnp.vdot(grad, direction))
            errors = [
                abs(slope(direction, h * scale) - expected) / unit
                for h in (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)
            ]
            # One that leaves the range of the numbers says nothing, unless all of them do.
            error = min((error for error in errors if np.isfinite(error)), default=float("inf"))
            if error > worst[kind][0]:
                where = " at " + jax.tree_util.keystr(path, simple=True, separator="/")
                worst[kind] = error, where
    allowed = {"along it": GRADIENT_TOLERANCE, "along random directions": RANDOM_TOLERANCE}
    detail = "largest relative difference " + "; ".join(
        f"{kind} {error:.1e}{where} (at most {allowed[kind]})"
        for kind, (error, where) in worst.items()
    )
    return Finding(name, all(worst[kind][0] <= allowed[kind] for kind in worst), detail)


def check_overfits(
    model: Model,
    loss: LossFn,
    tx: Any,
    batch: Batch,
    *,
    seed: int = 0,
    steps: int = OVERFIT_STEPS,
    **options: Any,
) -> Finding:
    """Whether training on one small batch alone, finite throughout, brings its loss near zero.

    That is below 0.01, or, where the labels are numbers to predict, below 1% of their variance in
    the batch: the squared error of their mean, which a model that learns nothing may reach.

    Args:
        model: the model; its loss is taken without dropout.
        loss: a loss that can reach zero, so without label smoothing.
        tx: the optimizer.
        batch: the batch.
        seed: of the initialisation.
        steps: how many steps it may take.
        options: of the step, as `make_train_step` takes them.
    """
    precision = options.get("precision", "float32")
    # Beside random numbers an adapter learns rows by heart as well.
    frozen = "init" if model.wants_frozen else None
    state = create_train_state(
        model, tx, batch, rng=jax.random.key(seed), precision=precision, frozen=frozen
    )
    step = jit(make_train_step(model, loss, tx, **options))
    evaluate = jit(make_eval_step(model, loss, precision=precision))
    name, reached, finite = "overfits a tiny batch", float("inf"), jnp.bool_(True)
    bound, labels = OVERFIT_LOSS, np.asarray(batch.get("labels", 0))
    if np.issubdtype(labels.dtype, np.floating):
        variance = float(labels.astype(np.float64).var(axis=0).mean())
        bound *= variance or 1.0  # where they are all equal
    for done in range(1, steps + 1):
        state, output = step(state, batch)
        finite &= output["finite"]
        if done % 25 == 0:
            if not finite:
                return Finding(name, False, f"NaN or Inf within the first {done} steps")
            reached = float(evaluate(state, batch)[1]["loss"])
            if reached < bound:
                break
    detail = f"{batch_size(batch)} rows, loss {reached:.3g} after {done} steps"
    return Finding(name, reached < bound, f"{detail} (must fall below {bound:.3g})")


def check_repeats(step: Any, state: TrainState, batch: Batch, *, steps: int = 5) -> Finding:
    """Whether the same steps from the same state, each of them finite, give the same bits twice.

    They are compiled anew for the second time. An update that is not finite is left out, so that
    such steps would always agree.
    """
    name, finite, results = "repeats bit for bit", [], []
    for _ in range(2):
        compiled = jit(lambda state, batch: step(state, batch))
        now = state
        for _ in range(steps):
            now, output = compiled(now, batch)
            finite.append(output.get("finite", True))
        if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(now.params)):
            return Finding(name, False, f"NaN or Inf in the parameters after {steps} steps")
        results.append([np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(now.params)])
    broken = np.flatnonzero(~np.asarray(finite))
    if broken.size:
        return Finding(name, False, f"NaN or Inf in step {broken[0] % steps + 1}")
    if results[0] == results[1]:
        return Finding(name, True, f"{steps} steps, twice")
    different = sum(a != b for a, b in zip(*results, strict=True))
    return Finding(name, False, f"after {steps} steps, {different} parameter arrays differ")


def _off_the_kinks(params: Any) -> Any:
    """Parameters a little beside those that a model begins with.

    Biases begin at 0. Where an image is black, all that reaches a relu is such a bias: it stands
    in the one point where a relu has no derivative, and differences are half of what they should
    be.
    """
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: leaf + (0.01 * random.normal(size=leaf.shape)).astype(leaf.dtype), params
    )


def _overfit(task: Task, batch: Batch) -> Finding:
    """With the run's own model and optimizer, at a constant rate and without smoothing.

    Of an adapter it is the base that is tried, all of it: what a few ranks on what others have
    learnt can reach nobody knows beforehand.
    """
    config, loss = task.config, task.loss
    # Patterns of groups are those of the adapter, where there is one.
    whole = config.lora is not None
    optimizer = config.optimizer.model_copy(update={"groups": {}} if whole else {})
    tx = without_schedule(config.model_copy(update={"optimizer": optimizer}))
    if hasattr(config.loss, "label_smoothing"):
        loss = loss_for(config, class_counts=task.data.class_counts(), label_smoothing=0.0)
    # Mixtures can't be learnt by heart, and of an average there is nothing to see.
    left = step_options(config) | {"mix": None, "ema_decay": None}
    left |= {"freeze": ()} if whole else {}
    return check_overfits(task.parameters.base, loss, tx, batch, seed=config.seed, **left)


def _loss_of(model: Model, loss: LossFn, state: TrainState, batch: Batch) -> Any:
    """The loss as a function of the parameters, with one fixed dropout mask, in float32."""
    key = jax.random.fold_in(state.rng, 0)

    def objective(params: Any) -> jax.Array:
        outputs, _ = model.apply(state.variables(params), batch, train=True, rngs={"dropout": key})
        total, weight = loss(outputs, batch)
        return total / weight

    return objective
