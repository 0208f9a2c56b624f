from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, assemble, find_targets, init
from jaxtrain.lora.overlap import earlier_inputs, overlap

PARAMS = {
    "Dense_0": {"kernel": jnp.ones((3, 2))},
    "Dense_1": {"kernel": jnp.ones((2, 4))},
    "layers": {"up": {"kernel": jnp.ones((2, 3, 5))}},
}


def adapter(modules, **options):
    """Of the a's; the b's are of no account."""
    config = LoRAConfig(targets=tuple(modules), **options)
    targets = find_targets(PARAMS, config)
    outputs = {n: PARAMS[t.path.split("/")[0]] for t in targets for n in t.names}
    made = {}
    for name, a in modules.items():
        a = jnp.asarray(a, jnp.float32)
        size = jax.tree.leaves(outputs[name])[0].shape[-1]
        made[name] = {"a": a, "b": jnp.full((a.shape[1], size), 7.0)}
    return assemble(config, targets, made)


NEW = {"Dense_0": [[1], [2], [3]], "Dense_1": [[1], [0]]}


def test_by_hand():
    """(1 2 3) with (1 0 2) is 7, with (0 1 0) is 2; (1 0) with (5 5) is 5: 49 + 4 + 25."""
    new = adapter(NEW, rank=1)
    first = adapter({"Dense_0": [[1, 0], [0, 1], [2, 0]]}, rank=2)
    second = adapter({"Dense_1": [[5], [5]]}, rank=1)
    earlier = earlier_inputs([first, second], new.targets)
    assert {path: a.shape for path, a in earlier.items()} == {
        "Dense_0/kernel": (3, 2),
        "Dense_1/kernel": (2, 1),
    }
    assert overlap(new, earlier) == 78
    both = earlier_inputs([first, second, first], new.targets)
    assert both["Dense_0/kernel"].shape == (3, 4)
    assert overlap(new, both) == 78 + 53
    assert overlap(new, {}) == 0


def test_layers_of_a_stack_are_modules_of_their_own():
    new = adapter({"layers.0.up": [[1], [0], [0]], "layers.1.up": [[0], [1], [0]]}, rank=1)
    crossed = adapter({"layers.0.up": [[0], [1], [0]], "layers.1.up": [[1], [0], [0]]}, rank=1)
    assert overlap(new, earlier_inputs([crossed], new.targets)) == 0
    assert overlap(new, earlier_inputs([new], new.targets)) == 2
    alone = adapter({"layers.1.up": [[0], [3], [0]]}, rank=1)
    assert overlap(new, earlier_inputs([alone], new.targets)) == 9


def test_what_is_orthogonal_has_none():
    new = adapter({"Dense_0": [[1], [1], [0]]}, rank=1)
    other = adapter({"Dense_0": [[1], [-1], [4]]}, rank=1)
    assert overlap(new, earlier_inputs([other], new.targets)) == 0


def test_gradients_are_those_of_differences():
    new, other = adapter(NEW, rank=1), adapter({"Dense_0": [[1, 0], [0, 1], [2, 0]]}, rank=2)
    earlier = earlier_inputs([other], new.targets)
    check_grads(lambda x: overlap(x, earlier), (new,), 1, modes=["rev"], rtol=1e-2, eps=1e-2)
    gradient = jax.grad(lambda x: overlap(x, earlier))(new).factors["Dense_0/kernel"]
    # 2 e e^T a, of the columns (1 0 2) and (0 1 0).
    np.testing.assert_allclose(gradient["a"], [[14], [4], [28]])
    assert not gradient["b"].any()


def test_narrow_factors_are_summed_wide():
    new = jax.tree.map(lambda x: x.astype(jnp.bfloat16), adapter(NEW, rank=1))
    found = overlap(new, earlier_inputs([new], new.targets))
    assert found.dtype == jnp.float32
    assert found == 14**2 + 1


def test_adapters_that_do_not_go_together():
    new = adapter({"Dense_0": [[1], [1], [0]]}, rank=1)
    with pytest.raises(ConfigError, match="no kernel in common"):
        earlier_inputs([adapter({"Dense_1": [[5], [5]]}, rank=1)], new.targets)
    assert earlier_inputs([], new.targets) == {}
    other = adapter({"layers.0.up": [[1], [0], [0]]}, rank=1)
    plain = LoRAConfig(targets=("layers.up",), stacks=(), in_axes={"up": 1}, rank=1)
    targets = find_targets(PARAMS, plain)
    with pytest.raises(ConfigError, match="layers/up/kernel: earlier adapter 0 takes it for other"):
        earlier_inputs([other], targets)


def test_there_is_room_for_more_and_for_kernels_that_no_one_had():
    """So that shapes follow from the config, whichever adapters there were."""
    params = {name: {"kernel": jnp.zeros((2, 3))} for name in ("Dense_0", "Dense_1")}
    new = init(jax.random.key(0), params, LoRAConfig(rank=1))
    before = init(jax.random.key(1), params, LoRAConfig(rank=2, targets=("Dense_1",)))
    found = earlier_inputs([before], new.targets, params, room=3)
    assert {path: x.shape for path, x in found.items()} == {
        "Dense_0/kernel": (2, 3),
        "Dense_1/kernel": (2, 3),
    }
    narrow = earlier_inputs([before], new.targets)
    assert overlap(new, found) == overlap(new, narrow) > 0
    with pytest.raises(ConfigError, match="have 4 ranks together, more than earlier_rank=3"):
        earlier_inputs([before, before], new.targets, params, room=3)
    assert not earlier_inputs([], new.targets, params, room=1)["Dense_0/kernel"].any()
