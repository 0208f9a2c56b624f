"""RunData: the first stage, alone, as a notebook would use it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, Dataset, GrainLoader
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.run import RunData, make_config


def real_rows(batch) -> int:
    return int(sum(v.sum() for k, v in batch.items() if k == "row_mask"))


def test_the_options_of_the_config_reach_the_loader(digits):
    data = RunData.of(
        digits("data.shuffle=false", "data.last_batch=drop", "data.batch_size=50", "seed=7")
    )
    loader = data.loader
    assert loader.batch_size == 50
    assert loader.fingerprint().startswith(
        "rows=1293 batch_size=50 shuffle=False seed=7 last_batch=drop"
    )
    assert set(next(iter(loader))) == {"inputs", "labels"}


@pytest.mark.parametrize("size", [7, 100, 5000])
def test_an_eval_loader_has_its_own_batch_size_and_every_row_once_in_order(digits, size):
    data = RunData.of(digits(f"data.eval_batch_size={size}", "data.last_batch=drop"))
    loader = data.eval_loader("test")
    assert loader.batch_size == min(size, 360)
    seen = [label for b in loader for label in b["labels"][: real_rows(b)].tolist()]
    assert seen == data.splits.test.labels.tolist()


def test_the_sets_are_those_that_there_are(digits):
    assert list(RunData.of(digits()).sets) == ["train", "validation", "test"]
    without = RunData.of(digits("data.validation_fraction=0"))
    assert list(without.sets) == ["train", "test"]
    assert set(without.fingerprints()) == {"train", "test"}
    with pytest.raises(ValueError, match="has the sets train, test; found 'validation'"):
        without.eval_loader("validation")


def test_the_example_has_the_shapes_of_a_batch(digits):
    for last_batch in ("pad", "drop"):
        data = RunData.of(digits(f"data.last_batch={last_batch}"))
        batch = next(iter(data.loader))
        found = {name: (x.shape, np.dtype(x.dtype)) for name, x in data.example().items()}
        assert found == {name: (x.shape, x.dtype) for name, x in batch.items()}


def test_fingerprints_say_data_and_order(digits):
    first, again = RunData.of(digits()).fingerprints(), RunData.of(digits()).fingerprints()
    assert first == again
    other = RunData.of(digits("data.batch_size=33")).fingerprints()
    assert {name for name in first if first[name] != other[name]} == {"train"}


def test_it_is_frozen_and_made_of_what_one_has(source, made):
    source(made)
    data = RunData.of(make_config({"data": {"name": "tests_source"}}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.loader = None
    test = made.dataset(5, 9)
    other = dataclasses.replace(data, splits=made(test=test))
    assert other.fingerprints()["test"] == test.fingerprint() != data.fingerprints()["test"]


def test_broken_data_are_found_here_and_refused_there(source, made):
    broken = made(train=made.dataset(60, nan=True), test=made.dataset(9, labels=[0, 1, 7] * 3))
    calls = source(lambda: broken)
    data = RunData.of(make_config({"data": {"name": "tests_source"}}))
    assert [finding.name for finding in data.broken] == ["train finite inputs", "test label range"]
    assert len(data.findings) == 19  # five a set, the classes, and three pairs
    with pytest.raises(DataError) as raised:
        data.refuse_broken()
    lines = str(raised.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["made", "train finite inputs"],
        ["made", "test label range"],
    ]
    assert calls == [1]


def test_a_class_without_rows_is_a_remark(source, made):
    source(lambda: made(test=made.dataset(4, labels=[0, 0, 1, 1])))
    data = RunData.of(make_config({"data": {"name": "tests_source"}}))
    assert [f.name for f in data.findings if not f.ok] == ["test class balance"]
    assert data.broken == ()
    assert [f.name for f in data.remarks] == ["test class balance"]
    data.refuse_broken()


class Streamed:
    """A split that is not in memory: it says what it is, and makes loaders."""

    name, task, num_outputs, label_names = "streamed", "classification", 3, ()

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def __len__(self):
        return len(self.rows)

    def fingerprint(self):
        return self.rows.fingerprint()

    def loader(self, **options):
        self.asked.append(options)
        return ArrayLoader(self.rows, **options)


def test_a_split_that_makes_its_own_loader_is_asked_for_it(source, made):
    train, test = Streamed(made.dataset(60)), Streamed(made.dataset(12, 2))
    source(lambda: made(train=train, test=test))
    config = make_config({"seed": 4, "data": {"name": "tests_source", "batch_size": 16}})
    data = RunData.of(config)
    assert train.asked == [{"batch_size": 16, "shuffle": True, "seed": 4, "last_batch": "pad"}]
    assert data.eval_loader("test").batch_size == 12
    assert test.asked == [{"batch_size": 12, "shuffle": False, "seed": 0, "last_batch": "pad"}]
    assert data.broken == ()
    assert train.loader(batch_size=5, shuffle=False, seed=0, last_batch="pad").batch_size == 5


def test_a_source_that_returns_nothing_is_a_config_error_with_its_file(source):
    source(lambda: None)
    with pytest.raises(ConfigError, match=r"'tests_source': .* in .*conftest\.py .* found None"):
        RunData.of(make_config({"data": {"name": "tests_source"}}))


@pytest.mark.parametrize("form", ["auto", "single"])
def test_no_device_is_touched(form):
    code = (
        "from jaxtrain.run import RunData, make_config\n"
        "from jax._src import xla_bridge\n"
        f"data = RunData.of(make_config({{'train': {{'form': {form!r}}}}}))\n"
        "data.findings, data.fingerprints(), data.example(), next(iter(data.loader))\n"
        "print(xla_bridge.backends_are_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["False"], done.stderr


# -- how the sets go together ---------------------------------------------------------------------


def run_data(source, splits, **sections):
    source(lambda: splits)
    return RunData.of(make_config({"data": {"name": "tests_source"}, **sections}))


def named(data, name):
    (finding,) = [finding for finding in data.findings if finding.name == name]
    return finding


def test_test_rows_that_were_learnt_are_a_remark(source, made):
    """Finding C11: the training file was the test file, too, and nothing said so."""
    train = made.dataset(60)
    data = run_data(source, made(train=train, test=train.select(np.arange(20))))
    assert [finding.name for finding in data.remarks] == ["test overlap with train"]
    assert "20 of 20 rows" in data.remarks[0].detail
    assert data.broken == ()
    data.refuse_broken()
    assert named(data, "validation overlap with train").ok


@pytest.mark.parametrize(
    ("counts", "loss", "told"),
    [
        ((50, 4, 30), {}, True),
        ((50, 5, 30), {}, False),
        ((50, 4, 30), {"class_weights": "balanced"}, False),
        ((50, 0, 30), {}, True),
        ((50, 4, 30), {"name": "mean_squared_error"}, False),  # it has no weights
    ],
)
def test_where_classes_are_rare_the_remedy_is_named(source, made, counts, loss, told):
    train = made.dataset(sum(counts), labels=np.repeat([0, 1, 2], counts))
    data = run_data(source, made(train=train), loss=loss)
    detail = named(data, "train class balance").detail
    assert ("loss.class_weights=balanced" in detail) == told
    assert "loss.class_weights" not in named(data, "test class balance").detail
    assert data.class_counts() == counts


@pytest.mark.parametrize("classes", [1, 3])
def test_one_class_alone_is_nothing_to_learn(source, made, classes):
    """Finding C17: a division by zero in `check`."""
    train = made.dataset(60, labels=[0] * 60, classes=classes)
    test = made.dataset(9, 1, labels=[0] * 9, classes=classes)
    data = run_data(source, made(train=train, validation=None, test=test))
    assert [finding.name for finding in data.broken] == ["train classes"]
    assert f"1 of {classes} classes have rows; expected at least two" in data.broken[0].detail
    # In the others it is no more than a remark.
    other = run_data(source, made(test=made.dataset(9, 1, labels=[1] * 9)))
    assert other.broken == ()


def test_sets_of_another_kind_are_broken(source, made):
    test = made.dataset(12, 2, classes=4)
    data = run_data(source, made(test=test))
    (finding,) = data.broken
    assert finding.name == "test kind"
    assert "a classification with 4 outputs; expected that of train, a" in finding.detail


def test_an_ignored_label_is_not_out_of_range(source, made):
    train = made.dataset(60, labels=[-100, 0, 1, 2] * 15)
    loss = {"ignore_label": -100}
    assert run_data(source, made(train=train), loss=loss).broken == ()
    assert [f.name for f in run_data(source, made(train=train)).broken] == ["train label range"]


def test_of_a_regression_and_of_rows_out_of_memory_no_classes_are_counted(source, made):
    assert run_data(source, made(train=Streamed(made.dataset(60)))).class_counts() is None
    inputs = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    numbers = Dataset(inputs, inputs[:, 0].copy(), task="regression")
    data = run_data(source, made(train=numbers, validation=None, test=numbers.select([1, 2])))
    assert data.class_counts() is None
    assert not [f for f in data.findings if "class" in f.name]


@pytest.fixture
def letters(tmp_path):
    """A config of a small text, streamed as the overrides say."""
    (tmp_path / "t.txt").write_text("".join(chr(97 + n * n % 26) for n in range(2000)))
    section = {"name": "text", "path": "t.txt", "root": str(tmp_path), "length": 16}
    section |= {"batch_size": 8, "tokenizer": "characters"}
    return lambda *overrides: make_config({"data": section}, overrides)


def taken(loader, count, cursor=None):
    batches = loader.batches(cursor)
    found = [
        ({n: a.tolist() for n, a in b.items()}, c) for b, c in (next(batches) for _ in range(count))
    ]
    batches.close()
    return found


def test_rows_that_can_be_streamed_are_where_the_config_says_so(letters):
    resident, stream = RunData.of(letters()), RunData.of(letters("data.stream=true"))
    assert isinstance(resident.loader, ArrayLoader)
    assert isinstance(stream.loader, GrainLoader)
    assert stream.loader.workers == 0
    assert "arrays" not in vars(stream.train)
    count = 2 * resident.loader.steps_per_epoch
    expected = [batch for batch, _ in taken(resident.loader, count)]
    assert [batch for batch, _ in taken(stream.loader, count)] == expected
    assert stream.example() == resident.example()
    assert resident.broken == stream.broken == ()


def test_a_streamed_run_goes_on_with_other_workers(letters):
    whole = taken(RunData.of(letters("data.stream=true")).loader, 12)
    loader = RunData.of(letters("data.stream=true", "data.workers=2")).loader
    assert loader.workers == 2
    cursor = json.loads(json.dumps(whole[4][1]))
    assert taken(loader, 7, cursor) == whole[5:]
    loader.close()


def test_what_can_not_be_streamed(digits, letters):
    with pytest.raises(
        ConfigError, match=r"data\.stream: the source 'digits' .*; set data\.stream=f"
    ):
        RunData.of(digits("data.stream=true"))
    with pytest.raises(ConfigError, match=r"data\.workers: 2 processes have no stream to read"):
        RunData.of(letters("data.workers=2"))
    with pytest.raises(ConfigError, match=r"data\.workers"):
        letters("data.workers=-1")
