"""What a model trained in phases has kept: the matrix of retention.json, its figures and verdicts.

add_retention(content, record)

The file lies where the phases do: in the directory of the run, or above the directory of a phase.
"""

from __future__ import annotations

import json
from pathlib import Path

from jaxtrain.errors import DataError
from jaxtrain.report.page.content import Content, FigureJson, panel
from jaxtrain.report.page.markup import Html, element, for_plotly, joined, table
from jaxtrain.retention import Estimate, RetentionReport
from jaxtrain.tracking import RunRecord

_FIGURES = {
    "average_accuracy": "average accuracy (ACC)",
    "backward_transfer": "backward transfer (BWT)",
    "forgetting": "forgetting (F)",
    "forward_transfer": "forward transfer (FWT)",
    "general_ability": "general ability",
}


def retention_file(run: Path) -> Path | None:
    """Where the report on the phases lies, seen from the directory of a run; None where none is."""
    run = run.absolute()
    above = run.parent.parent if run.parent.name == "phases" else run.parent
    found = (place / "retention.json" for place in (run, above))
    return next((file for file in found if file.is_file()), None)


def add_retention(content: Content, record: RunRecord) -> None:
    """Add the section, where there are phases; what can't be read is noted."""
    file = retention_file(record.path)
    if file is None:
        return
    try:
        report = RetentionReport.from_json(json.loads(file.read_bytes()))
    except (DataError, ValueError, RecursionError) as error:
        content.notes.append(f"{file.name} can't be read: {error}")
        return
    content.figures["retention"] = matrix_figure(report)
    said = "; ".join(
        f"{name}: {verdict} ({report.changes[name].text(scale=100, sign=True)} points)"
        for name, verdict in report.verdicts().items()
    )
    place = panel("retention", "scores after each phase", said, tools=False, wide=True)
    html = joined([place, _figures(report), _verdicts(report), _notes(report)])
    content.add("retention", "Retention", html)


def matrix_figure(report: RetentionReport) -> FigureJson:
    """Scores of each task after each phase; the cell of a task's own phase has a frame."""
    names = (*report.tasks, *report.untrained)
    labels = [
        for_plotly(name) + ("" if name in report.tasks else "<br>(untrained)") for name in names
    ]
    phases = ["base model", *(f"after {for_plotly(phase)}" for phase in report.phases)]
    z: list[list[float | None]] = []
    text: list[list[str]] = []
    for row, nlls in zip(report.scores, report.nlls, strict=True):
        z.append([row[name].value if name in row else None for name in names])
        text.append([_cell(row.get(name), nlls.get(name)) for name in names])
    frames = [
        {
            "type": "rect",
            "x0": j - 0.48, "x1": j + 0.48, "y0": j + 0.52, "y1": j + 1.48,
            "line": {"color": "var(--c1)", "width": 3},
        }
        for j in range(len(report.tasks))
    ]  # fmt: skip
    ticks = {"tickmode": "array", "automargin": True, "showgrid": False, "zeroline": False}
    return {
        "kind": "plain",
        "data": [
            {
                "type": "heatmap",
                "z": z,
                "text": text,
                "texttemplate": "%{text}",
                "hovertemplate": "%{y}<br>%{x}<br>%{text}<extra></extra>",
                "zmin": 0,
                "zmax": 1,
                "colorscale": "Cividis",
                "colorbar": {
                    "title": {"text": "score"}, "tickformat": ".0%", "thickness": 12,
                    "outlinewidth": 0,
                },
                "xgap": 2,
                "ygap": 2,
            }
        ],
        "layout": {
            "xaxis": {**ticks, "tickvals": list(range(len(names))), "ticktext": labels,
                      "side": "top"},
            "yaxis": {**ticks, "tickvals": list(range(len(phases))), "ticktext": phases,
                      "autorange": "reversed"},
            "shapes": frames,
            "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
            "height": 72 * len(phases) + 70,
        },
        "width": 130 * len(names) + 180,
        "note": "framed: a task after its own phase; below the score its 95 % interval, and the "
        "held-out loss",
    }  # fmt: skip


def _cell(score: Estimate | None, nll: Estimate | None) -> str:
    if score is None:
        return "not evaluated"
    low, high = 100 * score.low, 100 * score.high
    told = f"<b>{100 * score.value:.1f} %</b><br>{low:.1f} to {high:.1f}"
    return told if nll is None else f"{told}<br>{nll.value:#.3g} nats"


def _figures(report: RetentionReport) -> Html:
    rows = [
        [label, found.text(scale=100, sign=name != "average_accuracy")]
        for name, label in _FIGURES.items()
        if (found := getattr(report, name)) is not None
    ]
    return table(
        ["figure", "points [95 % interval]"], rows, caption="figures of retention", numeric=[1]
    )


def _verdicts(report: RetentionReport) -> Html | None:
    rows = [
        [name, report.changes[name].text(scale=100, sign=True), verdict]
        for name, verdict in report.verdicts().items()
    ]
    header = ["task", "change since it was learnt, points [95 % interval]", "verdict"]
    return table(header, rows, caption="what was kept", numeric=[1]) if rows else None


def _notes(report: RetentionReport) -> Html | None:
    notes = [element("li", note) for note in report.notes]
    return element("ul", *notes, class_="notes") if notes else None
