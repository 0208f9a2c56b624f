"""Optuna and PyTorch: trials one after the other in one process, drawn at random.

    python -m benchmarks.populations.with_optuna DIR [--threads 1]

DIR has `setting.json` and `data.npz`, and gets `figures.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import optuna
import torch

from benchmarks.populations.cases import Setting
from benchmarks.populations.torch_trial import read, trial


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    parser.add_argument("--threads", type=int, help="by default as many as PyTorch chooses")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    setting, arrays = Setting.read(options.place), read(options.place)
    seconds: list[float] = []

    def objective(one: optuna.Trial) -> float:
        began = time.perf_counter()
        values = {}
        for key, said in setting.space.items():
            ((kind, (low, high)),) = said.items()
            values[key] = one.suggest_float(key, low, high, log=kind == "log_uniform")
        best = float("inf")
        for loss, accuracy in trial(arrays, setting, values):
            best = min(best, loss)
            one.set_user_attr("accuracy", accuracy)
        seconds.append(time.perf_counter() - began)
        return best

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=setting.seed))
    study.optimize(objective, n_trials=setting.trials)
    found = {
        "value": study.best_value,
        "accuracy": study.best_trial.user_attrs["accuracy"],
        "each": seconds,
        "threads": torch.get_num_threads(),
    }
    (options.place / "figures.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
