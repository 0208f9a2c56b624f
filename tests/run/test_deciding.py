"""What of a config decides a run."""

from __future__ import annotations

import json

import pytest

from jaxtrain.config import MISSING, to_dict
from jaxtrain.run.deciding import differing, is_free
from jaxtrain.run.directory import run_id
from tests.optim.parity import rates, scheduled


def written(config):
    """As it comes back from a checkpoint: tuples are lists."""
    return json.loads(json.dumps(to_dict(config)))


def test_a_config_does_not_differ_from_itself(digits):
    config = digits("metrics=[loss, {name: accuracy, top_k: 3}]", "optimizer.clip_norm=1.0")
    assert differing(to_dict(config), config) == []
    assert differing(written(config), config) == []


@pytest.mark.parametrize(
    ("override", "key", "old", "new"),
    [
        ("seed=5", "seed", 0, 5),
        ("data.split_seed=7", "data.split_seed", 0, 7),
        ("data.test_fraction=0.3", "data.test_fraction", 0.2, 0.3),
        ("data.validation_fraction=0.3", "data.validation_fraction", 0.1, 0.3),
        ("data.batch_size=16", "data.batch_size", 32, 16),
        ("data.shuffle=false", "data.shuffle", True, False),
        ("data.last_batch=drop", "data.last_batch", "pad", "drop"),
        ("data.stream=true", "data.stream", False, True),
        ("optimizer.weight_decay=0.5", "optimizer.weight_decay", 1e-4, 0.5),
        ("schedule.warmup_steps=3", "schedule.warmup_steps", 0, 3),
        ("optimizer.learning_rate=0.05", "optimizer.learning_rate", 0.003, 0.05),
        ("train.form=single", "train.form", "auto", "single"),
        ("train.accumulate=2", "train.accumulate", 1, 2),
        ("train.epochs=1", "train.epochs", 2, 1),
        ("precision=bfloat16", "precision", "float32", "bfloat16"),
        ("checkpoint.monitor=train/loss", "checkpoint.monitor", "val/loss", "train/loss"),
        ("model.dropout=0.5", "model.dropout", 0.1, 0.5),
        ("plugins=[a.py]", "plugins", (), ("a.py",)),
    ],
)
def test_what_has_a_part_in_the_figures_decides(digits, override, key, old, new):
    before = written(digits())
    found = {k: (a, b) for k, a, b in differing(before, digits(override))}
    assert list(found) == [key]
    assert found[key][1] == new
    assert found[key][0] == old or key in ("optimizer.learning_rate", "model.dropout")
    assert not is_free(key)


@pytest.mark.parametrize(
    "override",
    [
        "workdir=elsewhere",
        "project=other",
        "device=cpu",
        "hooks.csv=null",
        "hooks.jsonl.every=7",
        "checkpoint.every=5",
        "checkpoint.every_epochs=2",
        "checkpoint.keep=9",
        "checkpoint.asynchronous=false",
        "data.prefetch=0",
        "data.workers=2",
    ],
)
def test_what_has_none_is_free(digits, override):
    assert differing(written(digits()), digits(override)) == []
    assert is_free(override.partition("=")[0])


def test_where_the_data_of_a_part_lie_is_free_as_it_is_of_all(digits):
    def mixed(root, name="mnist"):
        parts = {"a": {"name": "mnist"}, "b": {"name": name, "root": root}}
        return digits(f"data={{name: mixture, share: 0.2, parts: {json.dumps(parts)}}}")

    before = written(mixed("here"))
    assert differing(before, mixed("there")) == []
    assert is_free("data.parts.b.root")
    keys = [key for key, _, _ in differing(before, mixed("there", "fashion_mnist"))]
    assert keys == ["data.parts.b.name"]
    assert not is_free("data.parts.b.name")
    assert not is_free("data.parts.root")


def test_a_part_more_and_an_option_more_of_one_make_another_mixture(digits):
    """They have not come since: a part stands there as somebody wrote it."""

    def mixed(**parts):
        return digits(f"data={{name: mixture, share: 0.2, parts: {json.dumps(parts)}}}")

    one, other = {"name": "digits"}, {"name": "digits", "split_seed": 2}
    before = written(mixed(a=one, b=other))
    assert differing(before, mixed(a=one, b=other)) == []
    for now, key in (
        (mixed(a=one, b=other, c=one), "data.parts.c"),
        (mixed(a=other, b=other), "data.parts.a.split_seed"),
    ):
        found = differing(before, now)
        assert next(k for k, _, _ in found).startswith(key)
        assert all(old is MISSING for _, old, _ in found)


