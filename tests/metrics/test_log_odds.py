import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from jaxtrain.metrics.log_odds import log_odds, logit

INF = np.inf


def by_hand(logits):
    """In float64, class by class: its logit less the log-sum-exp of the others."""
    others = [np.delete(logits, k, axis=-1) for k in range(logits.shape[-1])]
    return logits - np.stack([logsumexp(rest, axis=-1) for rest in others], axis=-1)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("xp", [np, jnp])
def test_it_is_the_logit_less_the_log_sum_exp_of_the_others(xp, scale):
    logits = scale * np.random.default_rng(0).normal(size=(200, 5))
    logits[:5] = np.round(logits[:5])  # ties
    if xp is jnp:
        logits = logits.astype(np.float32).astype(np.float64)
    with np.errstate(divide="ignore"):  # where a probability is 1
        found = log_odds(xp.asarray(logits, np.float32 if xp is jnp else np.float64), xp=xp)
    tolerance = 2e-6 if xp is jnp else 1e-13
    np.testing.assert_allclose(
        found, by_hand(logits), rtol=tolerance, atol=tolerance * max(scale, 1)
    )


def test_it_is_that_of_softmax():
    logits = np.random.default_rng(1).normal(size=(50, 4))
    p = np.exp(log_softmax(logits, axis=-1))
    np.testing.assert_allclose(log_odds(logits, xp=np), logit(p, xp=np), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("xp", [np, jnp])
def test_of_the_infinite(xp):
    def of(*logits):
        with np.errstate(all="ignore"):
            return np.asarray(log_odds(xp.asarray(np.float32(logits)), xp=xp)).tolist()

    assert of(INF, 0, 1) == [INF, -INF, -INF]
    found = of(-INF, 0, 1)
    assert found == pytest.approx([-INF, -1, 1])
    assert of(-INF, 0, -INF) == [-INF, INF, -INF]
    assert np.isnan(of(INF, INF, 0)).any()
    assert np.isnan(of(np.nan, 1, 0)).all()
    assert np.isnan(of(1, np.nan, 0)).all()


def test_of_probabilities():
    with np.errstate(all="ignore"):
        assert logit(np.array([0.0, 0.5, 0.75, 1.0]), xp=np).tolist() == pytest.approx(
            [-INF, 0, np.log(3), INF]
        )
        assert np.isnan(logit(np.array([-0.1, 1.1, np.nan]), xp=np)).all()
