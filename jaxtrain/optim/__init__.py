"""Optimizers and learning-rate schedules by name, on optax."""

from jaxtrain.optim.groups import group_names, grouped, held
from jaxtrain.optim.injection import injected, learning_rate
from jaxtrain.optim.lookahead import lookahead
from jaxtrain.optim.optimizer import held_patterns, make_optimizer
from jaxtrain.optim.optimizers import adamw, sgd
from jaxtrain.optim.registry import OPTIMIZERS, SCHEDULES
from jaxtrain.optim.schedules import constant, cosine

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "adamw",
    "constant",
    "cosine",
    "group_names",
    "grouped",
    "held",
    "held_patterns",
    "injected",
    "learning_rate",
    "lookahead",
    "make_optimizer",
    "sgd",
]
