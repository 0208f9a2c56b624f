from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import MobileNetV2, from_linen, mobilenet_v2
from jaxtrain.models.mobilenet import STAGES, channels


def names_of(stages):
    """Where a layer of ours is in torchvision's."""
    names = {("output",): "classifier.1"}

    def add(path, conv, norm):
        names.update({(*path, "conv"): conv, (*path, "norm", "batch_norm"): norm})

    add(("stem",), "features.0.0", "features.0.1")
    number = 1
    for stage, (expansion, _, blocks, _) in enumerate(stages):
        for block in range(blocks):
            theirs, first = f"features.{number}.conv", 0
            if expansion != 1:
                add((f"block_{stage}_{block}", "expand"), f"{theirs}.0.0", f"{theirs}.0.1")
                first = 1
            ours = f"block_{stage}_{block}"
            add((ours, "depthwise"), f"{theirs}.{first}.0", f"{theirs}.{first}.1")
            add((ours, "project"), f"{theirs}.{first + 1}", f"{theirs}.{first + 2}")
            number += 1
    add(("last",), f"features.{number}.0", f"features.{number}.1")
    return names


def test_it_is_torchvisions():
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.images import compare
    from tests.models.theirs.mobilenet import MobileNetV2 as Theirs

    stages = ((1, 16, 1, 1), (2, 24, 2, 2), (3, 24, 1, 2))
    compare(
        from_linen(MobileNetV2(5, width=0.4, dropout=0.0, stages=stages)),
        Theirs(5, 2, 0.4, stages, dropout=0.0),
        names_of(stages),
        channels=2,
        size=15,
        outputs=5,
        scale=6.0,
    )


def count(width=1.0):
    batch = {"inputs": jnp.zeros((1, 32, 32, 3))}
    shapes = jax.eval_shape(mobilenet_v2(1000, width=width).init, jax.random.key(0), batch)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def test_it_has_the_published_number_of_parameters():
    assert count() == 3_504_872


@pytest.mark.parametrize("width", [1.0, 0.35, 1.4])
def test_it_is_as_large_as_torchs_definition_at_every_width(width):
    torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.mobilenet import SETTING
    from tests.models.theirs.mobilenet import MobileNetV2 as Theirs

    assert STAGES == SETTING
    with torch.device("meta"):
        theirs = Theirs(width_mult=width)
    assert count(width) == sum(p.numel() for p in theirs.parameters())


def test_channels_are_multiples_of_eight_and_hardly_fewer():
    for wanted in np.arange(1, 400, 0.7):
        found = channels(wanted)
        assert found % 8 == 0
        assert found >= max(8, 0.9 * wanted)
        assert found - wanted <= max(8 - wanted, 8)


def test_the_function_hands_on_its_options(monkeypatch):
    import jaxtrain.models.mobilenet as module

    monkeypatch.setattr(module, "from_linen", lambda made: made)
    assert mobilenet_v2(3, width=0.5, dropout=0.3) == MobileNetV2(3, width=0.5, dropout=0.3)
    assert mobilenet_v2(3) == MobileNetV2(3, width=1.0, dropout=0.2)


def test_initialisation_and_dropout_are_as_stated():
    module = MobileNetV2(400, width=0.25, dropout=0.5, stages=((6, 32, 1, 1),))
    images = jnp.zeros((1, 4, 4, 3))
    variables = jax.jit(from_linen(module).init)(jax.random.key(0), {"inputs": images})
    params = variables["params"]
    for kernel, variance in (
        (params["stem"]["conv"]["kernel"], 2 / (9 * 8)),
        (params["block_0_0"]["depthwise"]["conv"]["kernel"], 2 / (9 * 48)),
        (params["output"]["kernel"], 0.01**2),
    ):
        kernel = np.asarray(kernel)
        assert abs(kernel.var() / variance - 1) < 5 * np.sqrt(2 / kernel.size)
    assert not params["output"]["bias"].any()
    # The last 1,280 maps as 6 each, of which dropout in front of the output leaves half, doubled.
    params["last"]["norm"]["batch_norm"]["bias"] = jnp.full(1280, 9.0)
    params["last"]["norm"]["batch_norm"]["scale"] = jnp.zeros(1280)
    params["output"]["kernel"] = jnp.ones((1280, 400))
    model = from_linen(module)
    evaluated, _ = jax.jit(partial(model.apply, train=False))(variables, {"inputs": images})
    np.testing.assert_array_equal(evaluated, 6 * 1280)
    rngs = {"dropout": jax.random.key(1)}
    trained, _ = jax.jit(partial(model.apply, train=True))(variables, {"inputs": images}, rngs=rngs)
    assert trained[0, 0] % 12 == 0
    assert abs(trained[0, 0] / (6 * 1280) - 1) < 5 / np.sqrt(1280)
    assert trained[0, 0] != 6 * 1280


def test_padding_does_not_reach_the_statistics():
    model = from_linen(MobileNetV2(3, width=0.25, dropout=0.0, stages=((2, 32, 2, 1),)))
    images = jax.random.normal(jax.random.key(1), (4, 6, 6, 2))
    variables = jax.jit(model.init)(jax.random.key(0), {"inputs": images})
    mask = jnp.array([1.0, 1.0, 1.0, 0.0])
    run = jax.jit(
        lambda images: model.apply(variables, {"inputs": images, "row_mask": mask}, train=True)
    )
    outputs, updated = run(images)
    spoiled, same = run(images.at[3].set(7.0))
    np.testing.assert_array_equal(outputs[:3], spoiled[:3])
    jax.tree.map(np.testing.assert_array_equal, updated, same)


def test_flat_inputs_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"MobileNetV2 wants images .*\(2, 64\).*an MLP"):
        mobilenet_v2(3).init(jax.random.key(0), {"inputs": jnp.ones((2, 64))})
