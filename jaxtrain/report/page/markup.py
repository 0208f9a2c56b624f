"""HTML that can't be broken out of: what is no `Html` is a text, and is escaped.

    element("td", "</script>", class_="name")    # <td class="name">&lt;/script&gt;</td>
    as_json({"said": "</script>"})               # {"said": "\\u003c/script>"}, for a <script>

All that a run has logged is somebody's text. It goes through here, or through `as_json`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

_EMPTY = frozenset({"input", "img", "meta", "link"})
# What would end a <script>, or begin a comment in one.
_IN_A_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Html(str):
    """A text that is HTML already: made here, never by a run."""

    __slots__ = ()


NOTHING = Html("")


def element(name: str, /, *children: str | None, **attributes: str | int | bool | None) -> Html:
    """An element.

    Args:
        name: of the element.
        children: what is in it: `Html` as it is, other texts escaped, None not at all.
        attributes: `class_` is `class`, and other `_` are `-`; None or False leaves one out, True
            has no value.

    >>> element("a", "1 < 2", href="#x", aria_label='"', hidden=False)
    '<a href="#x" aria-label="&quot;">1 &lt; 2</a>'
    """
    told = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        told += f" {key}" if value is True else f' {key}="{html.escape(_text(value))}"'
    if name in _EMPTY:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Iterable[str | None]) -> Html:
    """Several one after the other; see `element`."""
    return Html("".join(_escaped(child) for child in children if child is not None))


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str | Html]],
    *,
    caption: str,
    numeric: Iterable[int] = (),
    sortable: bool = False,
) -> Html:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        header: the names of the columns.
        rows: the cells; one that is a `td` or `th` already stays as it is.
        caption: what it is, for those who do not see it.
        numeric: the columns that stand to the right.
        sortable: whether the names of the columns sort it.
    """
    right = frozenset(numeric)
    heads = [
        element(
            "th",
            element("button", name, type="button", data_do="sort") if sortable and name else name,
            scope="col",
            class_="number" if place in right else None,
        )
        for place, name in enumerate(header)
    ]
    body = [
        element(
            "tr",
            *(
                cell
                if isinstance(cell, Html) and cell.startswith(("<td", "<th"))
                else element("td", cell, class_="number" if place in right else None)
                for place, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", caption, class_="unseen"),
            element("thead", element("tr", *heads)),
            element("tbody", *body),
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def as_json(value: Any) -> str:
    """JSON that can stand in a <script>: of `<`, `>` and `&` nothing is left.

    Raises:
        ValueError: NaN or Inf is in it, which JSON does not have.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.translate(_IN_A_SCRIPT)


def for_plotly(text: str) -> str:
    """A text as it is, where plotly would read tags in it.

    >>> for_plotly("a <b>")
    'a &lt;b&gt;'
    """
    return html.escape(_text(text), quote=False)


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(_text(text))


def _text(value: str | int) -> str:
    """What UTF-8 has no bytes for, half a character, is shown as such."""
    return str(value).encode("utf-8", "backslashreplace").decode()
