"""Tests of jaxtrain.report.page.markup."""

import json

import pytest

from jaxtrain.report.page.markup import Html, as_json, element, for_plotly, joined, table


def test_what_is_no_html_is_escaped():
    hostile = "</td><script>alert('1')</script>&"
    told = element("td", hostile, title=f'"{hostile}')
    assert told.count("<") == 2
    assert "&lt;script&gt;" in told
    assert 'title="&quot;&lt;/td&gt;' in told
    assert element("p", element("b", "<")) == "<p><b>&lt;</b></p>"
    assert joined(["<", Html("<hr>"), None]) == "&lt;<hr>"


def test_attributes_and_empty_elements():
    told = element(
        "input", type="range", max=3, checked=True, hidden=False, data_run=0, class_=None
    )
    assert told == '<input type="range" max="3" checked data-run="0">'
    assert element("meta", name="viewport") == '<meta name="viewport">'


def test_half_a_character_is_shown():
    assert element("p", "\ud800") == "<p>\\ud800</p>"
    assert for_plotly("\ud800 <b>&") == "\\ud800 &lt;b&gt;&amp;"


def test_json_can_stand_in_a_script():
    value = {"</script>": ["<!--", "]]>", "&", "\u2028", 1.5, None, "\ud800"]}
    told = as_json(value)
    assert not set("<>&") & set(told)
    assert json.loads(told) == value
    told.encode()
    with pytest.raises(ValueError, match="Out of range float"):
        as_json([float("nan")])


def test_a_table():
    told = table(["a", "b"], [["<", element("td", "1", class_="x")]], caption="c<", numeric=[1])
    assert '<caption class="unseen">c&lt;</caption>' in told
    assert '<th scope="col">a</th><th scope="col" class="number">b</th>' in told
    assert '<tr><td>&lt;</td><td class="x">1</td></tr>' in told
    assert 'tabindex="0" role="region" aria-label="c&lt;"' in told
    assert "button" not in told
    assert told.count('data-do="sort"') == 0
    numbers = table(["", "b"], [["x", "2"]], caption="", numeric=[1], sortable=True)
    assert numbers.count('data-do="sort"') == 1  # what has no name can't be clicked
    assert '<td class="number">2</td>' in numbers


def test_a_text_that_looks_like_a_cell_is_none():
    assert "<td>&lt;td&gt;" in table(["a"], [["<td>"]], caption="")
