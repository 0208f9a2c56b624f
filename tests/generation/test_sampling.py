"""Sampling: the filters of transformers, and the distribution that they leave."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.generation.sampling import Sampling, choose, filtered

LOGITS = np.random.default_rng(0).normal(0, 2, (4, 50)).astype(np.float32)


def kept(logits, **options):
    """Probabilities after the filters, `[B, V]`, tokens in their own order."""
    sampling = Sampling(**options)
    knobs = sampling.knobs()
    tokens, scores = filtered(jnp.asarray(logits) / knobs.temperature, knobs)
    shares = np.zeros(logits.shape, np.float32)
    np.put_along_axis(shares, np.asarray(tokens), np.asarray(jax.nn.softmax(scores)), axis=-1)
    return shares


def theirs(logits, *, temperature, top_k=None, top_p=None):
    """The same by transformers' own processors, in the order of its `generate`."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    chain = [transformers.TemperatureLogitsWarper(temperature)]
    if top_k is not None:
        chain.append(transformers.TopKLogitsWarper(top_k))
    if top_p is not None and top_p < 1:
        chain.append(transformers.TopPLogitsWarper(top_p))
    scores = torch.tensor(logits)
    for warper in chain:
        scores = warper(None, scores)
    return torch.softmax(scores, -1).numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 1},
        {"top_k": 7},
        {"top_k": 50},
        {"top_k": 1000},
        {"top_p": 1e-6},
        {"top_p": 0.3},
        {"top_p": 0.95},
        {"top_p": 1.0},
        {"top_k": 9, "top_p": 0.8},
        {"top_k": 9, "top_p": 1.0},
    ],
)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_filters_are_those_of_transformers(options, temperature):
    found = kept(LOGITS, temperature=temperature, **options)
    expected = theirs(LOGITS, temperature=temperature, **options)
    np.testing.assert_array_equal(found > 0, expected > 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_equally_likely_tokens_top_k_keeps_all():
    logits = np.array([[1, 3, 2, 2, 2, 0]], np.float32)
    for top_k in (2, 3, 4):
        found = kept(logits, temperature=1.0, top_k=top_k)
        assert (found > 0).tolist() == [[False, True, True, True, True, False]]
        np.testing.assert_allclose(found, theirs(logits, temperature=1.0, top_k=top_k), rtol=1e-6)


def test_of_equally_likely_tokens_top_p_keeps_the_first():
    found = kept(np.zeros((1, 8), np.float32), temperature=1.0, top_p=0.3)
    assert (found[0] > 0).tolist() == [True] * 3 + [False] * 5  # 0.25 is less than 0.3


def test_a_sum_of_exactly_top_p_is_enough():
    logits = np.log(np.array([[0.5, 0.25, 0.125, 0.125]], np.float32))
    found = kept(logits, temperature=1.0, top_p=0.75)
    assert (found[0] > 0).tolist() == [True, True, False, False]
    assert (theirs(logits, temperature=1.0, top_p=0.75)[0] > 0).tolist() == [True] * 2 + [False] * 2


def test_top_p_is_of_what_top_k_has_left():
    logits = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32))
    found = kept(logits, temperature=1.0, top_k=2, top_p=0.55)  # 0.57 of 0.4 + 0.3
    assert (found[0] > 0).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 0.6},
        {"temperature": 1.0, "top_k": 4},
        {"temperature": 1.5, "top_p": 0.7},
    ],
    ids=str,
)
def test_draws_follow_the_filtered_softmax(options):
    """A chi-squared test; the seed is fixed, so it passes or fails for good."""
    logits = LOGITS[:1, :12]
    sampling, number = Sampling(**options), 20_000
    keys = jax.random.split(jax.random.key(0), number)
    rows = jnp.broadcast_to(jnp.asarray(logits), (number, 12))
    drawn = np.asarray(choose(rows, sampling.knobs(), sampling.form(), keys))
    counts = np.bincount(drawn, minlength=12)
    expected = theirs(logits, **options)[0] * number
    assert counts[expected == 0].sum() == 0
    there = expected > 0
    off = ((counts[there] - expected[there]) ** 2 / expected[there]).sum()
    assert off < 31.3  # the 99.9 % quantile at 11 degrees of freedom


def test_greedy_takes_the_likeliest_and_the_first_of_several():
    sampling = Sampling()
    logits = jnp.asarray([[0.0, 2.0, 2.0], [5.0, 1.0, 5.0]])
    keys = jax.random.split(jax.random.key(0), 2)
    assert choose(logits, sampling.knobs(), sampling.form(), keys).tolist() == [1, 0]


@pytest.mark.parametrize("top_p", [None, 0.9])
def test_the_coldest_temperature_is_greedy_and_finite(top_p):
    sampling = Sampling(temperature=1e-37, top_p=top_p)
    keys = jax.random.split(jax.random.key(0), 4)
    found = choose(jnp.asarray(LOGITS) * 1e4, sampling.knobs(), sampling.form(), keys)
    assert found.tolist() == LOGITS.argmax(-1).tolist()


def test_only_filters_sort():
    assert Sampling().form() == "greedy"
    assert Sampling(temperature=1.0).form() == "plain"
    assert Sampling(temperature=1.0, top_p=1.0).form() == "plain"
    assert Sampling(temperature=1.0, top_k=5).form() == "filtered"
    assert Sampling(temperature=1.0, top_p=0.5).form() == "filtered"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature: expected 0"),
        ({"temperature": float("nan")}, "temperature: expected 0"),
        ({"temperature": float("inf")}, "temperature: expected 0"),
        ({"temperature": 1e-45}, "temperature: expected 0"),
        ({"temperature": 1.0, "top_k": 0}, "top_k: expected a whole number from 1, found 0"),
        ({"temperature": 1.0, "top_k": 1.5}, "top_k: expected a whole number"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p: expected more than 0"),
        ({"temperature": 1.0, "top_p": 1.01}, "top_p: expected more than 0 and at most 1"),
        ({"temperature": 1.0, "top_p": float("nan")}, "top_p: expected"),
        ({"top_p": 0.9}, "temperature=0 takes the likeliest token and reads neither"),
        ({"top_k": 5}, "temperature=0 takes the likeliest token"),
    ],
)
def test_what_is_out_of_range_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**options)
