"""What a page consists of, before it is a page: a JSON value, which a live page fetches anew.

    content = Content("digits/seed0", "completed")
    content.add("config", "Config", html)
    content.figures["curve:loss"] = {...}
    content.to_json()

Sections are HTML; figures and media, which the page's script draws, have a place in it by their
key: `content.panel(key, title, said)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jaxtrain.report.page.markup import NOTHING, Html, element

FigureJson = dict[str, Any]
"""What is drawn: of the kind "curves" what `panels` makes, else `data` and `layout` of plotly, with
colours of the style sheet as `var(--name)`."""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: unique, and what a link leads to.
        title: its heading.
        html: what is in it.
        tools: what stands above that, and stays when it is fetched anew.
    """

    key: str
    title: str
    html: Html
    tools: Html = NOTHING


@dataclass
class Content:
    """A page's content.

    Attributes:
        title: of the page.
        status: as `RunRecord.status`; "" where it is of several runs.
        heading: what stands above all sections.
        sections: in their order.
        figures: by key.
        media: by key, what a slider leads through: a list of frames, each with its `step`.
        notes: what is missing, and where it is.
    """

    title: str
    status: str = ""
    heading: Html = NOTHING
    sections: list[Section] = field(default_factory=list)
    figures: dict[str, FigureJson] = field(default_factory=dict)
    media: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, title: str, html: Html | None, tools: Html = NOTHING) -> None:
        """Add a section; one with nothing in it is none."""
        if html:
            self.sections.append(Section(key, title, html, tools))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "title": self.title,
            "status": self.status,
            "heading": self.heading,
            "sections": [
                {"key": one.key, "title": one.title, "html": one.html, "tools": one.tools}
                for one in self.sections
            ],
            "figures": self.figures,
            "media": self.media,
            "notes": self.notes,
        }


def panel(key: str, title: str, said: str, *, tools: bool = True, wide: bool = False) -> Html:
    """The place of a figure.

    Args:
        key: of the figure.
        title: what stands above it.
        said: what it shows, in words, for those who do not see it.
        tools: whether its axis can be a logarithm, and be zoomed.
        wide: whether it takes the whole width.
    """
    buttons = (
        element("button", "log", type="button", data_do="log", aria_pressed="false"),
        element("button", "reset zoom", type="button", data_do="reset"),
    )
    return element(
        "figure",
        element(
            "figcaption",
            element("span", title, class_="name"),
            element("span", *buttons, class_="tools") if tools else None,
        ),
        element("div", class_="plot", role="img", aria_label=said),
        element("p", class_="note", hidden=True),
        class_="panel keep wide" if wide else "panel keep",
        data_figure=key,
        data_name=title.lower(),
    )
