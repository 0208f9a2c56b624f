import jax.numpy as jnp
import numpy as np

from jaxtrain.step import output
from jaxtrain.step.forward import Pass

OUTPUTS = jnp.ones((2, 3))


def say(batch, sown=None):
    return output(jnp.float32(6), jnp.float32(4), Pass(OUTPUTS, {}, sown or {}), batch)


def test_scalars_and_outputs_are_always_there():
    said = say({"inputs": OUTPUTS})
    assert set(said) == {"loss", "loss_sum", "loss_weight", "outputs"}
    assert (float(said["loss"]), float(said["loss_sum"]), float(said["loss_weight"])) == (1.5, 6, 4)
    assert said["outputs"] is OUTPUTS


def test_a_batch_of_padding_alone_has_a_loss_of_zero():
    said = output(jnp.float32(0), jnp.float32(0), Pass(OUTPUTS, {}, {}), {})
    assert float(said["loss"]) == 0


def test_masks_are_composed_and_none_is_made_up():
    tokens = jnp.array([[1, 0, 1], [1, 1, 1]])
    rows = jnp.array([1, 0])
    np.testing.assert_array_equal(say({"row_mask": rows})["mask"], [1, 0])
    np.testing.assert_array_equal(say({"mask": tokens})["mask"], tokens)
    both = say({"mask": tokens, "row_mask": rows, "labels": rows})
    np.testing.assert_array_equal(both["mask"], [[1, 0, 1], [0, 0, 0]])
    assert both["labels"] is rows
    assert "mask" not in say({"labels": rows})


def test_only_what_is_not_in_the_loss_comes_out_as_sown():
    assert "sown" not in say({}, {"losses": {"kl": 1.0}})
    assert say({}, {"losses": {"kl": 1.0}, "seen": {"h": 2.0}})["sown"] == {"seen": {"h": 2.0}}
