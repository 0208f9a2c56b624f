"""Ledger: what was trained on what, and merged in which order.

    ledger = Ledger.read(root / "ledger.json")
    ledger = ledger.with_entry(Entry(phase="korean", base=digest, merged=..., ...))
    ledger.write(root / "ledger.json")

Every entry begins with what the one before has made: its digest is that of all parameters, so what
a phase stands on can be made again from the first base and the adapters, and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pydantic

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files import replacing

_VERSION = 1


class Entry(pydantic.BaseModel):
    """A phase that is over.

    Attributes:
        phase: its name.
        run: its run directory, below that of the ledger.
        iteration: after which the checkpoint was taken that counts, its best.
        base: the digest of the parameters that it began with.
        adapter: the digest of the factors that it has learnt; None where it trained all parameters.
        files: the directory of the adapter's files, below that of the ledger, likewise.
        lora: the adapter's options, likewise.
        merged: the digest of the parameters that it has made.
        lost: how much of the update each module has lost where its kernel is narrower than float32.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)

    phase: str
    run: str
    iteration: int
    base: str
    adapter: str | None = None
    files: str | None = None
    lora: dict[str, Any] | None = None
    merged: str
    lost: dict[str, float] = {}


@dataclass(frozen=True)
class Ledger:
    """What was merged, in its order.

    Args:
        entries: of the phases that are over.
    """

    entries: tuple[Entry, ...] = ()

    def with_entry(self, entry: Entry) -> Ledger:
        """The ledger with one more phase.

        Raises:
            ConfigError: the phase is there already, or its adapter is: it would be merged twice; or
                it did not begin with what the last one made.
        """
        for other in self.entries:
            if other.phase == entry.phase:
                raise ConfigError(f"ledger: phase {entry.phase!r} is there already")
            if entry.adapter is not None and other.adapter == entry.adapter:
                raise ConfigError(
                    f"ledger: the adapter of phase {entry.phase!r} was merged as phase "
                    f"{other.phase!r} already; merged twice, it would count twice"
                )
        self.refuse_another_base(entry.phase, entry.base)
        return Ledger((*self.entries, entry))

    def refuse_another_base(self, phase: str, base: str) -> None:
        """See that the next phase begins with what the last one has made.

        Raises:
            ConfigError: the digests are two.
        """
        if self.entries and base != self.entries[-1].merged:
            raise ConfigError(
                f"ledger: phase {phase!r} began with {base[:12]}, but phase "
                f"{self.entries[-1].phase!r} has made {self.entries[-1].merged[:12]}; another "
                "machine, or another JAX, may round a merge otherwise: go on where it was begun"
            )

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        record = {"version": _VERSION, "entries": [one.model_dump() for one in self.entries]}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """What was written; an empty one where there is no file.

        Raises:
            DataError: it is something else.
        """
        if not path.exists():
            return cls()
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record, Mapping) or record.get("version") != _VERSION:
                raise DataError(f"{path}: expected a ledger of version {_VERSION}")
            made = cls()
            for entry in record["entries"]:
                made = made.with_entry(Entry.model_validate_json(json.dumps(entry)))
        except (ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
            raise DataError(
                f"{path}: can't be read as a ledger: {str(error).splitlines()[0]}"
            ) from None
        return made


def digest_of(tree: Any) -> str:
    """The sha256 (hex) of all leaves of a tree, with their paths, dtypes and shapes."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        array = np.asarray(leaf)
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def options_of(config: Any) -> dict[str, Any]:
    """A `LoRAConfig` as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return values
