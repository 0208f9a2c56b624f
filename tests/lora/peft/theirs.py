"""Tiny models of transformers with adapters of PEFT, filled at random, and the same model here."""

from __future__ import annotations

import warnings

import jax
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from jaxtrain.models import decoder, hf

TOKENS = np.random.default_rng(1).integers(0, 96, (2, 17), dtype=np.int32)


def fill(model, size=0.3, seed=3):
    """Other numbers in all factors, as after training; magnitudes near what they are."""
    generator = torch.Generator().manual_seed(seed)
    for key, parameter in model.named_parameters():
        if "lora_" in key:
            with torch.no_grad():
                noise = size * torch.randn(parameter.shape, generator=generator)
                parameter.copy_(parameter * (1 + noise) if "magnitude" in key else noise)
    return model.eval()


def built(base, **options):
    """`base` with a fresh adapter of PEFT."""
    given = {"r": 4, "lora_alpha": 6, "task_type": "CAUSAL_LM", "target_modules": ["q_proj"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tied weights
        return get_peft_model(base, LoraConfig(**(given | options)))


def adapted(base, **options):
    """`base` with an adapter of PEFT that is no longer fresh."""
    return fill(built(base, **options))


def saved(model, path):
    """What PEFT writes; it tells on a warning that it writes embeddings as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(path)
    return path


def attached(base, path):
    """`base` with an adapter from a directory, all of it read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("error", UserWarning)  # a key that is missing, or left over
        return PeftModel.from_pretrained(base, path).eval()


def their_logits(model):
    with torch.no_grad():
        return model(torch.tensor(TOKENS, dtype=torch.int64)).logits.float().numpy()


def read_here(model, directory):
    """Config and parameters of a model of transformers."""
    model.save_pretrained(directory)
    return hf.load(directory)


def our_logits(config, params):
    apply = jax.jit(lambda p, t: decoder(config).apply(p, t, train=False)[0]["logits"])
    return np.asarray(apply({"params": params}, {"inputs": TOKENS}))


def assert_close(found, expected):
    """Within 1e-4 of the largest logit."""
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
