import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models import Model, mlp
from jaxtrain.optim import adamw, grouped, sgd
from jaxtrain.step import LossScale, TrainState, create_train_state


def create(model, batch, **options):
    return create_train_state(model, adamw(1e-3), batch, rng=jax.random.key(0), **options)


def test_what_a_new_state_holds(model, make_batch):
    state = create(model, make_batch())
    assert (state.step.shape, state.step.dtype, int(state.step)) == ((), jnp.int32, 0)
    assert set(state.model_state) == {"batch_stats"}
    assert (state.frozen, state.loss_scale, state.ema) == ({}, None, None)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(state.params))
    assert jnp.issubdtype(state.rng.dtype, jax.dtypes.prng_key)


def test_only_float16_has_a_loss_scale(plain, make_batch):
    for precision in ("float32", "bfloat16", "float16"):
        state = create(plain, make_batch(), precision=precision)
        assert isinstance(state.loss_scale, LossScale) == (precision == "float16")
        assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(state.params))


def test_the_key_that_initialises_is_not_the_key_of_the_steps(make_batch):
    seen = []

    def init(rng, batch):
        seen.append(rng)
        return {"params": jax.random.key_data(rng)}

    state = create_train_state(
        Model(init=init, apply=None), sgd(0.1), make_batch(), rng=jax.random.key(5)
    )
    initialising = np.asarray(state.params)  # what init drew from
    own, given = jax.random.key_data(state.rng), jax.random.key_data(jax.random.key(5))
    assert not np.array_equal(own, initialising)
    assert not np.array_equal(own, given)
    assert not np.array_equal(given, initialising)
    assert isinstance(seen[0], jax.core.Tracer)  # one compiled call


def test_the_key_and_the_shapes_of_the_batch_say_what_a_state_is(make_batch, same_bits):
    model, tx = mlp(3, hidden=()), sgd(0.1)
    state = create_train_state(model, tx, make_batch(seed=1), rng=jax.random.key(0))
    again = create_train_state(model, tx, make_batch(seed=2), rng=jax.random.key(0))
    other = create_train_state(model, tx, make_batch(seed=1), rng=jax.random.key(1))
    assert same_bits(state, again)
    assert not same_bits(state.params, other.params)
    assert not same_bits(state.rng, other.rng)


def test_it_is_frozen_and_replaced(plain, make_batch):
    state = create(plain, make_batch())
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.step = 1
    later = state.replace(step=state.step + 1)
    assert (int(later.step), int(state.step)) == (1, 0)
    assert later.params is state.params
    with pytest.raises(TypeError, match="parms"):
        state.replace(parms={})


def test_it_is_a_pytree_whose_paths_name_the_fields(plain, make_batch):
    state = create(plain, make_batch())
    paths, _ = jax.tree_util.tree_flatten_with_path(state)
    names = {jax.tree_util.keystr(path[:1], simple=True) for path, _ in paths}
    assert names == {"step", "params", "opt_state", "rng"}
    assert isinstance(jax.tree.map(lambda x: x, state), TrainState)


def test_variables_are_what_the_model_takes():
    state = TrainState(
        step=jnp.int32(0),
        params={"w": 1},
        frozen={},
        model_state={"batch_stats": 2},
        opt_state=(),
        rng=jax.random.key(0),
    )
    assert state.variables() == {"params": {"w": 1}, "batch_stats": 2}
    assert state.variables({"w": 9})["params"] == {"w": 9}
    assert state.replace(frozen={"base": 3}).variables()["frozen"] == {"base": 3}


def test_frozen_variables_are_kept_from_the_optimizer(make_batch):
    def init(rng, batch):
        return {"params": {"a": jnp.ones(2)}, "frozen": {"b": jnp.ones(3)}, "cache": jnp.ones(1)}

    state = create(Model(init=init, apply=None), make_batch())
    assert set(state.frozen) == {"b"}
    assert set(state.model_state) == {"cache"}
    assert not any(leaf.shape == (3,) for leaf in jax.tree.leaves(state.opt_state))


# -- given arrays ---------------------------------------------------------------------------------


def with_base(given=True):
    def init(rng, batch):
        made = {"params": {"a": jnp.ones((6, 2))}}
        return made | {"frozen": {"base": jax.random.normal(rng, (6, 3))}} if given else made

    def apply(variables, batch, *, train, rngs=None):
        return batch["inputs"] @ variables["frozen"]["base"], {}

    return Model(init=init, apply=apply)


@pytest.mark.parametrize("given", [True, False])
def test_a_frozen_base_is_not_copied(make_batch, given):
    base = {"base": jnp.ones((6, 3))}
    state = create(with_base(given), make_batch(), frozen=base)
    assert state.frozen["base"] is base["base"]
    pointer = base["base"].unsafe_buffer_pointer()
    assert state.frozen["base"].unsafe_buffer_pointer() == pointer
    assert not any(leaf.shape == (6, 3) for leaf in jax.tree.leaves(state.opt_state))
    assert state.model_state == {}


