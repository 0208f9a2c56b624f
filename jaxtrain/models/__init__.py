"""Models: two pure functions each, made of Flax Linen or NNX modules, and found by name."""

from jaxtrain.models import hf, llama2c
from jaxtrain.models.attention import Choice, choose
from jaxtrain.models.causal_lm import causal_lm
from jaxtrain.models.cnn import CNN, cnn
from jaxtrain.models.decoder import DecoderConfig, decoder
from jaxtrain.models.flops import Flops
from jaxtrain.models.linen import from_linen
from jaxtrain.models.mlp import MLP, mlp
from jaxtrain.models.model import SOWN_LOSSES, Model
from jaxtrain.models.nnx import from_nnx
from jaxtrain.models.registry import MODELS

__all__ = [
    "CNN",
    "MLP",
    "MODELS",
    "SOWN_LOSSES",
    "Choice",
    "DecoderConfig",
    "Flops",
    "Model",
    "causal_lm",
    "choose",
    "cnn",
    "decoder",
    "from_linen",
    "from_nnx",
    "hf",
    "llama2c",
    "mlp",
]
