"""Rows of tokens as a run takes them: from memory, or as a stream.

    rows = TokenRows(Packing.of(tokens, length=256, layout="stream"), vocab_size=512)
    rows.loader(batch_size=64, shuffle=True, seed=0, last_batch="pad")
    rows.stream(batch_size=64, shuffle=True, seed=0, last_batch="pad", workers=4)

Axis letters: R rows, L places of a row, V vocabulary.
"""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np

from jaxtrain.data.array_loader import ArrayLoader
from jaxtrain.data.epoch_order import LastBatch
from jaxtrain.data.grain_loader import GrainLoader
from jaxtrain.data.loader import Loader
from jaxtrain.data.rows import Task, refuse_impossible
from jaxtrain.data.text.packing import Packing

# Not by the machine's memory: what it is decides a loader's fingerprint, and a run may move.
_MOST_IN_MEMORY = 2**30
_AT_ONCE = 2**20  # places


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Packed rows: `Rows` and `StreamedRows`.

    Args:
        packing: the rows.
        vocab_size: V.
        name: what messages call them.
    """

    packing: Packing
    _: KW_ONLY
    vocab_size: int
    name: str = "text"

    def __post_init__(self) -> None:
        refuse_impossible(self)

    def __len__(self) -> int:
        return len(self.packing)

    @property
    def task(self) -> Task:
        """To say the next token."""
        return "language"

    @property
    def num_outputs(self) -> int:
        """V."""
        return self.vocab_size

    @property
    def label_names(self) -> tuple[str, ...]:
        """Tokens have none."""
        return ()

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """All rows, `[R, L]` each; made when they are first asked for."""
        count, length = len(self), self.packing.length
        made = {n: np.empty((count, length), d) for n, d in self.packing.example().items()}
        step = max(1, _AT_ONCE // length)
        for first in range(0, count, step):
            rows = np.arange(first, min(first + step, count))
            for name, array in self.packing.gather(rows).items():
                made[name][rows[0] : rows[-1] + 1] = array
        for array in made.values():
            array.flags.writeable = False
        return made

    @property
    def nbytes(self) -> int:
        """Bytes that `arrays` take."""
        one = sum(dtype.itemsize for dtype in self.packing.example().values())
        return len(self) * self.packing.length * one

    def fingerprint(self) -> str:
        """The sha256 (hex) of the tokens and of how they are laid out; computed once."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        packing = self.packing
        words = f"{packing.tokens.digest} {packing.length} {packing.segmented} {self.vocab_size}"
        digest = hashlib.sha256(words.encode())
        digest.update(np.ascontiguousarray(packing.spans).data)
        return digest.hexdigest()

    def loader(
        self, *, batch_size: int, shuffle: bool = True, seed: int = 0, last_batch: LastBatch = "pad"
    ) -> Loader:
        """Their batches, from arrays in memory up to a gibibyte, and from a stream beyond."""
        if self.nbytes > _MOST_IN_MEMORY:
            return self.stream(
                batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch, workers=0
            )
        return ArrayLoader(
            self, batch_size=batch_size, shuffle=shuffle, seed=seed, last_batch=last_batch
        )

    def stream(
        self,
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        last_batch: LastBatch = "pad",
        workers: int = 0,
    ) -> GrainLoader:
        """Their batches, the same ones, made as they are wanted."""
        return GrainLoader(
            self.packing,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            last_batch=last_batch,
            workers=workers,
            fingerprint=self.fingerprint(),
        )
