import jax
import jax.numpy as jnp
import optax
import pytest

import jaxtrain.optim
from jaxtrain.config import OptimizerSection, ScheduleSection
from jaxtrain.errors import ConfigError, UnknownNameError
from jaxtrain.optim import (
    OPTIMIZERS,
    SCHEDULES,
    held_patterns,
    learning_rate,
    make_optimizer,
    make_schedule,
)


def build(optimizer, schedule, total_steps=100):
    return make_optimizer(
        OPTIMIZERS.schema(optimizer.get("name", "adamw"), OptimizerSection).model_validate(
            optimizer
        ),
        SCHEDULES.schema(schedule["name"], ScheduleSection).model_validate(schedule),
        total_steps,
    )


def rates(tx, steps):
    params = jnp.ones(2)
    opt_state = tx.init(params)
    found = []
    for _ in range(steps):
        _, opt_state = tx.update(params, opt_state, params)
        found.append(float(learning_rate(opt_state)))
    return found


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_the_schedule_drives_the_optimizer(name):
    tx = build(
        {"name": name, "learning_rate": 0.5}, {"name": "cosine", "warmup_steps": 2}, total_steps=4
    )
    assert rates(tx, 6) == pytest.approx([0.0, 0.25, 0.5, 0.25, 0.0, 0.0], abs=1e-7)


def test_a_constant_rate_stays_and_yields_to_a_handler():
    tx = build({"name": "sgd", "learning_rate": 0.5}, {"name": "constant"})
    assert rates(tx, 2) == [0.5, 0.5]
    params = jnp.ones(2)
    opt_state = tx.init(params)
    opt_state.hyperparams["learning_rate"] = jnp.float32(0.125)
    for _ in range(2):
        updates, opt_state = tx.update(params, opt_state, params)
    assert float(updates[0]) == -0.125


def test_options_of_the_section_arrive():
    tx = build({"name": "sgd", "learning_rate": 1.0, "momentum": 0.5}, {"name": "constant"})
    params = jnp.ones(1)
    opt_state = tx.init(params)
    _, opt_state = tx.update(params, opt_state, params)
    updates, _ = tx.update(params, opt_state, params)
    assert float(updates[0]) == -1.5


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown schedule 'cosin'; did you mean 'cosine'"):
        make_optimizer(OptimizerSection(), ScheduleSection(name="cosin"), 10)
    with pytest.raises(UnknownNameError, match="unknown optimizer 'adamx'; did you mean 'adam"):
        make_optimizer(OptimizerSection(name="adamx"), ScheduleSection(), 10)


def test_a_schedule_with_a_warm_up_of_its_own_is_told_that_there_is_one(monkeypatch):
    """As a plugin may have from when only the cosine had one: it would be done twice."""
    monkeypatch.setattr(SCHEDULES, "_factories", dict(SCHEDULES._factories))

    @SCHEDULES.register("own")
    def own(learning_rate: float, *, warmup_steps: int = 0): ...

    with pytest.raises(ConfigError, match=r"schedule 'own': warmup_steps is there for every"):
        build({}, {"name": "own"})


def test_a_constant_rate_is_a_number_unless_it_warms_up():
    assert make_schedule(ScheduleSection(), 0.5, 10) == 0.5
    assert callable(make_schedule(ScheduleSection(warmup_steps=2), 0.5, 10))


def test_exports_exist():
    for name in jaxtrain.optim.__all__:
        assert hasattr(jaxtrain.optim, name)


# -- groups, and slow weights ----------------------------------------------------------------------

PARAMS = {
    "stem": {"kernel": jnp.ones(2), "bias": jnp.ones(2)},
    "head": {"kernel": jnp.ones(3)},
    "rest": jnp.ones(4),
}


def in_groups(**groups):
    """A run's optimizer, its config checked."""
    from jaxtrain.run import make_config

    tree = {"optimizer": {"name": "sgd", "learning_rate": 0.5, "momentum": 0.9, "groups": groups}}
    config = make_config(tree)
    return make_optimizer(config.optimizer, config.schedule, 100), config


def changes_of(tx):
    """By path, what the first update takes off a parameter whose gradient is 1."""
    ones = jax.tree.map(jnp.ones_like, PARAMS)
    changes, state = tx.update(ones, tx.init(PARAMS), PARAMS)
    found = jax.tree_util.tree_leaves_with_path(changes)
    said = {jax.tree_util.keystr(p, simple=True, separator="/"): -float(x[0]) for p, x in found}
    return {path: round(change, 6) for path, change in said.items()}, state


def test_a_group_has_its_own_options_and_the_others_of_the_optimizer():
    tx, config = in_groups(
        small={"match": "*/bias", "weight_decay": 0.25},
        head={"match": ["head/*"], "learning_rate": 0.125, "momentum": 0.0},
        stem={"match": "stem/kernel", "freeze": True},
    )
    changes, state = changes_of(tx)
    plain = {"rest": 0.5, "stem/kernel": 0.0}
    assert changes == {"stem/bias": 0.5 * 1.25, "head/kernel": 0.125, **plain}
    assert held_patterns(config.optimizer) == ("stem/kernel",)
    # Of what is frozen there is no momentum, nor of the head, which has none.
    assert sorted(x.shape for x in jax.tree.leaves(state) if x.shape) == [(2,), (4,)]


def test_the_schedule_scales_each_group_from_its_own_peak():
    from jaxtrain.run import make_config

    groups = {"head": {"match": "head/*", "learning_rate": 0.1}}
    tree = {
        "optimizer": {"name": "sgd", "learning_rate": 0.5, "groups": groups},
        "schedule": {"name": "cosine"},
    }
    config = make_config(tree)
    tx = make_optimizer(config.optimizer, config.schedule, 4)
    state, found = tx.init(PARAMS), []
    for _ in range(3):
        changes, state = tx.update(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
        found += [-float(changes["stem"]["bias"][0]), -float(changes["head"]["kernel"][0])]
    half = (1 + 2**-0.5) / 2
    assert found == pytest.approx([0.5, 0.1, 0.5 * half, 0.1 * half, 0.25, 0.05])


def test_what_is_frozen_has_no_other_options():
    with pytest.raises(ConfigError, match="frozen has no weight_decay"):
        in_groups(stem={"match": "stem/*", "freeze": True, "weight_decay": 0.1})


def test_slow_weights_are_asked_for_in_the_section():
    from jaxtrain.run import make_config

    section = {"name": "sgd", "learning_rate": 0.5, "lookahead": {"every": 2, "share": 0.25}}
    config = make_config({"optimizer": section})
    tx = make_optimizer(config.optimizer, config.schedule, 100)
    params = {"w": jnp.zeros(1)}
    state, found = tx.init(params), []
    for _ in range(4):
        changes, state = tx.update({"w": jnp.ones(1)}, state, params)
        params = optax.apply_updates(params, changes)
        found.append(float(params["w"][0]))
    assert found == [-0.5, -0.25, -0.75, -0.5]
