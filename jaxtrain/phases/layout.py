"""Where the phases of a config lie in a directory.

layout = Layout(config, directory)
layout.run("korean"), layout.scores(1), layout.ledger()
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jaxtrain.checkpoint.manifest import manifest_digest
from jaxtrain.phases.ledger import Ledger
from jaxtrain.phases.phased_config import PhasedConfig
from jaxtrain.phases.replay import BASE
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
        """The directory of a phase, or of the base."""
        if name == BASE and self.config.base is not None:
            return self.directory / BASE
        number = self.config.names.index(name) + 1
        return self.directory / "phases" / f"{number}-{name}"

    def scores(self, number: int, *, merged: bool = False) -> Path:
        """Of all tasks after phase `number`; 0 is before the first."""
        return self.directory / "scores" / f"{number}{'-merged' if merged else ''}.npz"

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
