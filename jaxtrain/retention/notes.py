"""What a report has to say in words: what is missing and why, and what the figures don't tell.

why_not("backward_transfer", matrix)      # "not evaluated: medical after questions"
list(what_to_know(report))                # "no baseline was given for medical", ...
"""

from __future__ import annotations

from collections.abc import Iterator

from jaxtrain.retention.findings import Findings
from jaxtrain.retention.matrix import RetentionMatrix


def why_not(figure: str, matrix: RetentionMatrix) -> str | None:
    """Why a figure can't be told; None where it can.

    Args:
        figure: its name, as in `RetentionReport`.
        matrix: as far as the phases are done.
    """
    last, tasks = matrix.phases_done, matrix.tasks
    if figure == "general_ability" and not matrix.untrained:
        return "there is no untrained suite"
    if figure in ("backward_transfer", "forgetting", "forward_transfer") and last < 2:
        return "it takes two phases"
    earlier = [(j, name) for j, name in enumerate(tasks, start=1) if j < last]
    wanted = {
        "average_accuracy": [(last, name) for name in tasks],
        "backward_transfer": [(row, name) for j, name in earlier for row in (j, last)],
        "forgetting": [(row, name) for j, name in earlier for row in (0, *range(j, last + 1))],
        "forward_transfer": [(row, name) for j, name in enumerate(tasks) if j for row in (0, j)],
        "general_ability": [(row, name) for name in matrix.untrained for row in (0, last)],
    }[figure]
    missing = [(row, name) for row, name in wanted if name not in matrix.rows[row]]
    if not missing:
        return None
    places = (f"{name} {_row_name(matrix.phase_names, row)}" for row, name in missing)
    return f"not evaluated: {', '.join(places)}"


def _row_name(phases: tuple[str, ...], row: int) -> str:
    return f"after {phases[row - 1]}" if row else "of the base model"


def what_to_know(report: Findings) -> Iterator[str]:
    """What a reader must know, and the figures alone don't say."""
    last = len(report.phases)
    if report.forgetting is not None:
        unseen = [
            f"{name} {_row_name(report.phases, k)}"
            for j, name in enumerate(report.tasks[:-1])
            for k in range(1, j + 1)
            if name not in report.scores[k]
        ]
        if unseen:
            yield f"forgetting: the best of what was evaluated; not evaluated: {', '.join(unseen)}"
    without = [name for name in (*report.tasks, *report.untrained) if name not in report.baselines]
    if without:
        yield f"no baseline was given for {', '.join(without)}"
    for row, name in enumerate(report.tasks, start=1):
        own = report.scores[row].get(name)
        if own is not None and name in report.baselines and own.low <= report.baselines[name].best:
            yield f"{name}: after its own phase not surely better than its baselines"
        if name in report.gains and report.gains[name].low <= 0:
            yield f"{name}: its own phase has not surely made it better than the base model"
    if report.merged is None:
        yield "the model was not scored merged, saved and loaded again"
    if report.control is not None and report.control_loss is None:
        yield (
            f"no loss on the control text: {report.control} was not evaluated both of the base "
            f"model and {_row_name(report.phases, last)}"
        )
    if report.joint is not None and report.joint.average is None:
        without = [name for name in report.tasks if name not in report.joint.scores]
        yield f"no average of the joint training: it was not scored on {', '.join(without)}"
    few = [name for name, count in report.examples.items() if count == 1]
    if few:
        yield f"of one example nothing says how sure its loss is: {', '.join(few)}"
