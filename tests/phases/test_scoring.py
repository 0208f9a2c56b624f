import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import Dataset
from jaxtrain.data.text.packing import Packing
from jaxtrain.data.text.token_rows import TokenRows
from jaxtrain.data.text.tokens import Encoded, gathered
from jaxtrain.errors import ConfigError, NonFiniteError
from jaxtrain.models import Model
from jaxtrain.phases import baseline, score
from jaxtrain.retention import Baseline
from jaxtrain.run import make_config
from jaxtrain.run.data import read_splits

CONFIG = make_config({"data": {"batch_size": 4}})


def constant(logits):
    """A model that says the same of every row."""

    def apply(variables, batch, *, train, rngs=None):
        return jnp.broadcast_to(jnp.asarray(logits), (len(batch["inputs"]), len(logits))), {}

    return Model(init=lambda rng, batch: {"params": {}}, apply=apply)


def test_of_classes_it_is_whether_the_likeliest_is_right():
    rows = Dataset(
        np.zeros((6, 2), np.float32), np.array([0, 1, 2, 1, 1, 0], np.int32), num_outputs=3
    )
    found = score(constant([0.0, 1.0, 0.0]), {"params": {}}, rows, reader=None, config=CONFIG)
    assert found.score.tolist() == [0, 1, 0, 1, 1, 0]  # six of them: the last batch is padded
    z = math.log(math.e + 2)
    np.testing.assert_allclose(found.nll, [z, z - 1, z, z - 1, z - 1, z], rtol=1e-6)
    assert found.weight.tolist() == [1] * 6
    assert baseline(rows, CONFIG).majority == 0.5
    assert baseline(rows, CONFIG).random == pytest.approx(1 / 3)


def test_of_text_it_is_the_share_of_tokens_that_are_right():
    """Padding and what a prompt says do not count."""

    def apply(variables, batch, *, train, rngs=None):
        labels = batch["labels"]
        right = (labels % 2 == 0).astype(jnp.float32)
        return {"nll": labels.astype(jnp.float32), "correct": right}, {}

    model = Model(init=lambda rng, batch: {"params": {}}, apply=apply)
    documents = [Encoded(np.array([9, 2, 3]), None), Encoded(np.array([8, 4, 6, 7, 4]), None)]
    tokens = gathered(documents, vocab_size=10)
    packing = Packing.of(tokens, length=6, layout="whole", segmented=True)
    rows = TokenRows(packing, vocab_size=10)
    found = score(model, {"params": {}}, rows, reader=None, config=CONFIG)
    total = found.weight.sum()
    assert total == 6  # 2, 3 and 4, 6, 7, 4
    assert found.mean() == pytest.approx(4 / 6)
    assert found.mean_nll() == pytest.approx((2 + 3 + 4 + 6 + 7 + 4) / 6)
    # Two of the six are 4; neither what a document begins with nor padding is ever said.
    assert baseline(rows, CONFIG) == Baseline(majority=2 / 6, random=1 / 10)


def test_of_questions_it_is_whether_the_likeliest_choice_is_right(tmp_path):
    config = make_config(
        {
            "data": {"name": "facts", "count": 8, "length": 64, "root": str(tmp_path)},
            "model": {
                "name": "decoder", "width": 16, "layers": 1, "heads": 2, "max_length": 64,
            },
            "loss": {"name": "next_token"},
        }
    )  # fmt: skip
    from jaxtrain.run.building import base_model

    splits = read_splits(config)
    example = {"inputs": np.zeros((1, 8), np.int32)}
    model = base_model(config, splits.test.num_outputs, example)
    variables = model.init(jax.random.key(0), example)
    found = score(model, variables, splits.test, reader=splits.reader, config=config)
    assert len(found) == 8
    assert set(found.score.tolist()) <= {0.0, 1.0}
    assert (found.nll > 1).all()
    assert baseline(splits.test, config).random == 0.25
    again = score(model, variables, splits.test, reader=splits.reader, config=config)
    assert again == found


def test_a_regression_has_no_right_and_nan_is_told():
    rows = Dataset(np.zeros((2, 2), np.float32), np.zeros(2, np.float32), task="regression")
    with pytest.raises(ConfigError, match="regression"):
        score(constant([0.0]), {"params": {}}, rows, reader=None, config=CONFIG)
    rows = Dataset(np.zeros((2, 2), np.float32), np.zeros(2, np.int32), num_outputs=2)
    with pytest.raises(NonFiniteError, match="example 0"):
        score(constant([np.nan, 0.0]), {"params": {}}, rows, reader=None, config=CONFIG)
