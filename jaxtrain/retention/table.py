"""A report as text: tables of scores and losses, then the figures, verdicts and notes.

print(report_text(report, tolerance=0.02))

Scores in percent, losses in nats, both with their 95 % intervals. A cell with a star is of the
phase that trained its task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.findings import Findings

_FIGURES = (
    ("average_accuracy", "ACC", "average accuracy", False),
    ("backward_transfer", "BWT", "backward transfer (below 0: forgetting)", True),
    ("forgetting", "F", "forgetting (above 0 by noise alone, too)", True),
    ("forward_transfer", "FWT", "forward transfer, against the base model", True),
    ("general_ability", "GEN", "general ability: change of what was never trained", True),
)


def report_text(report: Findings, tolerance: float) -> str:
    """The report as tables and lines, as wide as they are."""
    blocks = ["\n".join(_score_table(report)), "\n".join(_nll_table(report))]
    blocks += [
        "\n".join(_figures(report)),
        "\n".join(
            verdict_lines(report.verdicts(tolerance), report.changes, report.nll_changes, tolerance)
        ),
    ]
    blocks.append("\n".join(f"note: {note}" for note in report.notes))
    return "\n\n".join(block for block in blocks if block)


def verdict_lines(
    verdicts: Mapping[str, str],
    changes: Mapping[str, Estimate],
    nll_changes: Mapping[str, Estimate],
    tolerance: float,
) -> Iterator[str]:
    """What became of each task, by the ends of the intervals."""
    if not verdicts:
        return
    rows = [
        [name, said, changes[name].text(scale=100, sign=True),
         nll_changes[name].text(digits=3, sign=True)]
        for name, said in verdicts.items()
    ]  # fmt: skip
    beyond = f", more than {100 * tolerance:g} points" if tolerance else ""
    yield from lines([f"forgotten{beyond}?", "verdict", "points", "nats"], rows)


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of text, its first column to the left and the others to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, title in enumerate(head):
        table.add_column(Text(title), justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # As wide as it is: a table that is folded can't be compared with another.
    # And as text: in a notebook rich would also display it, as an empty output of the cell.
    console = Console(
        width=10_000,
        color_system=None,
        markup=False,
        highlight=False,
        emoji=False,
        force_jupyter=False,
        file=StringIO(),
    )
    with console.capture() as caught:
        console.print(table)
    return [line.rstrip() for line in caught.get().rstrip("\n").split("\n")]


def _score_table(report: Findings) -> Iterator[str]:
    names = (*report.tasks, *report.untrained)
    rows = [
        [label, *(_cell(row.get(name), star=own == name, scale=100) for name in names)]
        for label, own, row in _phase_rows(report, report.scores)
    ]
    if report.merged is not None:
        rows.append(["merged, reloaded", *_cells(report.merged.scores, names)])
    if report.joint is not None:
        rows.append(["all tasks at once", *_cells(report.joint.scores, names)])
    for kind in ("majority", "random") if report.baselines else ():
        shares = {name: getattr(one, kind) for name, one in report.baselines.items()}
        cells = (f"{100 * shares[name]:.1f}" if name in shares else "-" for name in names)
        rows.append([f"baseline: {kind}", *cells])
    rows.append(["examples", *(str(report.examples.get(name, 0)) for name in names)])
    yield from lines(["score, %", *names], rows)


def _nll_table(report: Findings) -> Iterator[str]:
    names = (*report.tasks, *report.untrained)
    rows = [
        [label, *(_cell(row.get(name), star=own == name, digits=3) for name in names)]
        for label, own, row in _phase_rows(report, report.nlls)
    ]
    if report.joint is not None:
        cells = (_cell(report.joint.nlls.get(name), digits=3) for name in names)
        rows.append(["all tasks at once", *cells])
    yield from lines(["loss, nats", *names], rows)


def _figures(report: Findings) -> Iterator[str]:
    rows = []
    for field, short, meaning, sign in _FIGURES:
        found = getattr(report, field)
        rows.append([short, _cell(found, scale=100, sign=sign), "points" if sign else "%", meaning])
    if report.control is not None:
        rows.append(
            ["PEFT", _cell(report.control_loss, digits=3, sign=True), "nats",
             f'"forgetting" as PEFT tells it: loss on {report.control}, less the base model\'s']
        )  # fmt: skip
    if report.joint is not None:
        rows.append(["JOINT", _cell(report.joint.average, scale=100), "%", "trained at once"])
        gap = _cell(report.joint.gap, scale=100, sign=True)
        rows.append(["", gap, "points", "by which that is better than ACC"])
    width = max(len(value) for _, value, *_ in rows)
    for short, value, unit, meaning in rows:
        yield f"{short:<6}{value:>{width}} {unit:<7}{meaning}"
    if report.merged is not None:
        yield (
            f"merged, saved and loaded: scores differ by at most {100 * report.merged.largest:.3g} "
            f"points, losses by at most {report.merged.largest_nll:.3g} nats, of one example"
        )


def _phase_rows(
    report: Findings, rows: Sequence[Mapping[str, Estimate]]
) -> Iterator[tuple[str, str, Mapping[str, Estimate]]]:
    labels = [
        ("base model", ""),
        *(
            (f"after {phase}", task)
            for phase, task in zip(report.phases, report.tasks, strict=True)
        ),
    ]
    for (label, own), row in zip(labels, rows, strict=True):
        yield label, own, row


def _cells(found: Mapping[str, Estimate], names: Sequence[str]) -> list[str]:
    return [_cell(found.get(name), scale=100) for name in names]


def _cell(
    found: Estimate | None,
    *,
    star: bool = False,
    scale: float = 1.0,
    digits: int = 1,
    sign: bool = False,
) -> str:
    if found is None:
        return "-"
    return ("*" if star else "") + found.text(scale=scale, digits=digits, sign=sign)
