"""TOML and its lines."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.config import check, load
from jaxtrain.config.toml_form import read
from jaxtrain.errors import ConfigError

WHOLE = '''# a comment with = and [brackets]
seed = 1
"quoted key" = 'x'
a.b.c = 1.5
text = """
[not.a.table]
x = 1
"""
raw = \'\'\'
y = 2 # no comment\'\'\'

[train]
epochs = 3 # comment
list = [
    1, # with a comment
    {deep = "]", deeper.still = [1]},
]

[model . "options"]
hidden = [[64], [64]]
inline = {name = "a # b", other = "\\\\" }
last = "\\""

[[hooks]]
name = "a"

[[hooks]]
name = "b"
extra = -1e3
'''


def test_every_key_has_its_line():
    values, lines = read(WHOLE, "x.toml")
    assert values == tomllib.loads(WHOLE)
    expected = {
        ("seed",): 2,
        ("quoted key",): 3,
        ("a",): 4,
        ("a", "b"): 4,
        ("a", "b", "c"): 4,
        ("text",): 5,
        ("raw",): 9,
        ("train",): 12,
        ("train", "epochs"): 13,
        ("train", "list"): 14,
        ("train", "list", "deep"): 16,
        ("train", "list", "deeper"): 16,
        ("train", "list", "deeper", "still"): 16,
        ("model",): 19,
        ("model", "options"): 19,
        ("model", "options", "hidden"): 20,
        ("model", "options", "inline"): 21,
        ("model", "options", "inline", "name"): 21,
        ("model", "options", "inline", "other"): 21,
        ("model", "options", "last"): 22,
        ("hooks",): 24,
        ("hooks", "name"): 25,
        ("hooks", "extra"): 29,
    }
    assert lines == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = = 2", r"^x\.toml:2:5: not valid TOML: Invalid value$"),
        ("a = 1\na = 2\n", r"^x\.toml:2:6: not valid TOML: Cannot overwrite a value$"),
        ("a = 1\n\nb = [1,", r"^x\.toml:\d(:\d)?: not valid TOML: "),
        ("[a]\nb = 1\nday = 2024-01-01", r"^x\.toml:3: a\.day: put the date 2024-01-01 in quotes$"),
        ("a = [07:32:00]", r"^x\.toml:1: a: put the date 07:32:00 in quotes$"),
    ],
)
def test_what_is_wrong_has_its_line(text, said):
    """Words that don't help: TOML errors named no line."""
    with pytest.raises(ConfigError, match=said):
        read(text, "x.toml")


def test_a_wrong_value_has_its_line(write, registries):
    path = write("x.toml", "seed = 1\n\n[train]\nepochs = 'many'\n[model]\nhiden = [1]\n")
    with pytest.raises(ConfigError) as error:
        check(load(path), registries)
    assert [line.split(": ")[:2] for line in str(error.value).splitlines()] == [
        ["x.toml:4", "train.epochs"],
        ["x.toml:6", "model.hiden"],
    ]


KEYS = st.sampled_from(["a", "b", "'c d'", '"e"', "a.b", "x-1"])
VALUES = st.recursive(
    st.sampled_from(["1", "-2.5e3", '"t#[]"', "'raw'", "true", '"""m\n"""', "0x1F", "inf"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)


@settings(derandomize=True, max_examples=100)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), st.integers(0, 3))
def test_the_walk_finds_every_key_that_the_parser_finds(pairs, blank):
    text = "\n" * blank + "".join(f"t{i}.{k} = {v} # c\n" for i, (k, v) in enumerate(pairs))
    values, lines = read(text, "x.toml")

    def paths(tree, prefix=()):
        for key, value in tree.items():
            yield (*prefix, key)
            if isinstance(value, dict):
                yield from paths(value, (*prefix, key))

    assert set(paths(values)) == set(lines)
    for i in range(len(pairs)):
        before = text.split(f"t{i}.")[0].count("\n")
        assert lines[f"t{i}",] == before + 1