def test_given_parameters_are_not_copied_and_begin_the_average(make_batch):
    params = {"a": jnp.full((6, 2), 7.0)}
    state = create(with_base(), make_batch(), params=params, ema=True)
    assert state.params["a"] is params["a"]
    np.testing.assert_array_equal(state.ema["a"], params["a"])
    assert state.ema["a"].unsafe_buffer_pointer() != params["a"].unsafe_buffer_pointer()
    assert state.frozen["base"].shape == (6, 3)


def test_a_base_in_another_memory_takes_nothing_else_there(make_batch):
    here = jax.devices()[0]
    kinds = {memory.kind for memory in here.addressable_memories()}
    default = here.default_memory().kind
    (other, *_) = sorted(kinds - {default}) or [None]
    if other is None:
        pytest.skip("this device has one kind of memory")
    there = jax.sharding.SingleDeviceSharding(here, memory_kind=other)
    base = jax.device_put(jnp.ones((6, 3)), there)
    state = create(with_base(), make_batch(), frozen={"base": base})
    assert state.frozen["base"] is base
    found = {leaf.sharding.memory_kind for leaf in jax.tree.leaves(state.replace(frozen=None))}
    assert found == {default}


@pytest.mark.parametrize("given", ["nothing", "here", "committed"])
def test_a_step_is_not_compiled_again_for_its_own_results(make_batch, given):
    """As it would be where some of what it takes is committed to a device, and some is not."""
    trees = {"params": {"a": jnp.ones((6, 2))}, "frozen": {"base": jnp.ones((6, 3))}}
    if given == "committed":
        trees["frozen"] = jax.device_put(trees["frozen"], jax.devices()[0])
    state = create(with_base(), make_batch(), ema=True, **({} if given == "nothing" else trees))
    assert {leaf.committed for leaf in jax.tree.leaves(state)} == {given == "committed"}
    if given != "nothing":
        assert state.frozen["base"] is trees["frozen"]["base"]
    after = jax.jit(lambda state: state.replace(step=state.step + 1))(state)
    assert {leaf.committed for leaf in jax.tree.leaves(after)} == {given == "committed"}


@pytest.mark.parametrize("name", ["params", "frozen"])
def test_given_arrays_of_another_form_are_refused(make_batch, name):
    key = {"params": "a", "frozen": "base"}[name]
    for wrong, found in (({key: jnp.ones((6, 9))}, r"\(6, 9\)"), ({"other": jnp.ones(1)}, "none")):
        with pytest.raises(ConfigError, match=rf"{name}\['{key}'\]: expected .* found {found}"):
            create(with_base(), make_batch(), **{name: wrong})


def test_a_batch_may_have_leaves_without_rows(plain, make_batch, same_bits):
    batch = make_batch()
    assert same_bits(create(plain, batch), create(plain, {**batch, "alpha": 0.5}))


@pytest.mark.parametrize("seeds", [3])
def test_states_of_a_population(plain, make_batch, seeds):
    def begun(seed):
        return create_train_state(plain, sgd(0.1), make_batch(), rng=jax.random.key(seed))

    states = jax.vmap(begun)(jnp.arange(seeds))
    assert states.step.shape == (seeds,)
    assert len({key.tobytes() for key in np.asarray(jax.random.key_data(states.rng))}) == seeds


@pytest.mark.parametrize("frozen", [{"base": jnp.ones((3, 3))}, "base"])
def test_a_base_that_the_model_would_train_is_refused(frozen):
    """It would be trained under the model's own name, and the given one never read."""
    model = Model(
        lambda rng, batch: {"params": {"base": jnp.ones((3, 3)), "head": jnp.ones(3)}},
        lambda variables, batch, **_: (batch["inputs"], {}),
    )
    with pytest.raises(
        ConfigError, match=r"frozen: ('base' is among the model's own|expected parameters)"
    ):
        create_train_state(
            model,
            sgd(0.1),
            {"inputs": jnp.ones((2, 3))},
            rng=jax.random.key(0),
            frozen=frozen,
        )


def test_given_parameters_go_with_an_optimizer_of_a_part(linear, make_batch):
    """What `optax.masked` leaves out has no moments to be laid out like its parameter."""
    tx = grouped({"": adamw(0.1), "still": optax.set_to_zero()}, {"still": ("held",)})
    model = dataclasses.replace(
        linear,
        init=lambda rng, batch: {"params": {"w": jnp.zeros((6, 3)), "held": jnp.zeros(2)}},
    )
    params = {"w": jnp.ones((6, 3)), "held": jnp.ones(2)}
    state = create_train_state(model, tx, make_batch(), rng=jax.random.key(0), params=params)
    assert state.params["w"] is params["w"]
    assert sorted(x.shape for x in jax.tree.leaves(state.opt_state) if x.shape) == [(6, 3), (6, 3)]
