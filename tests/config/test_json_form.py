import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.config.json_form import read
from jaxtrain.errors import ConfigError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def lists_from_tuples(value):
    if isinstance(value, dict):
        return {key: lists_from_tuples(item) for key, item in value.items()}
    return [lists_from_tuples(item) for item in value] if isinstance(value, tuple) else value


@given(values, st.sampled_from([None, 2]))
def test_reads_what_json_reads(value, indent):
    text = json.dumps(value, indent=indent)
    assert lists_from_tuples(read(text, "x.json")[0]) == json.loads(text)


def test_lines_of_keys():
    text = '{\n  "a": {"b": [1,\n 2]},\n  "c": "x\\"{,:"\n}'
    values, lines = read(text, "x.json")
    assert values == {"a": {"b": (1, 2)}, "c": 'x"{,:'}
    assert lines == {("a",): 2, ("a", "b"): 2, ("c",): 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": 1,\n"b": 2}}', r"x\.json:2: a\.b: duplicate key, first set on line 1"),
        ('{"a": 1,\n}', r"x\.json:\d: not valid JSON"),
        ('{"a": ' + "9" * 5000 + "}", r"x\.json: not valid JSON: Exceeds the limit"),
        ('{"k": [{"a": 1, "a": 2}]}', r"x\.json:1: k\.a: duplicate key"),
    ],
)
def test_refusals_name_file_and_line(text, message):
    with pytest.raises(ConfigError, match=message):
        read(text, "x.json")
