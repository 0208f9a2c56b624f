"""Where all rooms meet: a config becomes a run, in three stages.

    data = RunData.of(config)              # read once: sets, loaders, fingerprints
    task = Task.of(data)                   # model, loss, optimizer, steps
    experiment = Experiment(task)          # engines and hooks, in a run directory

Each is made of the one before and knows nothing of the one behind. What was trained is used without
them:

    trained = Trained.load("runs/digits/seed0-1a2b3c4d")
"""

from jaxtrain.run.data import RunData
from jaxtrain.run.device import choose_device
from jaxtrain.run.experiment import Experiment
from jaxtrain.run.lr_finding import lr_find_of
from jaxtrain.run.registries import REGISTRIES, make_config
from jaxtrain.run.task import Task
from jaxtrain.run.trained import Trained

__all__ = [
    "REGISTRIES",
    "Experiment",
    "RunData",
    "Task",
    "Trained",
    "choose_device",
    "lr_find_of",
    "make_config",
]
