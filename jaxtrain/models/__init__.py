"""Models: two pure functions each, made of Flax Linen or NNX modules, and found by name."""

from jaxtrain.models import hf, llama2c
from jaxtrain.models.attention import Choice, choose
from jaxtrain.models.causal_lm import causal_lm
from jaxtrain.models.cnn import CNN, cnn
from jaxtrain.models.decoder import DecoderConfig, decoder
from jaxtrain.models.dropout import Dropout
from jaxtrain.models.encoder import Encoder, encoder
from jaxtrain.models.flops import Flops
from jaxtrain.models.gru import gru
from jaxtrain.models.linen import from_linen
from jaxtrain.models.lstm import lstm
from jaxtrain.models.mlp import MLP, mlp
from jaxtrain.models.mobilenet import MobileNetV2, mobilenet_v2
from jaxtrain.models.model import SOWN_LOSSES, Model
from jaxtrain.models.nnx import from_nnx
from jaxtrain.models.registry import MODELS
from jaxtrain.models.resnet import ResNet, resnet18

__all__ = [
    "CNN",
    "MLP",
    "MODELS",
    "SOWN_LOSSES",
    "Choice",
    "DecoderConfig",
    "Dropout",
    "Encoder",
    "Flops",
    "MobileNetV2",
    "Model",
    "ResNet",
    "causal_lm",
    "choose",
    "cnn",
    "decoder",
    "encoder",
    "from_linen",
    "from_nnx",
    "gru",
    "hf",
    "llama2c",
    "lstm",
    "mlp",
    "mobilenet_v2",
    "resnet18",
]
