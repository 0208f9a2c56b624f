from __future__ import annotations

import pytest

from jaxtrain.data.text.template import Template
from jaxtrain.errors import ConfigError


def test_gaps_are_filled():
    values = {"a": "{b}", "two words": "x", "1": "one"}
    template = Template("{a}: {two words}{{}}{1}\n", option="data.prompt")
    assert template.fill(values.__getitem__) == "{b}: x{}one\n"
    assert template.names == ("a", "two words", "1")
    assert Template("", option="x").fill(values.__getitem__) == ""


def test_a_name_is_only_a_name():
    template = Template("{a.__class__}{a[0]}", option="data.prompt")
    assert template.names == ("a.__class__", "a[0]")
    assert template.fill(lambda name: f"<{name}>") == "<a.__class__><a[0]>"


@pytest.mark.parametrize("wrong", ["{", "}", "{a", "{}", "{a!r}", "{a:>10}", "{a:{b}}"])
def test_what_is_no_template(wrong):
    with pytest.raises(ConfigError, match=r"data\.prompt: "):
        Template(wrong, option="data.prompt")
