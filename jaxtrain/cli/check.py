"""`check`: look for faults in data, model and step before training."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from functools import partial

from jaxtrain.cli.command import Command
from jaxtrain.cli.configured import add_config_words, config_of, phased_of, take_config
from jaxtrain.cli.printing import finding_line


def _check(options: argparse.Namespace, overrides: list[str]) -> int:
    phased = phased_of(options, overrides)
    if phased is None:
        configs = {"": partial(config_of, options, overrides)}
    else:
        from jaxtrain.phases import JOINT, joint_config

        configs = {f"phase {name}: ": partial(phased.config_of, name) for name in phased.every}
        names = dict(zip(configs, phased.every, strict=True))
        if phased.joint is not None:
            # Made when the phases have been looked at: it reads the data of all of them.
            configs[f"{JOINT}: "] = partial(joint_config, phased)
            names[f"{JOINT}: "] = JOINT
    from jaxtrain.run import RunData, choose_device
    from jaxtrain.run.checks import run_checks

    failed = 0
    for whose, made in configs.items():
        config = made()
        choose_device(config.device)
        with nullcontext() if phased is None else phased.told(names[whose]):
            for finding in run_checks(RunData.of(config)):
                failed += not finding.ok
                print(f"{whose}{finding_line(finding)}", flush=True)
    if phased is not None:
        from jaxtrain.phases import check_suites

        for name, finding in check_suites(phased):
            failed += not finding.ok
            print(f"untrained {name}: {finding_line(finding)}", flush=True)
    print("all checks passed" if not failed else f"{failed} of the checks failed")
    return 1 if failed else 0


COMMAND = Command(
    "look for faults in data, model and step before training",
    add_config_words,
    _check,
    take_config,
)
