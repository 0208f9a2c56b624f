"""What metrics of tokens read: what a decoder says, or plain logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine import Engine
from jaxtrain.errors import DataError
from jaxtrain.metrics import Loss, Perplexity, TokenAccuracy, Tokens
from jaxtrain.models import Model
from jaxtrain.models.token_losses import token_losses
from jaxtrain.optim import sgd
from jaxtrain.step import create_train_state, make_train_step, next_token

B, L, V = 3, 4, 6
LOGITS = np.random.default_rng(0).normal(size=(B, L, V)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, V, (B, L)).astype(np.int32)
LABELS[0, :2] = LOGITS[0, :2].argmax(axis=-1)
MASK = np.float32([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])


def says():
    """What a decoder of these logits says."""
    return token_losses(LOGITS, np.eye(V, dtype=np.float32), LABELS)._asdict()


FORMS = {"says": says, "logits": lambda: LOGITS, "dict": lambda: {"logits": LOGITS}}
forms = pytest.mark.parametrize("form", FORMS)
METRICS = {"perplexity": Perplexity(), "token_accuracy": TokenAccuracy(), "tokens": Tokens()}


@forms
def test_nll_and_correct_are_those_of_the_logits(form):
    output = {"outputs": FORMS[form](), "labels": LABELS}
    log_p = jax.nn.log_softmax(LOGITS)
    expected = -np.take_along_axis(np.asarray(log_p), LABELS[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(Perplexity().nll(output), expected, rtol=1e-5)
    hits = LOGITS.argmax(axis=-1) == LABELS
    assert 0 < hits.sum() < hits.size
    np.testing.assert_array_equal(TokenAccuracy().correct(output), hits)


def test_what_the_model_says_is_read_without_labels():
    output = {"outputs": says()}
    assert Perplexity().nll(output).shape == TokenAccuracy().correct(output).shape == (B, L)


@pytest.mark.parametrize("label", [-1, V, 2**31 - 1])
def test_a_label_that_is_no_token(label):
    labels = LABELS.copy()
    labels[0, 0] = label
    output = {"outputs": LOGITS, "labels": labels}
    assert np.isnan(Perplexity().nll(output)).sum() == 1
    assert not TokenAccuracy().correct(output)[0, 0]


def test_logits_with_nan_are_wrong():
    logits = LOGITS.copy()
    logits[0, 0, LABELS[0, 0]] = np.nan
    output = {"outputs": logits, "labels": LABELS}
    assert not TokenAccuracy().correct(output)[0, 0]
    assert np.isnan(Perplexity().nll(output)[0, 0])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32"])
def test_labels_of_any_whole_dtype(dtype):
    logits = np.zeros((1, 1, 300), np.float32)
    logits[..., 1] = 9.0
    output = {"outputs": logits, "labels": np.array([[1]], dtype)}
    assert bool(TokenAccuracy().correct(output)[0, 0])
    assert float(Perplexity().nll(output)[0, 0]) < 0.1


def test_a_head_is_named_by_its_path():
    output = {"outputs": {"a": LOGITS, "b": says()}, "next": {"a": LABELS}, "real": MASK}
    for path in ("outputs.a", "outputs.b"):
        metric = TokenAccuracy(outputs=path, labels="next.a", mask="real")
        value = metric.compute(metric.update(metric.empty(), output))
        assert float(value) == (MASK * (LOGITS.argmax(-1) == LABELS)).sum() / 6


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"outputs": LOGITS, "labels": LABELS[:2]}, r"outputs \(3, 4, 6\), labels \(2, 4\)"),
        ({"outputs": LOGITS, "labels": LABELS * 1.0}, "whole numbers, found labels of float"),
        ({"outputs": LOGITS}, "the metric Perplexity reads 'labels'"),
        ({"outputs": {"scores": LOGITS, "more": 1}, "labels": LABELS}, "name one of"),
    ],
)
def test_what_does_not_fit_is_named(output, message):
    with pytest.raises(DataError, match=message):
        Perplexity().update(Perplexity().empty(), output)


@forms
def test_over_batches_and_merged_it_is_the_same(form):
    """As the carry of a scan, and merged of parts."""
    output = {"outputs": FORMS[form](), "labels": jnp.asarray(LABELS), "mask": jnp.asarray(MASK)}
    rows = [jax.tree.map(lambda x, i=i: jnp.asarray(x)[i : i + 1], output) for i in range(B)]
    for metric in METRICS.values():
        whole = metric.compute(metric.update(metric.empty(), output))
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *rows)
        carried, _ = jax.lax.scan(
            lambda state, row, metric=metric: (metric.update(state, row), None),
            metric.empty(),
            stacked,
        )
        parts = [metric.update(metric.empty(), row) for row in rows]
        merged = metric.merge(
            metric.merge(parts[0], parts[1]), metric.merge(parts[2], metric.empty())
        )
        for state in (carried, merged):
            np.testing.assert_allclose(metric.compute(state), whole, rtol=1e-6)


# -- in an engine --------------------------------------------------------------------------------


def bigrams(tiled):
    def apply(variables, batch, *, train, rngs=None):
        hidden = variables["params"]["embedding"][batch["inputs"]]
        if tiled:
            return token_losses(hidden, np.eye(V, dtype=np.float32), batch["labels"])._asdict(), {}
        return hidden, {}

    return Model(init=lambda rng, batch: {"params": {"embedding": jnp.eye(V)}}, apply=apply)


@pytest.mark.parametrize("tiled", [True, False])
def test_no_logits_leave_the_step(tiled):
    """The engine hands out what is declared to be read; the metrics are read inside."""
    batch = {"inputs": LABELS, "labels": np.roll(LABELS, -1, axis=1), "mask": MASK}
    state = create_train_state(bigrams(tiled), sgd(0.1), batch, rng=jax.random.key(0))
    trainer = Engine(make_train_step(bigrams(tiled), next_token(z_loss=0.1), sgd(0.1)), state)
    trainer.add_metrics({"loss": Loss(), **METRICS})
    trainer.run([batch], max_epochs=1)
    found = trainer.state.metrics
    assert float(found["tokens"]) == 6
    assert np.log(float(found["perplexity"])) < float(found["loss"])  # without the z-loss
    with pytest.raises(DataError, match=r"'outputs'\] is an array that did not leave"):
        trainer.state.output["outputs"]
    assert {np.shape(value) for value in trainer.state.output.values()} == {()}
