"""A model of transformers, fine-tuned here and there: the same losses, step after step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.models import decoder, hf
from jaxtrain.step import create_train_state, make_train_step

STEPS, RATE, DECAY = 20, 3e-3, 0.1


def next_token(outputs, batch):
    """Of the outputs of a decoder: nats in all, and tokens that count."""
    return jnp.sum(outputs["nll"] * batch["mask"]), jnp.sum(batch["mask"])


def batches(vocab_size):
    """Rows of a text that can be learnt, some of them with tokens that don't count."""
    rng = np.random.default_rng(0)
    step = rng.integers(1, 5, (STEPS, 4, 1))
    tokens = (rng.integers(0, vocab_size, (STEPS, 4, 1)) + step * np.arange(25)) % vocab_size
    mask = (rng.random((STEPS, 4, 24)) > 0.2).astype(np.float32)
    for row, counted in zip(tokens.astype(np.int32), mask, strict=True):
        yield {"inputs": row[:, :-1], "labels": row[:, 1:], "mask": counted}


def their_losses(model):
    import torch

    tx = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, eps=1e-8)
    losses = []
    for batch in batches(model.config.vocab_size):
        # Theirs are shifted inside, and -100 does not count.
        counted = np.where(batch["mask"] > 0, batch["labels"], -100)
        labels = np.concatenate([np.full_like(counted[:, :1], -100), counted], axis=1)
        tokens = np.concatenate([batch["inputs"], batch["labels"][:, -1:]], axis=1)
        loss = model(
            input_ids=torch.tensor(tokens, dtype=torch.int64),
            labels=torch.tensor(labels, dtype=torch.int64),
        ).loss
        tx.zero_grad()
        loss.backward()
        tx.step()
        losses.append(loss.item())
    return losses


def our_losses(config, params):
    tx = optax.adamw(RATE, weight_decay=DECAY, eps=1e-8)
    model = decoder(config)
    step = jax.jit(make_train_step(model, next_token, tx))
    rows = list(batches(config.vocab_size))
    state = create_train_state(model, tx, rows[0], rng=jax.random.key(0), params=params)
    losses = []
    for batch in rows:
        state, output = step(state, batch)
        losses.append(float(output["loss"]))
    return losses, state.params


@pytest.mark.parametrize(
    ("family", "options"),
    [("llama", {}), ("gemma", {})],
)
def test_losses_of_a_fine_tune_follow_those_of_transformers(theirs, tmp_path, family, options):
    import torch

    model = theirs(family, **options)
    model.save_pretrained(tmp_path / "before")
    config, params = hf.load(tmp_path / "before")
    expected = their_losses(model.train())
    found, tuned = our_losses(config, params)
    assert expected[-1] < expected[0] - 0.8  # it has learnt
    difference = np.abs(np.array(found) - expected).max()
    assert difference < 1e-4, difference  # what is promised is 1e-3
    # And what has been learnt here goes back.
    hf.save(tmp_path / "after", config, tuned)
    again = type(model).from_pretrained(tmp_path / "after").state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.allclose(again[name], tensor, atol=1e-3), name
