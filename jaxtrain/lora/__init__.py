"""LoRA: adapters as arithmetic on parameter trees.

config = LoRAConfig(rank=16, targets=("q", "v"))
adapter = init(jax.random.key(0), params, config)
model = lora.model(base, config)        # trains the adapter; the base is TrainState.frozen
merged = merge(params, adapter)
save_lora("out/adapter", adapter, params=params)        # as PEFT writes it
"""

from jaxtrain.lora.adapter import Adapter, Module, assemble
from jaxtrain.lora.applying import apply, apply_by_row
from jaxtrain.lora.arithmetic import combine
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.initial import init, init_pissa
from jaxtrain.lora.merging import Kept, merge, merge_with_report, unmerge
from jaxtrain.lora.peft import for_original, load_lora, save_lora
from jaxtrain.lora.penalty import Penalty
from jaxtrain.lora.progressive import add_lora, merge_lora, progressive_lora_step
from jaxtrain.lora.protection import Protection, adapter_of, base_of, frozen_for
from jaxtrain.lora.quantizing import dequantize, quantize
from jaxtrain.lora.subspace import Directions, directions, projected
from jaxtrain.lora.targets import Target, find_targets
from jaxtrain.lora.training import model

__all__ = [
    "Adapter",
    "Directions",
    "Kept",
    "LoRAConfig",
    "Module",
    "Penalty",
    "Protection",
    "Target",
    "adapter_of",
    "add_lora",
    "apply",
    "apply_by_row",
    "assemble",
    "base_of",
    "combine",
    "dequantize",
    "directions",
    "find_targets",
    "for_original",
    "frozen_for",
    "init",
    "init_pissa",
    "load_lora",
    "merge",
    "merge_lora",
    "merge_with_report",
    "model",
    "progressive_lora_step",
    "projected",
    "quantize",
    "save_lora",
    "unmerge",
]
