"""Tests of jaxtrain.report.page.content."""

from jaxtrain.report.page.content import Content, panel
from jaxtrain.report.page.markup import Html


def test_a_section_of_nothing_is_none():
    content = Content("a", "running")
    content.add("x", "X", None)
    content.add("y", "Y", Html(""))
    content.add("z", "Z <", Html("<p>"), Html("<b>"))
    content.notes.append("n")
    assert content.to_json() == {
        "title": "a",
        "status": "running",
        "heading": "",
        "sections": [{"key": "z", "title": "Z <", "html": "<p>", "tools": "<b>"}],
        "figures": {},
        "media": {},
        "notes": ["n"],
    }


def test_a_panel_says_what_it_shows():
    told = panel('k"<', "Loss <b>", 'ends at "1"')
    assert 'data-figure="k&quot;&lt;"' in told
    assert 'data-name="loss &lt;b&gt;"' in told
    assert 'role="img" aria-label="ends at &quot;1&quot;"' in told
    assert told.count("<button") == 2
    assert "<button" not in panel("k", "t", "s", tools=False)
    assert 'class="panel keep wide"' in panel("k", "t", "s", wide=True)
