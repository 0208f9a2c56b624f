"""Llama and Gemma in the files of Hugging Face: config.json and safetensors.

config, params = load("gemma-2b", dtype="bfloat16")
save("gemma-2b-tuned", config, params)
"""

from jaxtrain.models.hf.loading import load
from jaxtrain.models.hf.saving import save

__all__ = ["load", "save"]
