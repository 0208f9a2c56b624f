import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.config.yaml_form import dumps_plain, read
from jaxtrain.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
        ("[1, 2]", (1, 2)),
        # what YAML 1.1 would have turned into something else
        ("no", "no"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("'3e-4'", "3e-4"),
    ],
)
def test_scalars(text, value):
    found = read(text, "x.yaml")[0]
    assert found == value
    assert type(found) is type(value)


def test_lines_of_keys():
    _, lines = read("a:\n  b: 1\n\n  c:\n    d: 2\n", "x.yaml")
    assert lines == {("a",): 1, ("a", "b"): 2, ("a", "c"): 4, ("a", "c", "d"): 5}


def test_aliases_are_written_out():
    assert read("a: &x {b: 1}\nc: *x\n", "x.yaml")[0] == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n  b: 1\n  b: 2\n", r"x\.yaml:3: a\.b: duplicate key, first set on line 2"),
        ("a: 1\nb: [\n", r"x\.yaml:3: not valid YAML"),
        ("a: 1\n---\nb: 2\n", r"x\.yaml:2: not valid YAML"),
        ("a: 1\n3: 2\n", r"x\.yaml:2: a key must be text, found 3"),
        ("? [a]\n: 1\n", r"x\.yaml:1: a key must be text"),
        (
            "a: 1\nb: !!str 2\n",
            r"x\.yaml:2: tags are refused in YAML, found 'tag:yaml.org,2002:str'",
        ),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", r"x\.yaml:3: merge keys"),
        ("a: &x [*x]\n", r"x\.yaml:1: a value that contains itself"),
        ("a: \x00", r"x\.yaml:1: not valid YAML"),
        ("a: " + "9" * 5000, r"x\.yaml:1: not a number that can be read"),
        ("a: *nowhere\n", r"x\.yaml:1: not valid YAML: found undefined alias"),
    ],
)
def test_refusals_name_file_and_line(text, message):
    with pytest.raises(ConfigError, match=message):
        read(text, "x.yaml")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir", "!!python/name:os.system", "!x"])
def test_fault_26_a_tag_makes_nothing(tag, tmp_path):
    sentinel = tmp_path / "sentinel"
    with pytest.raises(ConfigError, match=r"x\.yaml:1: tags are refused"):
        read(f"a: {tag} ['{sentinel}']", "x.yaml")
    assert not sentinel.exists()


def test_fault_26_an_alias_bomb_is_stopped():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(ConfigError, match=r"x\.yaml:\d+: more than 10000 values"):
        read("\n".join(rows), "x.yaml")


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(min_size=1).filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "yes", "1", "3e-4", "null"]), values))
def test_what_is_written_reads_back_identically(tree):
    back = read(dumps_plain(tree), "x.yaml")[0] or {}
    assert repr(back) == repr(tree)  # repr, because 1 == 1.0 == True


def test_the_same_value_twice_is_written_twice():
    shared = (1, 2)
    assert dumps_plain({"a": shared, "b": shared}) == "a: [1, 2]\nb: [1, 2]\n"


def test_objects_are_refused_by_key():
    with pytest.raises(ConfigError, match=r"a\.b: expected text, a number.*found \{1\} \(set\)"):
        dumps_plain({"a": {"b": {1}}})
