import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import adamw, group_names, grouped, held, learning_rate, sgd

PARAMS = {
    "stem": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)},
    "head": {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.ones(3)},
}
GRADS = jax.tree.map(lambda p: 0.5 * jnp.ones_like(p), PARAMS)


def test_each_group_is_moved_by_its_own_optimizer():
    tx = grouped(
        {"": sgd(0.1), "small": sgd(0.01), "head": sgd(1.0)},
        {"small": ("*/bias",), "head": ("head/k*",)},
    )
    changes, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    rates = jax.tree.map(lambda change: round(float(-change.ravel()[0] / 0.5), 4), changes)
    assert rates == {
        "stem": {"kernel": 0.1, "bias": 0.01},
        "head": {"kernel": 1.0, "bias": 0.01},
    }


def test_a_group_that_is_set_to_zero_has_no_state():
    tx = grouped({"": adamw(0.1), "held": optax.set_to_zero()}, {"held": ("stem/*",)})
    shapes = {leaf.shape for leaf in jax.tree.leaves(tx.init(PARAMS))}
    assert shapes == {(), (2, 3), (3,)}


def test_the_learning_rate_is_that_of_what_is_in_no_group():
    tx = grouped({"": sgd(0.3), "a": sgd(0.1)}, {"a": ("stem/*",)})
    assert float(learning_rate(tx.init(PARAMS))) == pytest.approx(0.3)


def test_patterns_are_those_of_a_shell_over_whole_paths():
    tree = {"a": {"b": {"bias": 1}}, "A": {"bias": 2}, "bias": 3, "rest": 4}
    names = group_names(tree, {"deep": ["a/*"], "top": ["bias"], "case": ["[A]/?ias"]})
    assert names == {"a": {"b": {"bias": "deep"}}, "A": {"bias": "case"}, "bias": "top", "rest": ""}


def test_what_matches_nothing_is_told_with_what_there_is():
    with pytest.raises(ConfigError, match=r"group 'x': .*'heads/\*' matches no(.|\n)*stem/kernel"):
        group_names(PARAMS, {"x": ["stem/*", "heads/*"]})
    many = {f"layer{i:02}": jnp.ones(1) for i in range(40)}
    with pytest.raises(ConfigError, match="matches no parameter") as found:
        held(many, ["nothing"])
    assert "layer29" in str(found.value)
    assert "layer30" not in str(found.value)
    assert str(found.value).endswith("...")


def test_a_parameter_is_in_one_group():
    with pytest.raises(ConfigError, match="'head/bias' is in two, 'head' and 'small'"):
        group_names(PARAMS, {"head": ["head/*"], "small": ["*/bias"]})


def test_something_is_left_for_the_optimizer_itself():
    """What a run says its learning rate is has to be that of something."""
    with pytest.raises(ConfigError, match="every parameter is in a group"):
        group_names(PARAMS, {"a": ["stem/*"], "b": ["head/*"]})


def test_every_group_needs_an_optimizer():
    with pytest.raises(ConfigError, match="no optimizer for '', 'b'"):
        grouped({"a": sgd(0.1)}, {"a": ["x"], "b": ["y"]})


def test_what_is_held():
    assert held(PARAMS, ["stem/*"])["stem"] == {"kernel": True, "bias": True}
    assert held(PARAMS, ["stem/*"])["head"] == {"kernel": False, "bias": False}
    assert not any(jax.tree.leaves(held(PARAMS, [])))
    with pytest.raises(ConfigError, match=r"'\*' match every parameter; nothing would learn"):
        held(PARAMS, ["*"])


def test_what_an_optimizer_wants_to_know_reaches_every_group():
    seen = []

    def update(updates, state, params=None, *, value, **extra):
        seen.append(float(value))
        return updates, state

    watching = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    tx = grouped({"": watching, "a": watching}, {"a": ["stem/*"]})
    tx.update(GRADS, tx.init(PARAMS), PARAMS, value=jnp.float32(3))
    assert seen == [3.0, 3.0]


def test_moments_of_a_part_lie_where_their_parameters_do():
    """`optax.tree.map_params` meets leaves that are masked."""
    tx = grouped({"": adamw(0.1), "held": optax.set_to_zero()}, {"held": ("stem/*",)})
    state = tx.init(PARAMS)
    masked = optax.tree.map_params(
        tx,
        lambda leaf, param: leaf if isinstance(leaf, optax.MaskedNode) else leaf + param,
        state,
        PARAMS,
        is_leaf=lambda leaf: isinstance(leaf, optax.MaskedNode),
    )
    assert jax.tree.structure(masked) == jax.tree.structure(state)
    np.testing.assert_array_equal(sorted({float(x.max()) for x in jax.tree.leaves(masked)})[-1], 2)
