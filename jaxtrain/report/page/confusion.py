"""The confusion matrix of the test set: which class was taken for which.

    for name, matrix in matrices_of(record.summary).items(): ...
    add_confusion(content, record)

A cell has the colour of its share of its row: what is right in one colour, mistakes in another. The
scale of those ends at the largest: a few of them are seen beside many that are right.

Axes: K classes; rows are true, columns predicted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtrain.report.page.content import Content, FigureJson, panel
from jaxtrain.report.page.figures import figure, is_number
from jaxtrain.report.page.markup import Html, element, for_plotly, joined, table
from jaxtrain.tracking import RunRecord

Matrix = list[list[float | None]]

_PREFIX = "test_"
_WRITTEN = 20
_BOTH = 12
_TABLE = 40
_MARGIN = {"l": 10, "r": 10, "t": 10, "b": 10}


def matrices_of(summary: Mapping[str, Any]) -> dict[str, Matrix]:
    """The square matrices `[K, K]` of the test set, by their names in metrics.json; K >= 2."""
    return {
        name: value
        for name, value in summary.items()
        if name.startswith(_PREFIX) and _is_matrix(value)
    }


def class_names(record: RunRecord, classes: int) -> list[str]:
    """What metadata.json calls the classes, else their numbers."""
    said = record.metadata.get("label_names")
    if isinstance(said, list) and len(said) == classes:
        return [str(name) for name in said]
    return [str(number) for number in range(classes)]


def row_shares(matrix: Matrix) -> Matrix:
    """Each cell as a share of its row; None where the row is empty, or not known.

    >>> row_shares([[3, 1], [0, 0]])
    [[0.75, 0.25], [None, None]]
    """
    shares: Matrix = []
    for row in matrix:
        total = math.nan if None in row else sum(cell or 0 for cell in row)
        known = math.isfinite(total) and total > 0
        shares.append([(cell or 0) / total if known else None for cell in row])
    return shares


def add_confusion(content: Content, record: RunRecord) -> None:
    """Add the section, where metrics.json has a matrix."""
    parts = []
    for name, matrix in matrices_of(record.summary).items():
        names = class_names(record, len(matrix))
        key = f"confusion:{name}"
        content.figures[key] = matrix_figure(matrix, names)
        worst = _worst(matrix, names)
        title = name.removeprefix(_PREFIX).replace("_", " ")
        said = f"{title} of the test set" + (f": {'; '.join(worst)}" if worst else "")
        place = panel(key, f"{title} of the test set", said, tools=False, wide=True)
        items = [element("li", one) for one in worst]
        beside = [element("p", "Most often:"), element("ol", *items)] if worst else []
        parts.append(element("div", place, element("div", *beside), class_="beside"))
        if len(matrix) <= _TABLE:
            parts.append(_as_table(matrix, names, title))
    content.add("confusion", "Confusion", joined(parts))


def matrix_figure(matrix: Matrix, names: Sequence[str]) -> FigureJson:
    """The matrix as plotly draws it.

    Args:
        matrix: `[K, K]`, counts or shares.
        names: of the classes, K of them.
    """
    shares = row_shares(matrix)
    classes = len(matrix)
    labels = [for_plotly(name) for name in names]
    text, hover = [], []
    for label, row, of_row in zip(labels, matrix, shares, strict=True):
        text.append([_written(*cell, classes) for cell in zip(row, of_row, strict=True)])
        hover.append(
            [
                f"true: {label}<br>predicted: {other}<br>{figure(cell)}{_percent(share)}"
                for other, cell, share in zip(labels, row, of_row, strict=True)
            ]
        )
    mistakes = [
        share or 0.0 for i, row in enumerate(shares) for j, share in enumerate(row) if i != j
    ]
    common = {
        "type": "heatmap",
        "texttemplate": "%{text}" if classes <= _WRITTEN else "",
        "hovertext": hover,
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "zmin": 0,
    }
    right, wrong = (
        {"z": _of(shares, None, on=on), "text": _of(text, "", on=on)} for on in (True, False)
    )
    ticks = {
        "tickmode": "array",
        "tickvals": list(range(classes)),
        "ticktext": labels,
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
    }
    return {
        "kind": "plain",
        "data": [
            {**common, **right, "zmax": 1, "colorscale": _scale("var(--c0)"), "name": "right"},
            {
                **common,
                **wrong,
                "zmax": max([0.01, *mistakes]),
                "colorscale": _scale("var(--c1)"),
                "name": "mistakes",
            },
        ],
        "layout": {
            "xaxis": {**ticks, "title": {"text": "predicted class"}, "side": "top"},
            "yaxis": {**ticks, "title": {"text": "true class"}, "autorange": "reversed"},
            "margin": _MARGIN,
            "height": min(max(34 * classes + 110, 260), 900),
        },
        "width": min(46 * classes + 140, 900) if classes <= _WRITTEN else 0,
    }


def _of(cells: Sequence[Sequence[Any]], other: Any, *, on: bool) -> list[list[Any]]:
    """The cells on the diagonal, or those beside it, and `other` in place of the rest."""
    return [
        [cell if (i == j) is on else other for j, cell in enumerate(row)]
        for i, row in enumerate(cells)
    ]


def _scale(colour: str) -> list[list[Any]]:
    return [[0, "var(--cell)"], [1, colour]]


def _written(cell: float | None, share: float | None, classes: int) -> str:
    if not cell:  # most cells of a good matrix: what is written should be what there is
        return "" if cell == 0 else "?"
    both = classes <= _BOTH and share is not None and cell != share
    return f"{figure(cell)}<br>{100 * (share or 0):.3g} %" if both else figure(cell)


def _percent(share: float | None) -> str:
    return "" if share is None else f" ({100 * share:.3g} % of its row)"


def _worst(matrix: Matrix, names: Sequence[str], count: int = 5) -> list[str]:
    cells = [
        (cell, i, j)
        for i, row in enumerate(matrix)
        for j, cell in enumerate(row)
        if i != j and cell
    ]
    cells.sort(key=lambda one: -one[0])
    found = []
    for cell, i, j in cells[:count]:
        total = None if None in matrix[i] else sum(other or 0 for other in matrix[i])
        found.append(f"{names[i]} taken for {names[j]}: {figure(cell)} of {figure(total)}")
    return found


def _as_table(matrix: Matrix, names: Sequence[str], title: str) -> Html:
    rows = [
        [element("th", name, scope="row"), *(figure(cell) for cell in row)]
        for name, row in zip(names, matrix, strict=True)
    ]
    every = range(1, len(matrix) + 1)
    told = table(["true \\ predicted", *names], rows, caption=title, numeric=every)
    return element("details", element("summary", "as a table"), told)


def _is_matrix(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < 2:
        return False
    return all(
        isinstance(row, list)
        and len(row) == len(value)
        and all(cell is None or is_number(cell) for cell in row)
        for row in value
    )
