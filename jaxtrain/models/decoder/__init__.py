"""A Llama and Gemma decoder: pure functions over a plain tree of parameters."""

from jaxtrain.models.decoder.cache import KVCache
from jaxtrain.models.decoder.config import DecoderConfig, Llama3Scaling
from jaxtrain.models.decoder.flops import flops_per_token
from jaxtrain.models.decoder.initial import initial_params, param_shapes
from jaxtrain.models.decoder.model import decoder
from jaxtrain.models.decoder.trunk import attention_choice, hidden_states, logits, output_head

__all__ = [
    "DecoderConfig",
    "KVCache",
    "Llama3Scaling",
    "attention_choice",
    "decoder",
    "flops_per_token",
    "hidden_states",
    "initial_params",
    "logits",
    "output_head",
    "param_shapes",
]
