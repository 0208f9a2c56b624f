import jax.numpy as jnp
import pytest

import jaxtrain.optim
from jaxtrain.config import OptimizerSection, ScheduleSection
from jaxtrain.errors import ConfigError, UnknownNameError
from jaxtrain.optim import OPTIMIZERS, SCHEDULES, learning_rate, make_optimizer, make_schedule


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
