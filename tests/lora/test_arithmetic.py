from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, arithmetic, combine
from tests.lora.small import adapter, params

WEIGHTS = [0.7, -0.4, 1.1]


def update(given, base):
    merged = lora.merge(base, given)
    return jax.tree.map(lambda a, b: a - b, merged, base)


def of_kind(seed, **options):
    return adapter(seed, **({"rank_pattern": {"down": 3}} | options))


@pytest.mark.parametrize("by", ["cat", "svd"])
def test_exact_sums_of_updates(by):
    """Also of other ranks, scales and targets; the rank of an SVD only has to be large enough."""
    base = params()
    given = [adapter(1), adapter(2, rank=1, targets=("q", "v"), rank_pattern=(), alpha_pattern=())]
    both = combine(given, [0.5, -2], by=by, **({"rank": 5} if by == "svd" else {}))
    expected = jax.tree.map(lambda a, b: 0.5 * a - 2 * b, *(update(g, base) for g in given))
    for one, other in zip(
        jax.tree.leaves(update(both, base)), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=2e-4)
    assert all(module.scale == 1 for module in both.modules())


def test_the_result_follows_from_its_config():
    given = [adapter(1), adapter(2, rank=1, targets=("q", "v"), rank_pattern=(), alpha_pattern=())]
    both = combine(given, [1, 1], by="cat")
    assert both.targets == lora.find_targets(params(), both.config)
    again = lora.assemble(
        both.config,
        both.targets,
        {module.name: {"a": module.a, "b": module.b} for module in both.modules()},
    )
    assert jax.tree.structure(again) == jax.tree.structure(both)
    assert {m.name: m.rank for m in both.modules()}["layers.2.attention.q"] == 3
    assert {m.name: m.rank for m in both.modules()}["layers.1.attention.q"] == 1


def test_the_result_follows_from_its_config_whatever_modules_are_called():
    base = {name: {"kernel": jnp.ones((3, 4))} for name in ("up+", "up(1)", "upp")}
    one, other = (
        lora.init(jax.random.key(0), base, LoRAConfig(rank=rank, targets=targets))
        for rank, targets in ((1, ("up+", "up(1)", "upp")), (2, ("upp",)))
    )
    both = combine([one, other], [1, 1], by="cat")
    assert {m.name: m.rank for m in both.modules()} == {"up+": 1, "up(1)": 1, "upp": 3}
    assert both.targets == lora.find_targets(base, both.config)
    other = combine([one, combine([other], [1])], [1, 1], by="svd", rank=1)
    assert other.targets == lora.find_targets(base, other.config)


def test_one_alone_is_scaled_whatever_is_said():
    one = of_kind(1)
    for by, options in (("linear", {}), ("ties", {"density": 0.5})):
        scaled = combine([one], [-2.0], by=by, **options)
        base = params()
        for a, b in zip(
            jax.tree.leaves(update(scaled, base)), jax.tree.leaves(update(one, base)), strict=True
        ):
            np.testing.assert_allclose(a, -2 * b, rtol=1e-3, atol=1e-4)


def test_dare_keeps_the_mean():
    x = jnp.ones((300, 200))
    kept = arithmetic._random(x, 0.25, jax.random.key(0))
    np.testing.assert_allclose(kept.mean(), 1, rtol=0.02)
    np.testing.assert_array_equal(np.unique(kept), [0, 4])


def test_dare_depends_on_its_key_alone():
    given = [of_kind(1), of_kind(2)]
    one, same, other = (
        combine(given, [1, 1], by="dare_linear", density=0.5, rng=jax.random.key(k))
        for k in (1, 1, 2)
    )
    leaves = [jax.tree.leaves(x) for x in (one, same, other)]
    assert all((a == b).all() for a, b in zip(leaves[0], leaves[1], strict=True))
    assert not all((a == b).all() for a, b in zip(leaves[0], leaves[2], strict=True))


def test_dare_keeps_other_entries_in_each_module():
    base = {name: {"kernel": jnp.ones((40, 30))} for name in ("one", "two")}
    fresh = lora.init(jax.random.key(0), base, LoRAConfig(rank=2))
    ones = lora.Adapter(jax.tree.map(jnp.ones_like, fresh.factors), fresh.config, fresh.targets)
    made = combine([ones, ones], [1, 1], by="dare_linear", density=0.5, rng=jax.random.key(1))
    one, two = made.modules()
    assert (one.a != two.a).mean() > 0.3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "mean"}, "by: expected one of linear"),
        ({"by": "ties"}, "density: ties keeps a share"),
        ({"by": "ties", "density": 0.0}, "density"),
        ({"by": "linear", "density": 0.5}, "density: linear keeps all"),
        ({"by": "linear", "rank": 3}, "rank: linear"),
        ({"by": "svd", "rank": 0}, "rank: expected at least 1"),
        ({"by": "svd", "rank": 9}, "has 8 singular values"),
        ({"by": "dare_ties", "density": 0.5}, "rng: dare_ties draws"),
        ({"by": "ties", "density": 0.5, "majority_sign": "most"}, "majority_sign"),
    ],
)
def test_options_that_do_not_go_together(options, said):
    given = [of_kind(i, targets=("k", "v"), rank_pattern=(), alpha_pattern=()) for i in (1, 2)]
    with pytest.raises(ConfigError, match=said):
        combine(given, [1, 1], **options)


