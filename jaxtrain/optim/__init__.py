"""Optimizers and learning-rate schedules by name, on optax."""

from jaxtrain.optim.batch_scaling import peak_rate
from jaxtrain.optim.groups import group_names, grouped, held
from jaxtrain.optim.injection import (
    injected,
    learning_rate,
    refuse_fixed_rate,
    with_learning_rate,
)
from jaxtrain.optim.lookahead import lookahead
from jaxtrain.optim.optimizer import held_patterns, make_optimizer, make_schedule
from jaxtrain.optim.optimizers.adadelta import adadelta
from jaxtrain.optim.optimizers.adafactor import adafactor
from jaxtrain.optim.optimizers.adagrad import adagrad
from jaxtrain.optim.optimizers.adam import adam, adamw
from jaxtrain.optim.optimizers.adamax import adamax
from jaxtrain.optim.optimizers.lamb import lamb
from jaxtrain.optim.optimizers.lion import lion
from jaxtrain.optim.optimizers.muon import muon
from jaxtrain.optim.optimizers.nadam import nadam, nadamw
from jaxtrain.optim.optimizers.prodigy import prodigy
from jaxtrain.optim.optimizers.radam import radam
from jaxtrain.optim.optimizers.rmsprop import rmsprop
from jaxtrain.optim.optimizers.schedule_free import (
    averaged_leaves,
    evaluates_others,
    evaluation_params,
    schedule_free_adamw,
    schedule_free_sgd,
)
from jaxtrain.optim.optimizers.sgd import sgd
from jaxtrain.optim.registry import OPTIMIZERS, SCHEDULES
from jaxtrain.optim.schedules.chain import chain
from jaxtrain.optim.schedules.constant import constant
from jaxtrain.optim.schedules.cosine import cosine, sgdr
from jaxtrain.optim.schedules.exponential import exponential
from jaxtrain.optim.schedules.one_cycle import one_cycle
from jaxtrain.optim.schedules.polynomial import linear, polynomial
from jaxtrain.optim.schedules.step import multi_step, step
from jaxtrain.optim.warmup import warmed_up

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "averaged_leaves",
    "chain",
    "constant",
    "cosine",
    "evaluates_others",
    "evaluation_params",
    "exponential",
    "group_names",
    "grouped",
    "held",
    "held_patterns",
    "injected",
    "lamb",
    "learning_rate",
    "linear",
    "lion",
    "lookahead",
    "make_optimizer",
    "make_schedule",
    "multi_step",
    "muon",
    "nadam",
    "nadamw",
    "one_cycle",
    "peak_rate",
    "polynomial",
    "prodigy",
    "radam",
    "refuse_fixed_rate",
    "rmsprop",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgd",
    "sgdr",
    "step",
    "warmed_up",
    "with_learning_rate",
]
