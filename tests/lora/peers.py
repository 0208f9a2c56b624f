"""Two layers and an embedding of PyTorch with PEFT's adapters, and the same numbers as a tree."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from jaxtrain import lora
from jaxtrain.lora import LoRAConfig


class Net(nn.Module):
    """Tokens [B, L] to [B, L, 5]."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.up = nn.Linear(8, 12)
        self.down = nn.Linear(12, 5, bias=False)

    def forward(self, tokens):
        return self.down(torch.tanh(self.up(self.embed(tokens))))


def run(params, tokens):
    """The same on a tree."""
    hidden = jnp.tanh(
        params["embed"]["embedding"][tokens] @ params["up"]["kernel"] + params["up"]["bias"]
    )
    return hidden @ params["down"]["kernel"]


def numbers(tensor):
    return jnp.asarray(tensor.detach().numpy())


def base_of(model):
    """The parameters below PEFT's adapters."""
    net = model.base_model.model
    return {
        "embed": {"embedding": numbers(net.embed.weight)},
        "up": {"kernel": numbers(net.up.weight).T, "bias": numbers(net.up.bias)},
        "down": {"kernel": numbers(net.down.weight).T},
    }


def ours(config, **given):
    """The adapter's config in our words."""
    names = {
        "r": "rank",
        "lora_alpha": "alpha",
        "target_modules": "targets",
        "use_rslora": "rslora",
    }
    names |= {"use_dora": "dora", "rank_pattern": "rank_pattern", "alpha_pattern": "alpha_pattern"}
    options = {mine: getattr(config, theirs) for theirs, mine in names.items()}
    options["targets"] = tuple(sorted(options["targets"]))
    return LoRAConfig(**(options | given))


def adapter_of(model, name="default"):
    """PEFT's factors as an adapter."""
    config = ours(model.peft_config[name])
    modules = {}
    for module_name in config.targets:
        module = getattr(model.base_model.model, module_name)
        if name in module.lora_A:
            a, b = module.lora_A[name].weight, module.lora_B[name].weight
        else:
            a, b = module.lora_embedding_A[name], module.lora_embedding_B[name]
        modules[module_name] = {"a": numbers(a).T, "b": numbers(b).T}
        if config.dora:
            modules[module_name]["m"] = numbers(module.lora_magnitude_vector[name].weight)
    return lora.assemble(config, lora.find_targets(base_of(model), config), modules)


def peft_model(*names, seed=0, **options):
    """A model with adapters that are no longer fresh; `options` are those of PEFT."""
    torch.manual_seed(seed)
    config = LoraConfig(**({"r": 3, "lora_alpha": 5, "target_modules": ["up", "down"]} | options))
    first, *others = names or ("default",)
    model = get_peft_model(Net(), config, adapter_name=first)
    for name in others:
        model.add_adapter(name, config)
    for key, parameter in model.named_parameters():
        if "lora_" in key:
            with torch.no_grad():
                noise = torch.randn_like(parameter) * 0.4
                parameter.add_(noise * parameter if "magnitude" in key else noise)
    return model.eval()


TOKENS = np.arange(12).reshape(3, 4) % 11
