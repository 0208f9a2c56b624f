"""One batch of images through a model of PyTorch and through ours, with the same numbers in both.

    compare(resnet18(...), ResNet(...), names, channels=3, size=24)

`names` says where a layer of ours is in theirs: {("stem", "conv"): "conv1", ...}.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from tests.models.theirs.close import all_close, close

Names = dict[tuple[str, ...], str]


def compare(
    model, theirs, names: Names, *, channels: int, size: int, outputs: int, scale: float = 1.5
) -> None:
    """In evaluation, and in one step: loss, gradients, running statistics.

    `scale` is the largest of a norm: with a large one a ReLU6 has something to cut off.
    """
    randomise(theirs, scale)
    inputs = np.random.default_rng(0).normal(size=(6, size, size, channels)).astype(np.float32)
    labels = np.arange(6) % outputs
    batch = {"inputs": jnp.asarray(inputs)}
    variables = {
        "params": params_of(names, dict(theirs.named_parameters())),
        "batch_stats": statistics_of(names, theirs),
    }
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, shapes)

    @jax.jit
    def both(variables):
        evaluated, _ = model.apply(variables, batch, train=False)

        def loss(params):
            logits, updated = model.apply({**variables, "params": params}, batch, train=True)
            each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
            return each.mean(), (logits, updated)

        (value, seen), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        return evaluated, value, *seen, gradient

    evaluated, loss, logits, updated, gradient = both(variables)
    images = torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        close(evaluated, theirs.eval()(images), 1e-5)
    before = statistics_of(names, theirs)
    counts = {}
    for name in names.values():
        layer = theirs.get_submodule(name)
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.register_forward_hook(
                lambda _, inputs, __, name=name: counts.update({name: inputs[0][:, 0].numel()})
            )
    found = theirs.train()(images)
    value = torch.nn.functional.cross_entropy(found, torch.from_numpy(labels))
    value.backward()
    close(logits, found, 1e-5)
    close(loss, value, 1e-5)
    after = statistics_of(names, theirs, before, counts)
    all_close(updated["batch_stats"], after, 1e-5)
    gradients = params_of(names, {n: p.grad for n, p in theirs.named_parameters()})
    all_close(gradient, gradients, 1e-4)


def randomise(model, scale: float) -> None:
    """Scales, biases and statistics as they are after training, not at their start."""
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight.uniform_(0.5, scale)
                layer.bias.normal_(std=0.3)
                layer.running_mean.normal_(std=0.3)
                layer.running_var.uniform_(0.5, 1.5)


def params_of(names: Names, given) -> dict:
    """Their parameters, or gradients, in our tree."""
    tree: dict = {}
    used = set()
    for path, name in names.items():
        for ours, other in (("kernel", "weight"), ("scale", "weight"), ("bias", "bias")):
            if f"{name}.{other}" not in given:
                continue
            value = given[f"{name}.{other}"].detach().numpy()
            if (ours == "scale") != (path[-1] == "batch_norm") and ours != "bias":
                continue
            used.add(f"{name}.{other}")
            if ours == "kernel":
                value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
            put(tree, (*path, ours), value)
    assert used == set(given), set(given) - used
    return tree


def statistics_of(names: Names, model, before=None, counts=None) -> dict:
    """Running statistics in our tree; behind a step their variances as ours are.

    Theirs move by the variance over n - 1, ours by that over n.
    """
    tree: dict = {}
    for path, name in names.items():
        if path[-1] != "batch_norm":
            continue
        layer = model.get_submodule(name)
        var = layer.running_var.numpy().copy()
        if before is not None:
            n, old = counts[name], before
            for part in path:
                old = old[part]
            kept = 0.9 * old["var"]
            var = kept + (var - kept) * (n - 1) / n
        put(tree, path, {"mean": layer.running_mean.numpy().copy(), "var": var})
    return tree


def put(tree: dict, path: tuple[str, ...], value) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value
