"""Where the phases of a config lie in a directory.

layout = Layout(config, directory)
layout.run("korean"), layout.scores(1), layout.scores("joint"), layout.ledger()
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from jaxtrain.checkpoint.manifest import manifest_digest
from jaxtrain.config import ExperimentConfig
from jaxtrain.files import inside
from jaxtrain.phases.joint import JOINT
from jaxtrain.phases.joint_run import joint_config
from jaxtrain.phases.ledger import Ledger
from jaxtrain.phases.phased_config import PhasedConfig
from jaxtrain.phases.replay import BASE
from jaxtrain.run.directory import run_id
from jaxtrain.run.found import find_checkpoint


@dataclass(frozen=True)
class Layout:
    """The files of the phases.

    Args:
        config: the phases.
        directory: of all of them.
    """

    config: PhasedConfig
    directory: Path

    @property
    def written(self) -> Path:
        """The config."""
        return self.directory / "config.yaml"

    @property
    def ledger_file(self) -> Path:
        """What was merged."""
        return self.directory / "ledger.json"

    @property
    def report(self) -> Path:
        """What was kept."""
        return self.directory / "retention.json"

    @property
    def picture(self) -> Path:
        """The same as a heat map."""
        return self.directory / "retention.png"

    def run(self, name: str) -> Path:
        """The directory of a phase, of the base or of the joint training."""
        beside = {BASE: self.config.base, JOINT: self.config.joint}
        if beside.get(name) is not None:
            return self.directory / name
        number = self.config.names.index(name) + 1
        return self.directory / "phases" / f"{number}-{name}"

    def config_of(self, name: str) -> ExperimentConfig:
        """The config of a run there, with its directory and what it begins with.

        Raises:
            ConfigError: what it begins with is not there.
        """
        directory = str(self.run(name))
        if name == BASE and self.config.base is not None:
            return self.config.config_of(name, workdir=directory)
        if name == JOINT and self.config.joint is not None:
            return joint_config(self.config, workdir=directory, start=self.start(1))
        start = self.start(self.config.names.index(name) + 1)
        return self.config.config_of(name, workdir=directory, start=start)

    def scores(self, row: int | str, *, merged: bool = False) -> Path:
        """Of all tasks after phase number `row`; 0 is before the first, "joint" of all at once."""
        return self.directory / "scores" / f"{row}{'-merged' if merged else ''}.npz"

    def ledger(self) -> Ledger:
        """What is over.

        Raises:
            DataError: the file is broken.
        """
        return Ledger.read(self.ledger_file)

    def start(self, number: int) -> tuple[str, str] | None:
        """What phase `number` begins with: the checkpoint that counts of what comes before it, and
        the digest of its manifest; None where the config says it.

        Raises:
            ConfigError: there is no such run.
        """
        if number == 1 and self.config.base is None:
            return None
        before = self.config.names[number - 2] if number > 1 else BASE
        path = find_checkpoint(self.run(before)).path
        return str(path), manifest_digest(path)


def directory_for(config: PhasedConfig) -> Path:
    """`runs/<project>/<id>`, the id made of all phases.

    Not of the joint training, which changes no phase: it can be asked for when they are over.
    """
    every = config.every
    first = config.config_of(every[0])
    ids = " ".join(run_id(config.config_of(name)) for name in every)
    suites = json.dumps(config.tree.to_dict().get("retention"), sort_keys=True, default=repr)
    digest = hashlib.sha256(f"{' '.join(every)} {ids} {suites}".encode()).hexdigest()[:8]
    return inside(Path("runs"), first.project, f"seed{first.seed}-{digest}")
