from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import ResNet, from_linen, resnet18
from jaxtrain.models.stochastic_depth import StochasticDepth


def names_of(blocks):
    """Where a layer of ours is in torchvision's."""
    layers = {("stem",): ("conv1", "bn1")}
    for stage, number in enumerate(blocks):
        for block in range(number):
            ours, theirs = f"block_{stage}_{block}", f"layer{stage + 1}.{block}"
            for place in (0, 1):
                layers[ours, f"conv_{place}"] = (
                    f"{theirs}.conv{place + 1}",
                    f"{theirs}.bn{place + 1}",
                )
            if stage and not block:
                layers[ours, "shortcut"] = (f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    names = {("output",): "fc"}
    for path, (conv, norm) in layers.items():
        names |= {(*path, "conv"): conv, (*path, "norm", "batch_norm"): norm}
    return names


@pytest.mark.parametrize("small", [False, True])
def test_it_is_torchvisions(small):
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.images import compare
    from tests.models.theirs.resnet import ResNet as Theirs

    widths, blocks = (4, 6, 8), (2, 1, 2)
    compare(
        from_linen(ResNet(5, small_images=small, widths=widths, blocks=blocks)),
        Theirs(5, 2, widths, blocks, small=small),
        names_of(blocks),
        channels=2,
        size=13 if small else 23,
        outputs=5,
    )


def shapes_of(model, channels=3):
    batch = {"inputs": jnp.zeros((1, 32, 32, channels))}
    return jax.eval_shape(model.init, jax.random.key(0), batch)["params"]


def test_it_has_the_published_number_of_parameters():
    shapes = shapes_of(resnet18(1000))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 11_689_512
    small = shapes_of(resnet18(1000, small_images=True))
    stem = small["stem"]["conv"]["kernel"]
    assert stem.shape == (3, 3, 3, 64)
    assert sum(leaf.size for leaf in jax.tree.leaves(small)) == 11_689_512 - (49 - 9) * 3 * 64


def test_torchs_definition_has_it_too():
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    import torch

    from tests.models.theirs.resnet import ResNet as Theirs

    with torch.device("meta"):
        theirs = Theirs()
    assert sum(p.numel() for p in theirs.parameters()) == 11_689_512


def test_initialisation_is_as_stated():
    module = ResNet(3, widths=(32, 64), blocks=(1, 1), zero_init=True)
    batch = {"inputs": jnp.zeros((1, 8, 8, 3))}
    params = jax.jit(from_linen(module).init)(jax.random.key(0), batch)["params"]
    for kernel, fan_out in (
        (params["stem"]["conv"]["kernel"], 49 * 32),
        (params["block_1_0"]["conv_1"]["conv"]["kernel"], 9 * 64),
        (params["block_1_0"]["shortcut"]["conv"]["kernel"], 64),
    ):
        kernel = np.asarray(kernel)
        assert abs(kernel.var() * fan_out / 2 - 1) < 5 * np.sqrt(2 / kernel.size)
        assert np.abs(kernel).max() > 2.3 * kernel.std()  # not cut off at 2
    block = params["block_1_0"]
    assert not block["conv_1"]["norm"]["batch_norm"]["scale"].any()
    for path in ("conv_0", "shortcut"):
        assert (block[path]["norm"]["batch_norm"]["scale"] == 1).all()


def test_the_function_hands_on_its_options(monkeypatch):
    import jaxtrain.models.resnet as module

    monkeypatch.setattr(module, "from_linen", lambda made: made)
    made = resnet18(3, small_images=True, zero_init=True, stochastic_depth=0.2)
    assert made == ResNet(3, small_images=True, zero_init=True, stochastic_depth=0.2)
    assert resnet18(3) == ResNet(3)


def test_later_blocks_are_left_out_of_more_rows():
    module = ResNet(3, small_images=True, stochastic_depth=0.5, widths=(8, 8), blocks=(1, 1))
    images = jax.random.normal(jax.random.key(1), (2000, 4, 4, 1))
    variables = jax.jit(partial(module.init, train=False))(jax.random.key(0), images)

    @partial(jax.jit, static_argnames="train")
    def branches(train):
        _, seen = module.apply(
            variables,
            images,
            train=train,
            rngs={"dropout": jax.random.key(3)},
            capture_intermediates=lambda layer, _: isinstance(layer, StochasticDepth),
            mutable=["intermediates", "batch_stats"],
        )
        seen = seen["intermediates"]
        return [seen[f"block_{stage}_0"]["depth"]["__call__"][0] for stage in (0, 1)]

    def left_out(branch):
        return np.mean(~np.asarray(branch).any(axis=(1, 2, 3)))

    for branch, rate in zip(branches(True), (0.25, 0.5), strict=True):
        assert abs(left_out(branch) - rate) < 5 * np.sqrt(rate * (1 - rate) / 2000)
    assert [left_out(branch) for branch in branches(False)] == [0, 0]


def test_padding_does_not_reach_the_statistics():
    model = from_linen(ResNet(3, small_images=True, widths=(4, 6), blocks=(1, 1)))
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
    with pytest.raises(ConfigError, match=r"ResNet wants images \[B, H, W, C\].*\(2, 64\).*an MLP"):
        resnet18(3).init(jax.random.key(0), {"inputs": jnp.ones((2, 64))})
