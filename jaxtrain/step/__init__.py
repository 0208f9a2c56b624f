"""The pure part: TrainState, losses, precision, and the steps made of them."""

from jaxtrain.step.losses import LOSSES, Loss, cross_entropy, mean_squared_error
from jaxtrain.step.precision import POLICIES, LossScale, Policy, policy
from jaxtrain.step.train_state import TrainState, create_train_state
from jaxtrain.step.train_step import global_norm, make_eval_step, make_train_step

__all__ = [
    "LOSSES",
    "POLICIES",
    "Loss",
    "LossScale",
    "Policy",
    "TrainState",
    "create_train_state",
    "cross_entropy",
    "global_norm",
    "make_eval_step",
    "make_train_step",
    "mean_squared_error",
    "policy",
]
