import pytest

from jaxtrain.config import from_dict
from jaxtrain.errors import ConfigError
from jaxtrain.phases.phase import Phase, batching_of, data_of, part_of, phase_of, with_places

COMMON = {"data": {"name": "digits", "batch_size": 8, "shuffle": False}, "seed": 3}


def test_a_section_stands_on_what_is_above_it():
    own = {"data": {"split_seed": 2}, "seed": 4, "replay": {"share": 0.5}}
    phase = phase_of("two", own, COMMON, ["one"])
    assert phase.tree.to_dict() == {"data": {**COMMON["data"], "split_seed": 2}, "seed": 4}
    assert (phase.name, phase.replay.share, phase.replay.of) == ("two", 0.5, None)
    assert phase_of("base", {}, COMMON, []).tree.to_dict() == COMMON


@pytest.mark.parametrize(
    ("name", "own", "before", "says"),
    [
        ("base", {}, ["base"], "phases.base: a phase can't be called so"),
        ("../up", {}, [], "a phase can't be called so"),
        ("one", None, [], "phases.one: expected a section, found None"),
        ("one", {"joint": True}, [], "phases.one.joint: stands above the phases"),
        ("one", {"replay": {"share": 0.5}}, [], "phases.one.replay: there is nothing before it"),
        ("two", {"replay": {"share": 0.5, "of": ("tow",)}}, ["one"], "of one, found 'tow'"),
    ],
)
def test_what_a_phase_can_not_say_is_told(name, own, before, says):
    with pytest.raises(ConfigError, match=says):
        phase_of(name, own, COMMON, before)


def test_a_section_data_says_something_of_rows_and_something_of_batches():
    data = data_of(phase_of("one", {"data": {"split_seed": 2}}, COMMON, []))
    assert part_of(data) == {"name": "digits", "split_seed": 2}
    assert batching_of(data) == {"batch_size": 8, "shuffle": False}
    assert batching_of(None) == {}
    assert data_of(Phase("one", from_dict({}))) == {}


def test_where_files_lie_is_said_once_for_sources_that_read_some():
    above = {"root": "there", "cache": "c", "length": 3, "batch_size": 2}
    text = {"name": "text", "path": "p"}
    assert with_places(text, above) == {"root": "there", "cache": "c", **text}
    assert with_places({**text, "root": "own"}, above) == {"root": "own", "cache": "c", **text}
    assert with_places({"name": "digits"}, above) == {"name": "digits"}
    assert with_places({"name": "nobodys"}, above) == {"name": "nobodys"}
    assert with_places(text, None) == text
    mixed = {"name": "mixture", "parts": {"a": text, "b": {"name": "digits"}}}
    parts = {"a": {"root": "there", "cache": "c", **text}, "b": {"name": "digits"}}
    assert with_places(mixed, above) == {**mixed, "parts": parts}