def test_adapters_that_do_not_go_together():
    with pytest.raises(ConfigError, match="2 adapters and 1 weights"):
        combine([adapter(1), adapter(2)], [1])
    with pytest.raises(ConfigError, match="adapter 1 is a DoRA"):
        combine([adapter(1), adapter(2, dora=True)], [1, 1])
    with pytest.raises(ConfigError, match=r"ranks 4, 2 can't be added; take by=\"cat\""):
        combine(
            [adapter(1), adapter(2, rank=2, rank_pattern=(), alpha_pattern=())], [1, 1], by="linear"
        )


# -- PEFT's ---------------------------------------------------------------------------------------

BY = [
    ("linear", {}),
    ("cat", {}),
    ("svd", {"rank": 4}),
    ("ties", {"density": 0.5}),
    ("ties", {"density": 0.4, "majority_sign": "frequency"}),
    ("dare_linear", {"density": 0.5}),
    ("dare_ties", {"density": 0.6}),
    ("magnitude_prune", {"density": 0.3}),
    ("ties_svd", {"density": 0.5, "rank": 4}),
    ("dare_linear_svd", {"density": 0.5, "rank": 4}),
    ("magnitude_prune_svd", {"density": 0.5}),
]


@pytest.mark.parametrize("targets", [["up", "down"], ["embed", "down"]])
@pytest.mark.parametrize(("by", "options"), BY)
def test_as_in_peft(by, options, targets, monkeypatch):
    pytest.importorskip("peft", reason="the peers extra installs peft")
    import torch
    from peft.utils import merge_utils

    from tests.lora.peers import adapter_of, peft_model

    if by == "dare_linear_svd" and "embed" in targets:
        pytest.skip("PEFT has the update of an embedding the other way round")
    model = peft_model("first", "second", "third", target_modules=targets)
    given = [adapter_of(model, name) for name in ("first", "second", "third")]
    if by.startswith("dare"):
        # Both keep the same entries: those that are above a threshold, by a wave over their place.
        def kept(shape, share):
            return (np.sin(7.0 * np.arange(np.prod(shape))).reshape(shape) + 1) / 2 < share

        def ours(x, share, key):
            return x * jnp.asarray(kept(x.T.shape, share).T, x.dtype) / share

        def theirs(tensor, density, rescale):
            assert rescale
            return tensor * torch.as_tensor(kept(tuple(tensor.shape), density)) / density

        monkeypatch.setattr(arithmetic, "_random", ours)
        monkeypatch.setattr(merge_utils, "random_pruning", theirs)
    named = {"rank": "svd_rank", "density": "density", "majority_sign": "majority_sign_method"}
    model.base_model.add_weighted_adapter(
        ["first", "second", "third"],
        WEIGHTS,
        "all",
        combination_type=by,
        **{named[key]: value for key, value in options.items()},
    )
    rng = jax.random.key(0) if by.startswith("dare") else None
    found = {m.name: m for m in combine(given, WEIGHTS, by=by, rng=rng, **options).modules()}
    expected = {m.name: m for m in adapter_of(model, "all").modules()}
    assert found.keys() == expected.keys() == set(targets)
    for name, module in found.items():
        other = expected[name]
        assert module.scale == other.scale == 1
        if not by.endswith("svd"):
            np.testing.assert_allclose(module.a, other.a, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(module.b, other.b, rtol=1e-5, atol=1e-6)
        # Singular directions may have either sign.
        np.testing.assert_allclose(module.a @ module.b, other.a @ other.b, rtol=1e-5, atol=1e-5)


def test_of_another_config_the_scale_is_one_as_well():
    """PEFT keeps rsLoRA's root here, and so makes of equal adapters one of twice their size."""
    both = combine([of_kind(1, rslora=True)], [1.0])
    assert both.config == LoRAConfig(
        rank=4,
        alpha=4,
        targets=both.config.targets,
        rank_pattern=both.config.rank_pattern,
        alpha_pattern=both.config.alpha_pattern,
    )
