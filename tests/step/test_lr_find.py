import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import Model
from jaxtrain.optim import OPTIMIZERS, adamw, injected, sgd
from jaxtrain.step import create_train_state, lr_find, make_train_step, mean_squared_error
from jaxtrain.step.lr_find import _steepest
from tests.optim.parity import built

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
BATCHES = [{"inputs": X, "labels": X @ np.float32([1, -2, 3, 0.5])[:, None]}] * 3

MODEL = Model(
    init=lambda rng, batch: {"params": {"w": 0.1 * jax.random.normal(rng, (4, 1))}},
    apply=lambda variables, batch, **_: (batch["inputs"] @ variables["params"]["w"], {}),
)


def parts(tx):
    step = make_train_step(MODEL, mean_squared_error(), tx)
    return step, create_train_state(MODEL, tx, BATCHES[0], rng=jax.random.key(0))


def test_the_state_that_is_given_stays_as_it_is():
    step, state = parts(sgd(0.5))
    before = jax.tree.map(np.asarray, jax.tree.leaves(state.replace(rng=None)))
    found = lr_find(step, state, BATCHES, steps=20)
    for leaf, was in zip(jax.tree.leaves(state.replace(rng=None)), before, strict=True):
        np.testing.assert_array_equal(leaf, was)
    assert found.rates[0] == pytest.approx(1e-7)
    assert np.diff(np.log(found.rates)) == pytest.approx(np.log(1e8) / 19)


def means_of(losses, smoothing):
    weights = [[smoothing ** (n - m) for m in range(n + 1)] for n in range(len(losses))]
    return [np.average(losses[: len(w)], weights=w) for w in weights]


def test_it_stops_where_the_loss_diverges_and_suggests_the_steepest_descent():
    step, state = parts(sgd(0.5))
    options = {"smoothing": 0.5, "divergence": 1.5}
    found = lr_find(step, state, BATCHES, lowest=1e-3, highest=10.0, steps=60, **options)
    assert found.diverged
    assert len(found.rates) < 60
    means = means_of(found.losses, 0.5)
    over = [mean > 1.5 * min(means[: n + 1]) for n, mean in enumerate(means)]
    assert over == [False] * (len(means) - 1) + [True]
    before = int(np.argmin(found.smoothed)) + 1
    slopes = np.gradient(found.smoothed, np.log(found.rates))[:before]
    assert found.suggestion == found.rates[int(np.argmin(slopes))]
    assert 1e-3 < found.suggestion < 1


def test_the_losses_are_those_of_steps_at_these_rates():
    step, state = parts(sgd(0.5))
    found = lr_find(step, state, BATCHES, lowest=1e-3, highest=0.1, steps=4, smoothing=0.5)
    w, losses = np.asarray(state.params["w"], np.float64), []
    for rate in (1e-3, 1e-3 * 100 ** (1 / 3), 1e-3 * 100 ** (2 / 3)):
        off = X @ w - BATCHES[0]["labels"]
        losses.append(np.mean(off**2))
        w = w - rate * 2 * X.T @ off / 16
    assert found.losses[:3] == pytest.approx(losses, rel=1e-5)
    back = means_of(means_of(found.losses, 0.5)[::-1], 0.5)[::-1]
    assert found.smoothed == pytest.approx(back)
    assert not found.diverged


def test_a_loss_that_is_not_finite_ends_it():
    step, state = parts(sgd(0.5))
    batches = [*BATCHES, {**BATCHES[0], "labels": np.full((16, 1), np.nan, np.float32)}]
    found = lr_find(step, state, batches, steps=9)
    assert found.diverged
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 3


def test_where_it_never_falls_nothing_is_suggested():
    step, state = parts(sgd(0.5))
    still = state.replace(params={"w": jnp.zeros((4, 1))})
    nothing = {**BATCHES[0], "labels": np.zeros((16, 1), np.float32)}
    assert lr_find(step, still, [nothing], steps=5).suggestion is None


def test_a_fall_behind_the_lowest_loss_is_no_suggestion():
    """As that from a peak to a plateau, once the rate is far too high."""
    rates = [1e-3, 1e-2, 1e-1, 1.0, 10.0]
    assert _steepest(rates, [3.0, 2.5, 1.0, 9.0, 2.0]) in (1e-2, 1e-1)
    assert _steepest(rates, [1.0, 2.0, 3.0, 9.0, 2.0]) is None


@pytest.mark.parametrize("name", ["adafactor", "muon", "prodigy", "adam"])
def test_any_optimizer_of_the_catalogue_can_be_swept(name):
    assert name in OPTIMIZERS.names()
    step, state = parts(built(name, 1e-3, {}))
    assert len(lr_find(step, state, BATCHES, steps=4).losses) == 4


@pytest.mark.parametrize(
    ("tx", "batches", "options", "message"),
    [
        (adamw(lambda step: 0.1), BATCHES, {}, "a schedule's"),
        (optax.adam(0.1), BATCHES, {}, "keeps no learning rate"),
        (injected(optax.adam, 0.1), [], {}, "expected batches, found none$"),
        (sgd(0.1), iter(BATCHES), {}, "found none when they were gone through again"),
        (sgd(0.1), BATCHES, {"lowest": 1.0, "highest": 0.1}, "expected 0 < lowest < highest"),
        (sgd(0.1), BATCHES, {"steps": 1}, "steps: expected at least 2, found 1"),
        (sgd(0.1), BATCHES, {"divergence": 1.0}, "smoothing, divergence: expected"),
        (sgd(0.1), BATCHES, {"smoothing": 1.0}, "smoothing, divergence: expected"),
    ],
)
def test_what_can_not_be_swept_is_told(tx, batches, options, message):
    with pytest.raises(ConfigError, match=message):
        lr_find(*parts(tx), batches, **options)


def test_a_first_loss_that_is_not_finite_is_told():
    step, state = parts(sgd(0.5))
    bad = {**BATCHES[0], "labels": np.full((16, 1), np.inf, np.float32)}
    with pytest.raises(ConfigError, match="expected finite losses of two steps at least, found 0"):
        lr_find(step, state, [bad])


def test_a_loss_may_be_negative():
    """As that of a density's logarithm."""
    step, state = parts(sgd(0.5))

    def below(state, batch):
        state, output = step(state, batch)
        return state, output | {"loss": output["loss"] - 100.0}

    found = lr_find(below, state, BATCHES, lowest=1e-4, highest=1e-2, steps=8)
    assert len(found.losses) == 8
    assert not found.diverged
