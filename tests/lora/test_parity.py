"""Outputs, gradients, merged weights and beginnings of PEFT's own layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
peft = pytest.importorskip("peft", reason="the peers extra installs peft")

from jaxtrain import lora  # noqa: E402
from jaxtrain.lora import LoRAConfig  # noqa: E402
from jaxtrain.models.low_rank import dense  # noqa: E402
from tests.lora.peers import TOKENS, Net, adapter_of, base_of, numbers, peft_model, run  # noqa: E402

CASES = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {"rank_pattern": {"up": 2}, "alpha_pattern": {"down": 1}},
    "embedding": {"target_modules": ["embed", "up"]},
    "embedding with dora": {"target_modules": ["embed", "up"], "use_dora": True},
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_merged_weights(case):
    model = peft_model(**CASES[case])
    base, adapter = base_of(model), adapter_of(model)
    expected = numbers(model(torch.as_tensor(TOKENS)))
    merged = lora.merge(base, adapter)
    np.testing.assert_allclose(run(merged, TOKENS), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(run(base, TOKENS) - expected).max() > 0.05
    theirs = model.merge_and_unload()
    np.testing.assert_allclose(
        merged["up"]["kernel"], numbers(theirs.up.weight).T, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        merged["embed"]["embedding"], numbers(theirs.embed.weight), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("case", ["plain", "rslora", "dora", "patterns"])
def test_gradients(case):
    model = peft_model(**CASES[case])
    base, adapter = base_of(model), adapter_of(model)
    torch.sin(model(torch.as_tensor(TOKENS))).sum().backward()

    def beside(adapter):
        applied = lora.apply(base, adapter)
        hidden = base["embed"]["embedding"][TOKENS].reshape(-1, 8)
        hidden = jnp.tanh(dense(hidden, applied["up"]["kernel"]) + base["up"]["bias"])
        return jnp.sin(dense(hidden, applied["down"]["kernel"])).sum()

    def within(adapter):
        return jnp.sin(run(lora.merge(base, adapter), TOKENS)).sum()

    for value in (beside, within):
        found = {module.name: module for module in jax.grad(value)(adapter).modules()}
        for name in ("up", "down"):
            theirs = getattr(model.base_model.model, name)
            pairs = [
                (found[name].a, theirs.lora_A["default"].weight.grad.T),
                (found[name].b, theirs.lora_B["default"].weight.grad.T),
            ]
            if "dora" in case:
                pairs.append((found[name].m, theirs.lora_magnitude_vector["default"].weight.grad))
            for mine, other in pairs:
                np.testing.assert_allclose(mine, numbers(other), rtol=1e-3, atol=1e-5)


def test_fresh_magnitudes():
    torch.manual_seed(0)
    config = peft.LoraConfig(r=3, target_modules=["up", "down"], use_dora=True)
    model = peft.get_peft_model(Net(), config)
    made = lora.init(
        jax.random.key(0), base_of(model), LoRAConfig(rank=3, dora=True, targets=("up", "down"))
    )
    theirs = adapter_of(model)
    for path in made.factors:
        np.testing.assert_allclose(made.factors[path]["m"], theirs.factors[path]["m"], rtol=1e-5)


def test_pissa_begins_with_the_same_product_and_the_same_rest():
    torch.manual_seed(0)
    net = Net()
    before = {name: numbers(getattr(net, name).weight).T for name in ("up", "down")}
    config = peft.LoraConfig(
        r=3, lora_alpha=5, target_modules=["up", "down"], init_lora_weights="pissa"
    )
    model = peft.get_peft_model(net, config)
    theirs, rest = adapter_of(model), base_of(model)
    base = {**rest, **{n: {**rest[n], "kernel": before[n]} for n in before}}
    mine_rest, mine = lora.init_pissa(
        jax.random.key(0), base, LoRAConfig(rank=3, alpha=5, targets=("up", "down"), init="pissa")
    )
    for name in before:
        np.testing.assert_allclose(mine_rest[name]["kernel"], rest[name]["kernel"], atol=1e-5)
    for one, other in zip(mine.modules(), theirs.modules(), strict=True):
        np.testing.assert_allclose(one.a @ one.b, other.a @ other.b, atol=1e-5)


@pytest.mark.parametrize(
    ("targets", "exclude"),
    [
        (["q_proj", "down_proj"], None),
        (["0.self_attn.q_proj", "v_proj"], ["model.layers.1.self_attn.v_proj"]),
        (r".*\.(q|k)_proj", None),
        (r"model\.layers\.1\..*proj", r".*up_proj"),
        ("all-linear", None),
    ],
)
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_targets_are_those_of_peft(targets, exclude):
    """On the tree that a model of transformers would be, its names by their own parts."""
    transformers = pytest.importorskip("transformers", reason="the peers extra installs it")
    config = transformers.LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    net = transformers.LlamaForCausalLM(config)
    tree: dict = {}
    for name, weight in net.named_parameters():
        *at, _ = name.split(".")
        if weight.ndim == 2:
            place = tree
            for part in at:
                place = place.setdefault(part, {})
            place["embedding" if "embed" in name else "kernel"] = numbers(weight)
    model = peft.get_peft_model(
        net,
        peft.LoraConfig(
            r=2, target_modules=targets, exclude_modules=exclude, task_type="CAUSAL_LM"
        ),
    )
    expected = set(model.targeted_module_names)
    found = lora.find_targets(
        tree,
        LoRAConfig(
            rank=2,
            targets=targets if isinstance(targets, str) else tuple(targets),
            exclude=exclude if isinstance(exclude, str) else tuple(exclude or ()),
        ),
    )
    assert {name for target in found for name in target.names} == expected
