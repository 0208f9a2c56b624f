"""RunData: the data of a run, read once. The first stage; it touches no device.

    data = RunData.of(make_config("configs/digits.py"))
    [finding for finding in data.findings if not finding.ok]
    for batch in data.loader:
        ...
    data.eval_loader("test")

A `Task` is made of it. What is wrong with the data is found here and refused there, so that a check
can tell all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from jaxtrain.config import ExperimentConfig
from jaxtrain.data import (
    SOURCES,
    Dataset,
    Finding,
    Rows,
    Splits,
    StreamedRows,
    check_dataset,
    check_overlap,
    class_counts,
)
from jaxtrain.data.mixture_source import MixedRows
from jaxtrain.errors import ConfigError, DataError

# A finding with one of these in its name is worth a look, and nothing that training can't do with.
_REMARKS = ("class balance", "overlap")
_IMBALANCED = 0.1  # the rarest class has less than this share of the most frequent one's rows


@dataclass(frozen=True, eq=False)
class RunData:
    """The sets of a run, and the loader that training reads.

    Args:
        config: the config that it was made of.
        splits: the data sets.
        loader: batches of the training set.
    """

    config: ExperimentConfig
    splits: Splits
    loader: Any

    @classmethod
    def of(cls, config: ExperimentConfig) -> RunData:
        """Read the data that `config` names, and fit what is to be fitted on the training rows.

        Raises:
            ConfigError: the data are missing, or an option does not fit them.
            DataError: they can't be read.
        """
        splits = read_splits(config)
        return cls(config, splits, train_loader(config, splits))

    @property
    def train(self) -> Rows:
        """The training rows.

        Raises:
            ConfigError: the source handed over none.
        """
        if self.splits.train is None:
            raise _no_training_rows(self.config)
        return self.splits.train

    @property
    def sets(self) -> dict[str, Rows]:
        """The data sets that there are, by "train", "validation" and "test"."""
        return self.splits.sets

    def eval_loader(self, name: str) -> Any:
        """Batches of a set in its own order, every row of it once.

        Raises:
            ValueError: the run has no such set.
        """
        if name not in self.sets:
            raise ValueError(f"this run has the sets {', '.join(self.sets)}; found {name!r}")
        return evaluation_loader(self.config, self.sets[name])

    def example(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of a batch of the training loader; no row is read."""
        return dict(self.loader.example())

    def fingerprints(self) -> dict[str, str]:
        """Which data the run is about, set by set."""
        return {"train": self.loader.fingerprint()} | _of_held_out(self.splits)

    def class_counts(self) -> tuple[int, ...] | None:
        """How many training rows each class has; None for a regression, and out of memory."""
        train = self.splits.train
        if not isinstance(train, (Dataset, MixedRows)) or train.task != "classification":
            return None
        if isinstance(train, MixedRows) and "labels" not in train.arrays:
            return None  # somebody's own rows, who calls them otherwise
        return class_counts(train)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the checks of the data found; computed once.

        Set by set (`train shapes`, ...), then how the sets go together: that there are classes to
        tell apart (`train classes`), sets of another kind than the training rows (`test kind`), and
        rows that stand in two of them (`test overlap with train`).
        """
        ignored = getattr(self.config.loss, "ignore_label", None)
        alone = [
            Finding(f"{name} {finding.name}", finding.ok, finding.detail)
            for name, split in self.sets.items()
            for finding in check_dataset(split, ignore_label=ignored)
        ]
        alone = [self._with_remedy(finding) for finding in alone]
        return (*alone, *self._classes(), *self._kinds(), *check_overlap(self.sets))

    @property
    def broken(self) -> tuple[Finding, ...]:
        """Those findings that no model can be trained with."""
        return tuple(f for f in self.findings if not f.ok and not _is_remark(f))

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """Those findings that a person should look at, though training goes on."""
        return tuple(f for f in self.findings if not f.ok and _is_remark(f))

    def _with_remedy(self, finding: Finding) -> Finding:
        """Where classes are rare, say what can be done about it."""
        counts = self.class_counts() if finding.name == "train class balance" else None
        weighted = getattr(self.config.loss, "class_weights", self) is not None
        if not counts or weighted or min(counts) >= _IMBALANCED * max(counts):
            return finding
        remedy = "; loss.class_weights=balanced makes the rare ones count as much as the others"
        return Finding(finding.name, finding.ok, finding.detail + remedy)

    def _classes(self) -> list[Finding]:
        """Whether there are classes to tell apart."""
        train = self.splits.train
        if train is None or train.task != "classification":
            return []
        counts = self.class_counts()
        there = train.num_outputs if counts is None else sum(count > 0 for count in counts)
        detail = f"{there} of {train.num_outputs} classes have rows"
        if there < 2:
            detail += "; expected at least two to tell apart"
        return [Finding("train classes", there >= 2, detail)]

    def _kinds(self) -> list[Finding]:
        """The sets of which something else is to be learnt than of the training rows."""
        found = {n: f"{s.task} with {s.num_outputs} outputs" for n, s in self.sets.items()}
        wanted = found.get("train")
        return [
            Finding(f"{name} kind", False, f"a {kind}; expected that of train, a {wanted}")
            for name, kind in found.items()
            if wanted is not None and kind != wanted
        ]

    def refuse_broken(self) -> None:
        """Raise where there is a finding of that kind.

        Raises:
            DataError: with all of them, a line each.
        """
        if self.broken:
            lines = (f"{self.train.name}: {f.name}: {f.detail}" for f in self.broken)
            raise DataError("\n".join(lines))


def _is_remark(finding: Finding) -> bool:
    return any(name in finding.name for name in _REMARKS)


def read_splits(config: ExperimentConfig, *, fitted: Mapping[str, Any] | None = None) -> Splits:
    """What the source that `config` names hands over.

    Args:
        config: its `data` section names the source.
        fitted: what the source's reader said of itself when a run was begun (`Reader.state`):
            nothing is fitted anew then, and the training file need not be there any more.

    Raises:
        ConfigError: the data are missing, or an option does not fit them.
        DataError: they can't be read.
    """
    section = config.data
    splits: Splits = SOURCES.build(
        section,
        validation_fraction=section.validation_fraction,
        seed=config.seed,
        fitted=fitted,
    )
    return splits


def train_loader(config: ExperimentConfig, splits: Splits) -> Any:
    """The loader of the training set, as the config's `data` section wants it.

    Raises:
        ConfigError: there is no training set, or it is to be a stream and can't be.
    """
    section, train = config.data, splits.train
    if train is None:
        raise _no_training_rows(config)
    options: dict[str, Any] = {
        "batch_size": section.batch_size,
        "shuffle": section.shuffle,
        "seed": config.seed,
        "last_batch": section.last_batch,
    }
    if section.stream:
        if not isinstance(train, StreamedRows):
            raise ConfigError(
                f"data.stream: the source {section.name!r} makes its own loader or holds its rows "
                "in memory, so they are no stream; set data.stream=false"
            )
        return train.stream(**options, workers=section.workers)
    if section.workers:
        raise ConfigError(
            f"data.workers: {section.workers} processes have no stream to read; set "
            "data.stream=true, or data.workers=0"
        )
    return train.loader(**options)


def evaluation_loader(config: ExperimentConfig, rows: Rows) -> Any:
    """Batches of `rows` in their own order, every one of them once."""
    wanted = config.data.eval_batch_size or config.data.batch_size
    size = min(wanted, len(rows))
    if config.mesh is not None or config.train.virtual_shards is not None:
        size = wanted  # that can be split, but not any number of rows
    # Always padded: dropping the last batch would leave examples out of the figures.
    return rows.loader(batch_size=size, shuffle=False, seed=0, last_batch="pad")


def fingerprints(config: ExperimentConfig, splits: Splits) -> dict[str, str]:
    """Which data a run is about: what it is judged by counts as much as what it learns.

    That of the training set is its loader's: the order belongs to it.
    """
    if splits.train is None:
        return _of_held_out(splits)
    return {"train": train_loader(config, splits).fingerprint()} | _of_held_out(splits)


def differences(before: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """A line for each set whose fingerprint is another than it was, with both of them."""
    return [
        f"the {name} set is not that of the run: it was {before.get(name)}, now {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _of_held_out(splits: Splits) -> dict[str, str]:
    return {name: rows.fingerprint() for name, rows in splits.sets.items() if name != "train"}


def _no_training_rows(config: ExperimentConfig) -> ConfigError:
    return ConfigError(f"data source {config.data.name!r}: handed over no training rows")
