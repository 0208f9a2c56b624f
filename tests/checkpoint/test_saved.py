import json

import pytest

from jaxtrain.checkpoint.saved import (
    Saved,
    best_first,
    committed,
    digests_in_use,
    free_name,
    half_written,
    misnamed,
    number,
    read_saved,
    shared_parts,
)

DIGEST = "ab" * 32
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def write(tmp_path):
    """write(name, **meta): a checkpoint that is nothing but a meta.json."""

    def make(name, **meta):
        path = tmp_path / name
        path.mkdir(parents=True)
        entries = {"format": 2, "iteration": 1, "shared": {}, "keys": {}, **meta}
        (path / "meta.json").write_text(json.dumps(entries))
        return path

    return make


def test_commits_are_in_the_order_of_their_iterations(tmp_path, write):
    for name in ("123456789", "00000009.2", "00000009.10", "00000009", "00000010"):
        write(name)
    write("best")
    write(".tmp-00000011")
    (tmp_path / "00000012").symlink_to(tmp_path / "best")
    (tmp_path / "00000013").touch()
    assert [path.name for path in committed(tmp_path)] == [
        "00000009",
        "00000009.2",
        "00000009.10",
        "00000010",
        "123456789",
    ]
    assert free_name(tmp_path, 9).name == "00000009.1"
    assert free_name(tmp_path, 12).name == "00000012.1"  # also where a link has that name
    assert free_name(tmp_path, 14).name == "00000014"


OWN = [
    ".tmp-00000001",
    ".tmp-00000001.2",
    ".tmp-old-00000001",
    f".tmp-shared-{DIGEST}",
    f".tmp-old-shared-{DIGEST}",
]
ELSES = [
    ".tmp-mine",
    ".tmp-",
    ".tmp-1",
    ".tmp-00000001x",
    ".tmp-old-",
    ".tmp-shared-ab",
    "tmp-mine",
]


def test_half_written_is_what_a_save_calls_so(tmp_path):
    for name in (*OWN, *ELSES, f"x.tmp-shared-{DIGEST}"):
        (tmp_path / name).mkdir()
    assert [path.name for path in half_written(tmp_path)] == sorted(OWN)
    assert half_written(tmp_path / "none") == []


