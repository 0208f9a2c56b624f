"""Adapters in the files of PEFT, both ways.

save_lora("out/adapter", adapter, params=params)
adapter = load_lora("out/adapter", params)
"""

from jaxtrain.lora.peft.loading import load_lora
from jaxtrain.lora.peft.original import for_original
from jaxtrain.lora.peft.saving import save_lora

__all__ = ["for_original", "load_lora", "save_lora"]
