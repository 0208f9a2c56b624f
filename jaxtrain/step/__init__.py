"""The pure part: TrainState, losses, precision, and the steps made of small parts."""

from jaxtrain.step.class_weights import ClassWeights, weights_by_class
from jaxtrain.step.clipping import clip_leaves, clip_values
from jaxtrain.step.eval_step import make_eval_step
from jaxtrain.step.focal import focal
from jaxtrain.step.forward import Forward, Pass, forward, streams
from jaxtrain.step.gradient import Gradient, accumulated, gradient, scaled
from jaxtrain.step.guard import all_finite, as_before, guarded
from jaxtrain.step.losses import LOSSES, LossFn, cross_entropy, mean_squared_error
from jaxtrain.step.lr_find import RateSweep, lr_find
from jaxtrain.step.mixing import Mix, cutmix, mixed, mixup
from jaxtrain.step.next_token import next_token
from jaxtrain.step.norm import clip_factor, global_norm
from jaxtrain.step.objective import Objective, holding, objective, total_and_weight
from jaxtrain.step.output import output
from jaxtrain.step.precision import POLICIES, LossScale, Policy, policy
from jaxtrain.step.residuals import Residuals, residuals
from jaxtrain.step.sharpness_aware import sharpness_aware
from jaxtrain.step.train_state import TrainState, TrainStep, create_train_state
from jaxtrain.step.train_step import make_train_step, step_key
from jaxtrain.step.update import average_of, moved, update
from jaxtrain.step.virtual_shards import VirtualShards

__all__ = [
    "LOSSES",
    "POLICIES",
    "ClassWeights",
    "Forward",
    "Gradient",
    "LossFn",
    "LossScale",
    "Mix",
    "Objective",
    "Pass",
    "Policy",
    "RateSweep",
    "Residuals",
    "TrainState",
    "TrainStep",
    "VirtualShards",
    "accumulated",
    "all_finite",
    "as_before",
    "average_of",
    "clip_factor",
    "clip_leaves",
    "clip_values",
    "create_train_state",
    "cross_entropy",
    "cutmix",
    "focal",
    "forward",
    "global_norm",
    "gradient",
    "guarded",
    "holding",
    "lr_find",
    "make_eval_step",
    "make_train_step",
    "mean_squared_error",
    "mixed",
    "mixup",
    "moved",
    "next_token",
    "objective",
    "output",
    "policy",
    "residuals",
    "scaled",
    "sharpness_aware",
    "step_key",
    "streams",
    "total_and_weight",
    "update",
    "weights_by_class",
]
