"""Media: pictures, texts, tables and histograms, by name, each led through by a slider over steps.

    add_media(content, record, Budget(8_000_000))
    add_media(content, record, Budget(8_000_000), linked=True)    # pictures stay files: `watch`

The newest of each name come first: what there is no room for are the oldest, and the page says
where they are. What is named `mistakes/...` has a section of its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.figures import figure, is_number
from jaxtrain.report.page.histograms import histogram_figure, over_steps
from jaxtrain.report.page.markup import Html, as_json, element, joined, table
from jaxtrain.tracking import RunRecord

MISTAKES = "mistakes/"
"""What the names of the worst mistakes begin with."""

_ROWS = 200
_LETTERS = 20_000
_PNG = b"\x89PNG\r\n\x1a\n"
_TITLES = {"image": "Images", "histogram": "Histograms", "table": "Tables", "text": "Texts"}

Frame = dict[str, Any]


class Budget:
    """How many bytes of media still fit.

    Args:
        left: so many.

    Attributes:
        out: the files that found no room.
    """

    def __init__(self, left: int) -> None:
        self.left = left
        self.out: list[str] = []

    def takes(self, frame: Frame, file: str) -> bool:
        """Whether a frame fits; then it has its room."""
        needed = len(as_json(frame))
        if needed > self.left:
            self.out.append(file)
            return False
        self.left -= needed
        return True


def add_media(content: Content, record: RunRecord, budget: Budget, *, linked: bool = False) -> None:
    """Add the sections of the mistakes and of all other media.

    Args:
        content: what to add to.
        record: the run.
        budget: how much has room.
        linked: whether a picture is the address of its file, or the file itself.
    """
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in record.media:
        grouped.setdefault((row["kind"], row["name"]), []).append(row)
    for key, rows in grouped.items():
        rows.sort(key=lambda row: row["step"])
        content.media[":".join(key)] = []
    deepest = max((len(rows) for rows in grouped.values()), default=0)
    for back in range(1, deepest + 1):
        for key, rows in grouped.items():
            if back <= len(rows):
                frame = _frame(record.path, rows[-back], linked=linked)
                if frame is not None and budget.takes(frame, rows[-back]["file"]):
                    content.media[":".join(key)].insert(0, frame)
    content.media = {key: frames for key, frames in content.media.items() if frames}
    shown = [key for key in grouped if ":".join(key) in content.media]
    mistakes = [key for key in shown if key[1].startswith(MISTAKES)]
    content.add("mistakes", "Worst mistakes", _of_kinds(content, mistakes, headings=False))
    others = [key for key in shown if key not in mistakes]
    content.add("media", "Media", _of_kinds(content, others, headings=True))
    for frames in content.media.values():
        for frame in frames:
            frame.pop("counts", None)  # they are in the figures by now
    if budget.out:
        content.notes.append(
            f"{figure(len(budget.out))} media are not in this page, which would be too large: the "
            f"oldest ones; they are files of the run, {_listed(budget.out)}"
        )


def _of_kinds(content: Content, keys: Sequence[tuple[str, str]], *, headings: bool) -> Html | None:
    parts = []
    for kind, title in _TITLES.items():
        of_kind = [_medium(content, *key) for key in keys if key[0] == kind]
        if of_kind:
            parts.append(element("h3", title) if headings else None)
            parts.append(element("div", *of_kind, class_=f"media {kind}s"))
    return joined(parts) if parts else None


def _medium(content: Content, kind: str, name: str) -> Html:
    """The place of one; the page's script puts a frame into it."""
    key = f"{kind}:{name}"
    frames = content.media[key]
    over = None
    if kind == "histogram":
        content.figures[f"{key}:one"] = frames[-1]["figure"]
        if len(frames) > 1:
            content.figures[f"{key}:all"] = over_steps(frames)
            over = _plot(f"{key}:all", f"{name} over {len(frames)} steps")
        inner = _plot(f"{key}:one", f"{name}: {frames[-1]['said']}")
    else:
        inner = element("div", class_="frame")
    mistake = name.startswith(MISTAKES)  # they are of one step, the last
    step = None if mistake else element("p", f"step {frames[-1]['step']}", class_="note step")
    slider = element(
        "label",
        element(
            "input", type="range", min="0", max=len(frames) - 1, value=len(frames) - 1,
            aria_label=f"step of {name}",
        ),
        element("output", f"step {frames[-1]['step']}"),
        class_="steps",
    )  # fmt: skip
    return element(
        "figure",
        element("figcaption", element("span", name.removeprefix(MISTAKES), class_="name")),
        over,
        inner,
        slider if len(frames) > 1 else step,
        class_="medium keep",
        data_media=key,
    )


