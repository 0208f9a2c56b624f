"""The page itself: content, style, script and plotly in one HTML file, which needs no network.

    document(content)                        # str
    document(content, live=2.0)              # asks `data.json` every 2 seconds for what is new

What a run has logged can't run as a script here: it is escaped, and beyond that the page's policy
(Content-Security-Policy) allows the two scripts that it comes with, by their digests, and no other.
Where there are parallel coordinates these two may compile code: plotly draws them with shaders for
which it makes functions of text.
plotly.js (MIT licence), 4.8 MB, is in it as gzip, 2 MB.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
from importlib import resources

from jaxtrain._version import __version__
from jaxtrain.report.page.content import Content, Section
from jaxtrain.report.page.markup import Html, as_json, element, joined

PLOTLY_BYTES = 2_200_000
"""What plotly, style and script take of a page, at most."""


def document(content: Content, *, live: float | None = None, revision: str = "") -> str:
    """A page.

    Args:
        content: what it consists of.
        live: seconds between two looks at what is new; None for a page that stays as it is.
        revision: what a live page has, and asks for what is newer.
    """
    value = {**content.to_json(), "revision": revision}
    if live is None:  # the rest is for a page that is fetched anew, to see what has changed
        value = {"figures": content.figures, "media": content.media}
    data = Html(as_json(value))
    allowed = policy(live=live is not None, compiles=_has_parallel(content))
    sections = [_section(section) for section in content.sections]
    links = [element("a", one.title, href=f"#{one.key}") for one in content.sections]
    head = joined(
        [
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=allowed),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", content.title),
            element("link", rel="icon", href="data:,"),
            element("style", Html(_own("page.css"))),
        ]
    )
    body = joined(
        [
            element("header", content.heading, id="heading"),
            element(
                "div",
                element(
                    "div",
                    element("nav", *links, aria_label="sections"),
                    element("button", "theme", type="button", id="theme", data_do="theme"),
                ),
                class_="bar",
            ),
            element("p", id="news", role="status"),
            element("p", id="trouble", class_="trouble", role="alert", hidden=True),
            element("main", *sections),
            element(
                "footer",
                element("div", *(element("p", note) for note in content.notes), id="notes"),
                element("p", f"jaxtrain {__version__}; curves by plotly.js"),
                element("noscript", "Curves and pictures are drawn by this page's own script."),
            ),
            element("script", data, type="application/json", id="content"),
            element("script", Html(_packed_plotly()), type="text/plain", id="plotly"),
            element("script", Html(_own("page.js"))),
        ]
    )
    page = element(
        "html", element("head", head), element("body", body), lang="en",
        data_live=None if live is None else str(live),
    )  # fmt: skip
    return f"<!doctype html>\n{page}\n"


def policy(*, live: bool, compiles: bool = False) -> str:
    """What the page may do: its two scripts, pictures that are in it, and no network.

    Args:
        live: whether it fetches its data and pictures from where it comes from.
        compiles: whether the scripts make functions of text.
    """
    scripts = f"'{_digest(_own('page.js'))}' '{_digest(_plotly())}'"
    if compiles:
        scripts += " 'unsafe-eval'"
    here = "'self'" if live else "'none'"
    pictures = "data: 'self'" if live else "data:"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        f"img-src {pictures}; connect-src {here}; base-uri 'none'; "
        "form-action 'none'"
    )


def _has_parallel(content: Content) -> bool:
    traces = (trace for one in content.figures.values() for trace in one.get("data", ()))
    return any(trace.get("type") == "parcoords" for trace in traces)


def _section(section: Section) -> Html:
    head = element("div", element("h2", section.title), section.tools, class_="head")
    return element("section", head, element("div", section.html, class_="body"), id=section.key)


@functools.cache
def _own(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # whoever writes no page need not wait for it

    return str(get_plotlyjs())


@functools.cache
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(_plotly().encode(), 9, mtime=0)).decode()


@functools.cache
def _digest(script: str) -> str:
    """As the policy has it; of the text as the browser sees it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
