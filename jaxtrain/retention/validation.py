"""test_all_phases: every task so far once more, and whether it is still as good as it was.

    report = test_all_phases(evaluate, ["korean", "medical"], before=matrix.references())
    report.print()
    report.has_catastrophic_forgetting(threshold=0.05)

`evaluate` takes the name of a task and gives its `TaskScores`, with the model as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.evidence import RESAMPLES
from jaxtrain.retention.findings import Verdict, verdict
from jaxtrain.retention.resampling import loss_interval, resample, score_interval
from jaxtrain.retention.scores import TaskScores, check_names
from jaxtrain.retention.table import lines, verdict_lines

Evaluate = Callable[[str], TaskScores]


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """What all tasks came to, and what has changed.

    Attributes:
        scores: of each task, now.
        means: the same as a mean, with its 95 % interval.
        changes: now less before, on the same examples, of each task that was scored before.
        nll_changes: the same of the negative log-likelihoods, in nats; above 0 is worse.
    """

    scores: dict[str, TaskScores]
    means: dict[str, Estimate]
    changes: dict[str, Estimate]
    nll_changes: dict[str, Estimate]

    def verdicts(self, tolerance: float = 0.0) -> dict[str, Verdict]:
        """As `RetentionReport.verdicts`."""
        return {name: verdict(change, tolerance) for name, change in self.changes.items()}

    def has_catastrophic_forgetting(self, threshold: float = 0.05) -> bool:
        """Whether a task has surely lost more than `threshold` of its score.

        Surely: all of the interval of its change is below -threshold. False is no promise that
        nothing was lost; `verdicts` tells "kept" from "undecided".

        Args:
            threshold: from 0 to 1; 0.05 is five points of accuracy.

        Raises:
            ConfigError: no task has scores of before, so that nothing can be said.
        """
        if not self.changes:
            raise ConfigError(
                "has_catastrophic_forgetting: no task has scores to compare with; give "
                "test_all_phases(..., before={task: TaskScores})"
            )
        return "forgotten" in self.verdicts(threshold).values()

    def text(self, threshold: float = 0.05) -> str:
        """As tables and lines."""
        rows = [
            [name, self.means[name].text(scale=100), f"{scores.mean_nll():.3f}", str(len(scores))]
            for name, scores in self.scores.items()
        ]
        found = lines(["task", "score, %", "loss, nats", "examples"], rows)
        if self.changes:
            said = self.verdicts(threshold)
            found += ["", *verdict_lines(said, self.changes, self.nll_changes, threshold)]
        without = [name for name in self.scores if name not in self.changes]
        if without:
            found += ["", f"note: nothing to compare with: {', '.join(without)}"]
        return "\n".join(found)

    def print(self, threshold: float = 0.05) -> None:
        """Print `text(threshold)`."""
        print(self.text(threshold))


def test_all_phases(
    evaluate: Evaluate,
    tasks: Iterable[str],
    *,
    before: Mapping[str, TaskScores] | None = None,  # noqa: PT028
    seed: int = 0,  # noqa: PT028
    resamples: int = RESAMPLES,  # noqa: PT028
) -> ValidationReport:
    """Evaluate every task, and compare with what it was.

    Args:
        evaluate: gives the scores of a task by its name.
        tasks: which; all so far, and at least one that no phase trains.
        before: what each was when it was to be kept: `RetentionMatrix.references()`.
        seed: of the resamples.
        resamples: how often the examples are drawn.

    Raises:
        DataError: no task, one twice, or scores of other examples than before.
    """
    names = check_names("tasks", tasks)
    if not names:
        raise DataError("tasks: expected at least one, found none")
    scores, means, changes, nll_changes = {}, {}, {}, {}
    for name in names:
        now = evaluate(name)
        if not isinstance(now, TaskScores):
            raise DataError(f"evaluate({name!r}): expected TaskScores, found {now!r:.80}")
        was = (before or {}).get(name)
        if was is not None:
            was.refuse_others(now, what=name)
        drawn = resample(
            [now] if was is None else [was, now], task=name, seed=seed, resamples=resamples
        )
        scores[name] = now
        means[name] = score_interval(now.mean(), drawn.score[:, -1], examples=len(now))
        if was is not None:
            changes[name] = score_interval(
                now.mean() - was.mean(), drawn.score[:, 1] - drawn.score[:, 0], examples=len(now)
            )
            nll_changes[name] = loss_interval(
                now.mean_nll() - was.mean_nll(),
                drawn.nll[:, 1] - drawn.nll[:, 0],
                examples=len(now),
            )
    return ValidationReport(scores=scores, means=means, changes=changes, nll_changes=nll_changes)


# A name that pytest would take for a test where somebody imports it.
test_all_phases.__test__ = False  # type: ignore[attr-defined]