def _plot(key: str, said: str) -> Html:
    return element("div", class_="plot", role="img", aria_label=said, data_plot=key)


def _frame(run: Path, row: Mapping[str, Any], *, linked: bool) -> Frame | None:
    """What is shown of a medium at a step; None where it was taken back meanwhile."""
    try:
        bytes_ = (run / row["file"]).read_bytes()
    except FileNotFoundError:  # the run went on from before it
        return None
    frame: Frame = {"step": row["step"]}
    if row["kind"] == "image":
        return {**frame, "html": _image(bytes_, row, linked=linked)}
    if row["kind"] == "text":
        return {**frame, "html": _text(bytes_, row)}
    try:
        found = json.loads(bytes_)
        if row["kind"] == "table":
            return {**frame, "html": _table(found, row)}
        figure_, said = histogram_figure(found)
        return {**frame, "figure": figure_, "said": said, "counts": found}
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        broken = element("p", f"{row['file']} can't be read: {error}", class_="note")
        return None if row["kind"] == "histogram" else {**frame, "html": broken}


def _image(content: bytes, row: Mapping[str, Any], *, linked: bool) -> Html:
    if not content.startswith(_PNG):
        return element("p", f"{row['file']} is no PNG", class_="note")
    caption = row.get("caption")
    caption = caption if isinstance(caption, str) and caption else None
    said = f"{row['name']}, step {row['step']}" + (f": {caption}" if caption else "")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    source = (
        quote(row["file"])
        if linked
        else f"data:image/png;base64,{base64.b64encode(content).decode()}"
    )
    return joined(
        [
            element(
                "img", src=source, alt=said, width=width, height=height,
                class_="pixels" if max(width, height) <= 64 else None,
            ),
            None if caption is None else element("p", caption, class_="caption"),
        ]
    )  # fmt: skip


def _text(content: bytes, row: Mapping[str, Any]) -> Html:
    said = content.decode("utf-8", "replace")
    cut = None
    if len(said) > _LETTERS:
        cut = f"the first {figure(_LETTERS)} of {figure(len(said))} letters; all: {row['file']}"
    return joined([element("pre", said[:_LETTERS], tabindex=0), cut and _note(cut)])


def _table(found: Any, row: Mapping[str, Any]) -> Html:
    columns, rows = found["columns"], found["rows"]
    if not isinstance(columns, list) or not all(
        isinstance(one, list) and len(one) == len(columns) for one in rows
    ):
        raise ValueError("expected columns, and rows as long")
    numeric = [
        place
        for place in range(len(columns))
        if rows and all(is_number(one[place]) or one[place] is None for one in rows)
    ]
    cells = [[_cell(value) for value in one] for one in rows[:_ROWS]]
    told = table(
        [str(name) for name in columns], cells, caption=row["name"], numeric=numeric, sortable=True
    )
    cut = None
    if len(rows) > _ROWS:
        cut = f"the first {figure(_ROWS)} of {figure(len(rows))} rows; all: {row['file']}"
    return joined([told, cut and _note(cut)])


def _cell(value: Any) -> str:
    if is_number(value) or value is None:
        return figure(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _note(said: str) -> Html:
    return element("p", said, class_="note")


def _listed(files: Iterable[str], count: int = 3) -> str:
    names = sorted(files)
    more = f" and {figure(len(names) - count)} more" if len(names) > count else ""
    return f"{', '.join(names[:count])}{more}"
