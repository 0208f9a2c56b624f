"""`launch`: several processes of this machine as one run; one that dies ends or restarts all."""

from __future__ import annotations

import argparse

from jaxtrain.cli.command import Command
from jaxtrain.cli.launching import Launched
from jaxtrain.errors import ConfigError


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=int, metavar="N", help="how many")
    parser.add_argument(
        "--devices-each",
        type=int,
        default=1,
        metavar="D",
        help="devices of each: GPUs of the machine, or simulated ones of its CPU",
    )
    parser.add_argument(
        "--restarts",
        type=int,
        default=0,
        metavar="K",
        help="when a process dies, start all again from the newest good checkpoint, up to K times",
    )
    parser.add_argument(
        "--at-least",
        type=int,
        metavar="M",
        help="start again with those that are left, M at least, instead of with all",
    )


def _launch(options: argparse.Namespace, overrides: list[str]) -> int:
    if overrides or not options.rest:
        raise ConfigError(
            "launch: expected the words of the command behind `--`; for instance "
            "launch --processes 2 -- configs/digits.py"
        )
    if options.processes is None:
        raise ConfigError("launch: --processes N is missing: how many")
    least = {"processes": 1, "devices_each": 1, "restarts": 0, "at_least": 1}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            word = f"--{name.replace('_', '-')}"
            raise ConfigError(f"launch: {word}: expected {bound} or more, found {value}")
    if options.at_least is not None and options.at_least > options.processes:
        raise ConfigError(
            f"launch: --at-least {options.at_least}: there are {options.processes} processes"
        )
    return Launched(
        ["-m", "jaxtrain.main", *options.rest],
        options.processes,
        devices_each=options.devices_each,
        restarts=options.restarts,
        at_least=options.at_least,
    ).run()


COMMAND = Command(
    "run a command in several processes of this machine, which are one run",
    _add_words,
    _launch,
    prints=False,
    hands_on=True,
)
