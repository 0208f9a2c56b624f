"""Where all rooms meet: a config becomes a run."""

from jaxtrain.run.experiment import Experiment, make_config

__all__ = ["Experiment", "make_config"]
