"""How likely texts are: the sums of the logits' own, whatever they are asked with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError, NonFiniteError
from jaxtrain.generation import likelihood, log_likelihoods, text_likelihood, token_nlls
from jaxtrain.models import Model, decoder
from jaxtrain.models.decoder import hidden_states, logits

ROWS = [
    np.random.default_rng(number).integers(0, 96, length)
    for number, length in enumerate([2, 40, 7, 1, 17, 18, 33, 5, 5])
]


@pytest.fixture(scope="module")
def model(llama):
    """The model, its variables, and the exact nll of a row's tokens."""
    params, config = llama

    @jax.jit
    def exact(tokens):
        scores = logits(params, config, hidden_states(params, config, tokens[None, :-1]))[0]
        shares = jax.nn.log_softmax(scores)
        return -jnp.take_along_axis(shares, tokens[1:, None], axis=1)[:, 0]

    return decoder(config), {"params": params}, lambda row: np.asarray(exact(row))


def test_of_each_token_but_the_first(model):
    model, variables, exact = model
    found = token_nlls(model, variables, ROWS)
    assert [len(row) for row in found] == [len(row) - 1 for row in ROWS]
    for row, nll in zip(ROWS, found, strict=True):
        if len(row) > 1:
            np.testing.assert_allclose(nll, exact(row), rtol=2e-5, atol=2e-5)


def test_a_row_does_not_depend_on_what_it_is_asked_with(model):
    """Bit by bit: alone, among others, in another order, at another place of its batch."""
    model, variables, _ = model
    among = token_nlls(model, variables, ROWS, batch_tokens=96)
    backwards = token_nlls(model, variables, ROWS[::-1], batch_tokens=96)[::-1]
    for number, row in enumerate(ROWS):
        (alone,) = token_nlls(model, variables, [row], batch_tokens=96)
        np.testing.assert_array_equal(among[number], alone)
        np.testing.assert_array_equal(backwards[number], alone)


def test_a_continuation_behind_its_prompt(model):
    model, variables, exact = model
    row = ROWS[1]
    found = log_likelihoods(model, variables, [(row[:5], row[5:]), (row[:39], row[39:])])
    assert found[0] == pytest.approx(-exact(row)[4:].sum(), rel=1e-5)
    assert found[1] == pytest.approx(-exact(row)[38:].sum(), rel=1e-4)
    assert log_likelihoods(model, variables, []) == []


def test_all_of_it(model):
    model, variables, exact = model
    found = text_likelihood(model, variables, ROWS)
    total = sum(float(exact(row).sum()) for row in ROWS if len(row) > 1)
    assert found.tokens == sum(len(row) - 1 for row in ROWS)
    assert found.nll == pytest.approx(total, rel=1e-5)
    assert found.perplexity == pytest.approx(np.exp(total / found.tokens), rel=1e-4)
    assert likelihood.TextLikelihood(1e6, 1).perplexity == float("inf")


def test_one_compilation_a_bucket(model):
    model, variables, _ = model
    traced = []

    def apply(variables, batch, **options):
        traced.append(batch["inputs"].shape)
        return model.apply(variables, batch, **options)

    counting = Model(init=model.init, apply=apply)
    for rows in (ROWS, ROWS[:4], ROWS[::-1]):
        token_nlls(counting, variables, rows, batch_tokens=64)
    assert sorted(traced) == [(1, 64), (2, 32), (4, 16)]


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([[1, 2], []], DataError, "row 1: is empty"),
        ([[1, -2]], DataError, "row 0: expected tokens from 0"),
        ([[1] * 41], ConfigError, "row 0: has 41 tokens, more than the model is meant for"),
        ([[1, 2], [1, 96, 3]], NonFiniteError, "row 1: the model's nll is nan at token 1"),
    ],
)
def test_what_is_wrong_is_told_by_its_row(model, rows, kind, message):
    model, variables, _ = model
    with pytest.raises(kind, match=message):
        token_nlls(model, variables, rows, max_length=40)


@pytest.mark.parametrize(
    ("pair", "message"),
    [(([], [1]), "prompt 0: is empty"), (([1], []), "continuation 0: is empty")],
)
def test_neither_prompt_nor_continuation_is_empty(model, pair, message):
    model, variables, _ = model
    with pytest.raises(DataError, match=message):
        log_likelihoods(model, variables, [pair])


def test_nothing_to_predict(model):
    model, variables, _ = model
    with pytest.raises(DataError, match="expected at least one of two tokens or more"):
        text_likelihood(model, variables, [[1], [2]])


@pytest.mark.parametrize(("outputs", "said"), [({"logits": 1}, "found logits"), (1, "an array")])
def test_a_model_that_has_no_nll_is_told(outputs, said):
    silent = Model(init=lambda *_: {}, apply=lambda *_, **__: (outputs, {}))
    with pytest.raises(DataError, match=f"expected outputs with 'nll' .*{said}"):
        token_nlls(silent, {}, [[1, 2]])
