"""Tests of jaxtrain.report.page.document."""

import base64
import gzip
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest

from jaxtrain.report.page.content import Content
from jaxtrain.report.page.document import PLOTLY_BYTES, document, policy
from jaxtrain.report.page.markup import element
from tests.report.page.small import HOSTILE


class Parts(HTMLParser):
    """The elements of a page, and what is in its scripts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.scripts, self.is_inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.is_inside = tag == "script"
        if self.is_inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.is_inside = False

    def handle_data(self, data):
        if self.is_inside:
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def content():
    content = Content(f"digits/{HOSTILE}", "running")
    content.add("config", f"Config {HOSTILE}", element("p", HOSTILE))
    content.figures[HOSTILE] = {"kind": "curves", "name": HOSTILE}
    content.notes.append(HOSTILE)
    return content


@pytest.fixture(scope="module")
def page(content):
    return document(content)


def test_nothing_of_a_run_is_an_element(page):
    parts = Parts(page)
    assert [tag for tag, _ in parts.found].count("img") == 0
    assert len(parts.scripts) == 3
    assert not any("onerror" in attrs for _, attrs in parts.found)
    assert parts.found[0] == ("html", {"lang": "en"})
    assert json.loads(parts.scripts[0])["figures"] == {HOSTILE: {"kind": "curves", "name": HOSTILE}}


def scripts_of(page):
    """What the page's policy says of scripts."""
    (allowed,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    return html.unescape(allowed).split("script-src")[1].split(";")[0]


def test_the_only_scripts_that_run_are_the_pages_own(page):
    scripts = Parts(page).scripts
    (allowed,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    code = gzip.decompress(base64.b64decode(scripts[1]))
    for script in (scripts[2].encode(), code):
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"sha256-{digest}" in allowed
    assert "unsafe" not in scripts_of(page)
    assert "sha256" in scripts_of(page)
    assert code.startswith(b"/**\n* plotly.js")


def test_only_parallel_coordinates_may_compile():
    content = Content("a sweep")
    content.figures["sweep"] = {"kind": "plain", "data": [{"type": "parcoords"}], "layout": {}}
    assert "unsafe-eval" in scripts_of(document(content))
    content.figures["sweep"]["data"] = [{"type": "bar"}]
    assert "unsafe-eval" not in scripts_of(document(content))


def test_a_page_needs_no_network(page):
    (allowed,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "connect-src &#x27;none&#x27;" in allowed
    assert "img-src data:;" in allowed
    links = [attrs for _, attrs in Parts(page).found for key in ("src", "href") if key in attrs]
    assert all((one.get("href") or one["src"]).startswith(("#", "data:")) for one in links)
    assert "connect-src 'self'" in policy(live=True)


def test_a_live_page_knows_what_it_shows(content):
    page = document(content, live=2.0, revision="abc")
    parts = Parts(page)
    assert parts.found[0] == ("html", {"lang": "en", "data-live": "2.0"})
    told = json.loads(parts.scripts[0])
    assert told == {**content.to_json(), "revision": "abc"}


def test_plotly_takes_what_is_set_aside_for_it(page):
    assert len(page.encode()) < PLOTLY_BYTES


def test_the_same_content_is_the_same_page(content, page):
    assert document(content) == page