def test_shared_parts_are_called_by_digests(tmp_path):
    (tmp_path / "shared" / DIGEST).mkdir(parents=True)
    (tmp_path / "shared" / "notes").mkdir()
    (tmp_path / "shared" / ("cd" * 32)).symlink_to(tmp_path)
    assert [path.name for path in shared_parts(tmp_path)] == [DIGEST]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/shared").symlink_to(tmp_path / "shared")
    assert shared_parts(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(
    "meta",
    [
        {"iteration": "1"},
        {"iteration": True},
        {"iteration": -1},
        {"iteration": 1.0},
        {"shared": None},
        {"shared": {"a": "../../etc"}},
        {"shared": {"a": DIGEST[:-1]}},
        {"shared": {"a": DIGEST + "\n"}},
        {"shared": [DIGEST]},
        {"keys": {"rng": 7}},
        {"keys": None},
    ],
)
def test_a_meta_that_is_not_what_it_must_be(write, meta):
    assert read_saved(write("00000001", **meta)) is None


def test_a_meta_of_another_format_is_not_judged_by_this_ones_rules(write):
    saved = read_saved(write("00000001", format=3, shared=7))
    assert saved.meta["format"] == 3
    assert saved.shared == {}


def test_where_the_shared_parts_of_a_checkpoint_are(tmp_path, write):
    for name in ("00000001", ".bad/00000001"):
        saved = read_saved(write(name, shared={"base": DIGEST}))
        assert saved.shared == {"base": tmp_path / "shared" / DIGEST}


def test_the_digests_that_are_in_use(tmp_path, write):
    other = "cd" * 32
    assert digests_in_use(tmp_path) == set()
    write("00000001", shared={"a": DIGEST})
    write(".bad/00000002", shared={"a": other})
    write("00000003", format=1)
    assert digests_in_use(tmp_path) == {DIGEST, other}


@pytest.mark.parametrize("name", ["00000009", ".bad/00000009"])
@pytest.mark.parametrize("meta", [{"format": 3}, {"iteration": None}])
def test_what_does_not_say_what_it_uses_may_use_anything(tmp_path, write, name, meta):
    write("00000001", shared={"a": DIGEST})
    write(name, **meta)
    assert digests_in_use(tmp_path) is None


@pytest.mark.parametrize(
    ("values", "mode", "order"),
    [
        ([0.5, 0.1, 0.3], "min", [2, 3, 1]),
        ([0.5, 0.1, 0.3], "max", [1, 3, 2]),
        ([0.5, 0.1, 0.1, 0.5], "min", [2, 3, 1, 4]),  # of equals the earliest
        ([0.5, 0.1, 0.1, 0.5], "max", [1, 4, 2, 3]),
        ([NAN, 0.3, None, INF, -INF], "min", [5, 2, 4]),
        ([NAN, 0.3, None, INF, -INF], "max", [4, 2, 5]),
        ([NAN, NAN], "min", []),
        ([True, "0.1", [0.1], 10**400, 3], "min", [5]),
    ],
)
def test_the_best_come_first(tmp_path, values, mode, order):
    saved = [
        Saved(tmp_path / f"{i:08d}", {"iteration": i, "metrics": {"loss": value}})
        for i, value in enumerate(values, 1)
    ]
    for given in (saved, saved[::-1]):
        ranking = best_first(given, monitor="loss", mode=mode)
        assert [s.iteration for s in ranking] == order


def test_of_one_iteration_saved_twice_the_first_comes_first(tmp_path):
    meta = {"iteration": 1, "metrics": {"loss": 0.5}}
    twice = [Saved(tmp_path / name, meta) for name in ("00000001.10", "00000001.2", "00000001")]
    ranking = best_first(twice, monitor="loss", mode="min")
    assert [s.path.name for s in ranking] == ["00000001", "00000001.2", "00000001.10"]


def test_what_is_a_number():
    assert [number(x) for x in (3, -0.5, INF)] == [3, -0.5, INF]
    assert [number(x) for x in (None, "3", True, NAN, 10**400, [1])] == [None] * 6


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("00000009", True),
        ("00000009.3", True),
        ("00000900", False),
        ("00000900.1", False),
        ("000000009", True),  # as much, written otherwise
        ("best", True),  # no name of a commit: somebody's copy
        ("shared-abc", True),
    ],
)
def test_the_name_of_a_commit_is_its_iteration(tmp_path, name, good):
    """At 888f0db one that was renamed to a higher number passed for the newest."""
    fault = misnamed(Saved(tmp_path / name, {"iteration": 9}))
    assert (fault == "") is good
    if not good:
        assert f"{name}: was renamed: it is a checkpoint of iteration 9, which is called" in fault


SPECIALS = {
    "a key twice": b'{"format": 2, "iteration": 1, "iteration": 2, "shared": {}, "keys": {}}',
    "a key twice below": b'{"format": 2, "iteration": 1, "shared": {"a": {"b": 1, "b": 1}}}',
    "half a character": b'{"format": 2, "iteration": 1, "shared": {}, "keys": {}, "x": "\\ud800"}',
    "a key with half a character": b'{"iteration": 1, "metrics": {"\\ud800": 1.0}}',
    "too deep": b'{"iteration": 1, "x": ' + b"[" * 100 + b"]" * 100 + b"}",
    "much too deep": b'{"iteration": 1, "x": ' + b"[" * 10**5 + b"]" * 10**5 + b"}",
    "a huge whole number": b'{"iteration": 1' + b"0" * 5000 + b"}",
    "a whole number beyond all names": b'{"iteration": 1000000000000000000}',
    "an infinite one": b'{"iteration": 1e999}',
    "NaN": b'{"iteration": NaN}',
    "UTF-16": '{"iteration": 1, "a": "é"}'.encode("utf-16"),
    "a NUL": b'{"iteration": 1}\0',
    "nothing": b"",
    "more than that": b'{"iteration": 1}{}',
}


@pytest.mark.parametrize("special", SPECIALS)
def test_json_that_no_save_writes_is_none(tmp_path, special):
    (tmp_path / "meta.json").write_bytes(SPECIALS[special])
    if special == "UTF-16":  # which json reads as well as UTF-8
        assert read_saved(tmp_path).meta == {"iteration": 1, "a": "é"}
    else:
        assert read_saved(tmp_path) is None


def test_whole_characters_of_all_kinds_and_some_depth_are_as_they_are(tmp_path):
    deep = "é\U0001f600"
    for _ in range(50):
        deep = [deep]
    (tmp_path / "meta.json").write_text(json.dumps({"iteration": 1, "x": deep, "y": NAN}))
    assert read_saved(tmp_path).meta["x"] == deep
