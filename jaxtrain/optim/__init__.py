"""Optimizers and learning-rate schedules by name, on optax."""

from jaxtrain.optim.injection import injected, learning_rate
from jaxtrain.optim.optimizer import make_optimizer
from jaxtrain.optim.optimizers import adamw, sgd
from jaxtrain.optim.registry import OPTIMIZERS, SCHEDULES
from jaxtrain.optim.schedules import constant, cosine

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "adamw",
    "constant",
    "cosine",
    "injected",
    "learning_rate",
    "make_optimizer",
    "sgd",
]
