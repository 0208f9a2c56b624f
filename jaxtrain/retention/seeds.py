"""The same phases under several seeds: what holds, and what was one seed's luck.

    said = summary([report_of_seed_0, report_of_seed_1, report_of_seed_2])
    said.backward_transfer                             # mean and 95 % interval over the seeds
    compared(protected, plain)["backward_transfer"]    # by how much protection helps, seed by seed

The intervals here are over seeds (Student's t), those of a report over examples: that of a
report says nothing of another training, and these say nothing of other questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jaxtrain.errors import DataError
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.findings import Estimates
from jaxtrain.retention.report import RetentionReport
from jaxtrain.retention.transfer import FORMULAS


@dataclass(frozen=True, kw_only=True)
class SeedSummary:
    """Means over seeds, with 95 % intervals.

    Attributes:
        seeds: how many reports.
        scores: of each task, after each phase, the base model's first; where all reports have it.
        changes: as `RetentionReport.changes`.
        average_accuracy: ACC; None where a report has none, and so are the others.
        backward_transfer: BWT.
        forgetting: F.
        forward_transfer: FWT.
        general_ability: the mean change of the untrained suites.
        control_loss: PEFT's "forgetting", in nats.
        joint_average: of the models trained on all tasks at once, over those tasks.
    """

    seeds: int
    scores: tuple[Estimates, ...]
    changes: Estimates
    average_accuracy: Estimate | None
    backward_transfer: Estimate | None
    forgetting: Estimate | None
    forward_transfer: Estimate | None
    general_ability: Estimate | None
    control_loss: Estimate | None
    joint_average: Estimate | None


def summary(reports: Sequence[RetentionReport]) -> SeedSummary:
    """The mean of each figure over the reports of several seeds.

    Raises:
        DataError: there are fewer than two, or they are of other tasks or phases.
    """
    _refuse_others(reports)
    return SeedSummary(
        seeds=len(reports),
        scores=tuple(
            _by_task([report.scores[k] for report in reports])
            for k in range(len(reports[0].scores))
        ),
        changes=_by_task([report.changes for report in reports]),
        **{name: _over(reports, _reader(name)) for name in (*FORMULAS, "control_loss")},
        joint_average=_over(reports, lambda one: one.joint.average if one.joint else None),
    )


def compared(
    these: Sequence[RetentionReport], those: Sequence[RetentionReport]
) -> dict[str, Estimate]:
    """By how much the figures of `these` are above those of `those`, seed by seed.

    Args:
        these: a report a seed, as of runs with a protection.
        those: as many, of the same seeds in the same order, as of runs without.

    Returns:
        Each figure that all of them have, and `change/TASK` of each task in `changes`.

    Raises:
        DataError: there are fewer than two, not as many, or of other tasks or phases.
    """
    _refuse_others([*these, *those])
    if len(these) != len(those):
        raise DataError(
            f"reports: expected as many of each, of the same seeds, found {len(these)} and "
            f"{len(those)}"
        )
    if len(these) < 2:
        raise DataError(f"reports: expected two seeds or more, found {len(these)}")
    readers = {name: _reader(name) for name in (*FORMULAS, "control_loss")}
    readers |= {f"change/{name}": _change(name) for name in these[0].changes}
    found = {}
    for name, read in readers.items():
        pairs = [(read(a), read(b)) for a, b in zip(these, those, strict=True)]
        values = [a.value - b.value for a, b in pairs if a is not None and b is not None]
        if len(values) == len(pairs):
            found[name] = mean_of_seeds(values)
    return found


def mean_of_seeds(values: Sequence[float]) -> Estimate:
    """The mean of a figure over seeds, with its 95 % interval by Student's t.

    >>> mean_of_seeds([0.1, 0.2, 0.3]).text(digits=3)
    '0.200 [-0.048, 0.448]'
    """
    from scipy.special import stdtrit

    mean = math.fsum(values) / len(values)
    half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return Estimate(mean, mean - half, mean + half)


def _refuse_others(reports: Sequence[RetentionReport]) -> None:
    if len(reports) < 2:
        raise DataError(f"reports: expected those of two seeds or more, found {len(reports)}")
    first = reports[0]
    for number, report in enumerate(reports):
        for field in ("tasks", "phases", "untrained", "control"):
            known, found = getattr(first, field), getattr(report, field)
            if known != found:
                raise DataError(
                    f"reports: {field}: number 0 has {known!r}, number {number} has {found!r}; "
                    "expected the same phases under other seeds"
                )


def _reader(name: str) -> Callable[[RetentionReport], Estimate | None]:
    return lambda report: getattr(report, name)


def _change(name: str) -> Callable[[RetentionReport], Estimate | None]:
    return lambda report: report.changes.get(name)


def _over(
    reports: Sequence[RetentionReport], read: Callable[[RetentionReport], Estimate | None]
) -> Estimate | None:
    found = [one.value for one in map(read, reports) if one is not None]
    return mean_of_seeds(found) if len(found) == len(reports) else None


def _by_task(found: Sequence[Estimates]) -> Estimates:
    return {
        name: mean_of_seeds([one[name].value for one in found])
        for name in found[0]
        if all(name in one for one in found)
    }