def test_a_run_may_get_longer_where_no_schedule_is_stretched(digits):
    constant = written(digits("train.epochs=2", "schedule={name: constant}"))
    assert differing(constant, digits("train.epochs=3", "schedule={name: constant}")) == []
    assert differing(constant, digits("train.epochs=1", "schedule={name: constant}"))
    cosine = written(digits("train.epochs=2", "schedule={name: cosine}"))
    assert differing(cosine, digits("train.epochs=3", "schedule={name: cosine}"))
    for junk in ("many", None, True, [2]):  # at 888f0db a TypeError of `>=`
        constant["train"]["epochs"] = junk
        found = differing(constant, digits("train.epochs=3", "schedule={name: constant}"))
        assert [key for key, _, _ in found] == ["train.epochs"]


@pytest.mark.parametrize(
    ("schedule", "stretched"),
    [
        ("{name: constant, warmup_steps: 5}", False),
        ("{name: constant, warmup_epochs: 1}", False),
        ("{name: constant, warmup_fraction: 0.1}", True),
        ("{name: step, every: 1}", False),
        ("{name: multi_step, milestones: [1]}", False),
        ("{name: exponential, factor: 0.9}", False),
        ("{name: sgdr, first: 1}", False),
        ("{name: linear}", True),
        ("{name: one_cycle}", True),
        ("{name: chain, parts: [{name: constant, steps: 5}, {name: cosine}]}", True),
    ],
)
def test_which_schedules_are_stretched(digits, schedule, stretched):
    before = written(digits("train.epochs=2", f"schedule={schedule}"))
    found = differing(before, digits("train.epochs=3", f"schedule={schedule}"))
    assert [key for key, _, _ in found] == ["train.epochs"] * stretched


def test_what_is_not_stretched_has_the_same_rate_however_long_the_run(digits):
    """The other half of it: the first steps of a longer run are those of the shorter one."""
    for section in (
        {"name": "constant", "warmup_steps": 3},
        {"name": "step", "every": 1},
        {"name": "multi_step", "milestones": [1]},
        {"name": "exponential", "factor": 0.9},
        {"name": "sgdr", "first": 1, "growth": 2},
    ):
        short, long = (scheduled(section, steps, steps_per_epoch=4) for steps in (12, 40))
        assert rates(short, 12).tolist() == rates(long, 12).tolist()


def test_a_key_that_has_come_since_is_its_default(digits):
    before = written(digits())
    del before["train"]["form"]
    assert differing(before, digits()) == []
    assert differing(before, digits("train.form=single")) == [("train.form", MISSING, "single")]
    before["train"]["gone"] = 3
    assert differing(before, digits()) == [("train.gone", 3, MISSING)]


def test_a_section_of_its_own_defaults_has_come_since_or_not(digits):
    """A run that was begun before there was such a section did not have it."""
    before = written(digits())
    del before["train"]["sam"], before["optimizer"]["lookahead"]
    assert differing(before, digits()) == []
    found = {key: new for key, _, new in differing(before, digits("train.sam.radius=0.05"))}
    assert found == {"train.sam": {"radius": 0.05, "adaptive": False}}


def test_a_hook_that_changes_what_is_learnt_decides(digits):
    words = ["hooks.reduce_on_plateau.patience=3", "schedule.name=constant"]
    plain, lowering = digits("schedule.name=constant"), digits(*words)
    assert run_id(plain) != run_id(lowering)
    assert run_id(lowering) != run_id(digits(*words, "hooks.reduce_on_plateau.factor=0.3"))
    ((key, *_),) = differing(written(plain), lowering)
    assert key.startswith("hooks")
    assert differing(written(lowering), plain) != []
    assert differing(written(lowering), lowering) == []
    assert differing(written(lowering), digits(*words, "hooks.csv=null")) == []
    other = digits("schedule.name=constant", "hooks.mine.name=reduce_on_plateau")
    assert differing(written(plain), other) != []
