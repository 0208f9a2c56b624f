"""Ray Tune and PyTorch: as many trials at once as Ray finds cores for, drawn at random.

    python -m benchmarks.populations.with_ray DIR

DIR has `setting.json` and `data.npz`, and gets `figures.json`. A trial has one core, as Ray has it
by default, and the arrays lie once in Ray's memory for all of them.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from benchmarks.populations.cases import Setting
from benchmarks.populations.torch_trial import read, trial


def trainable(values: dict[str, float], *, arrays: dict[str, np.ndarray], setting: Setting) -> None:
    for loss, accuracy in trial(arrays, setting, values):
        tune.report({"val_loss": loss, "val_accuracy": accuracy})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    place = parser.parse_args().place.absolute()
    setting, arrays = Setting.read(place), read(place)
    random.seed(setting.seed)
    np.random.seed(setting.seed)  # Ray draws from it
    ray.init(include_dashboard=False)
    draws: dict[str, Any] = {"uniform": tune.uniform, "log_uniform": tune.loguniform}
    space = {}
    for key, said in setting.space.items():
        ((kind, (low, high)),) = said.items()
        space[key] = draws[kind](low, high)
    results = tune.Tuner(
        tune.with_parameters(trainable, arrays=arrays, setting=setting),
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=setting.trials, metric="val_loss", mode="min"),
        run_config=tune.RunConfig(name="trials", storage_path=str(place), verbose=0),
    ).fit()
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} trials failed: {results.errors[0]}")
    frames = [result.metrics_dataframe for result in results]
    best = min(frames, key=lambda frame: frame["val_loss"].min())
    found = {
        "value": float(best["val_loss"].min()),
        "accuracy": float(best["val_accuracy"].iloc[-1]),
        "epochs": sum(map(len, frames)),
        "version": ray.__version__,
        "cores": int(ray.cluster_resources()["CPU"]),
    }
    (place / "figures.json").write_text(json.dumps(found))
    ray.shutdown()


if __name__ == "__main__":
    main()
