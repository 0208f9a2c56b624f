"""LoRA: adapters as arithmetic on parameter trees."""

from jaxtrain.lora.adapter import Adapter, Module, assemble
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.targets import Target, find_targets

__all__ = ["Adapter", "LoRAConfig", "Module", "Target", "assemble", "find_targets"]
