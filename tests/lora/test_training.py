from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxtrain as jt
from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, Protection
from jaxtrain.models import from_linen
from jaxtrain.models.model import Model
from jaxtrain.step import cross_entropy, next_token
from tests.lora.small import MODEL, UNEQUAL, batch, params, same_bits, trained


def state_of(model, config, tx, base=None, adapter=None, **options):
    base = params() if base is None else base
    adapter = lora.init(jax.random.key(1), base, config) if adapter is None else adapter
    return jt.create_train_state(
        model, tx, batch(), rng=jax.random.key(0), params=adapter, frozen=base, **options
    )


def after(form, config, steps=5, tx=None, **options):
    """The state behind some steps, and their losses."""
    model, tx = lora.model(MODEL, config, form=form), tx or optax.adamw(1e-2, weight_decay=0.1)
    step = jax.jit(jt.make_train_step(model, next_token(), tx, **options))
    state, losses = state_of(model, config, tx), []
    for _ in range(steps):
        state, output = step(state, batch())
        losses.append(float(output["loss"]))
    return state, losses


@pytest.mark.slow
@pytest.mark.parametrize("dora", [False, True])
def test_both_forms_train_alike(dora):
    """Not with Adam, whose first steps are signs, and not for long: weights as large as these, so
    that what is wrong shows, make of a rounding another model within a few steps.
    """
    config, tx = LoRAConfig(dora=dora, **UNEQUAL), optax.sgd(5e-4)
    (one, losses), (other, same) = (
        after(form, config, steps=3, tx=tx) for form in ("merge", "low_rank")
    )
    np.testing.assert_allclose(losses, same, rtol=1e-4)
    assert losses[-1] < losses[0]
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(a).max())


@pytest.mark.slow
@pytest.mark.parametrize("form", ["merge", "low_rank"])
def test_padding_and_layers_without_an_adapter_stay_zero(form):
    state, _ = after(form, LoRAConfig(dora=True, **UNEQUAL))
    for target in state.params.targets:
        factors = state.params.factors[target.path]
        for layer, rank in enumerate(target.ranks):
            assert not factors["a"][layer, :, rank:].any()
            assert not factors["b"][layer, rank:].any()
            if not rank:
                assert not factors["m"][layer].any()
            else:
                assert factors["b"][layer, :rank].any()


def test_only_the_adapter_is_trained_and_has_moments():
    config = LoRAConfig()
    state, _ = after("auto", config)
    fresh = lora.init(jax.random.key(1), params(), config)
    assert jax.tree.structure(state.params) == jax.tree.structure(fresh)
    moments = state.opt_state[0]
    assert jax.tree.structure(moments.mu) == jax.tree.structure(fresh)
    trained_size = sum(leaf.size for leaf in jax.tree.leaves(fresh))
    assert sum(leaf.size for leaf in jax.tree.leaves(state.opt_state)) <= 2 * trained_size + 4
    assert same_bits(state.frozen, params())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", ["merge", "low_rank"])
def test_a_fresh_adapter_trains_as_the_base_evaluates(form, precision):
    model, config = lora.model(MODEL, LoRAConfig(), form=form), LoRAConfig()
    state = state_of(model, config, optax.sgd(0.1))
    of_base = jt.create_train_state(
        MODEL, optax.sgd(0.1), batch(), rng=jax.random.key(0), params=params()
    )
    found, expected = (
        jax.jit(jt.make_eval_step(m, next_token(), precision=precision))(s, batch())[1]["loss"]
        for m, s in ((model, state), (MODEL, of_base))
    )
    assert found == expected


def test_accumulated_steps_agree():
    config = LoRAConfig(**UNEQUAL)
    whole, parts = (
        after("low_rank", config, steps=2, tx=optax.sgd(0.01), accumulate=n)[0] for n in (1, 2)
    )
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


# -- with the engine ----------------------------------------------------------------------------


def pointers(tree):
    return [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(tree)]


@pytest.mark.slow
def test_a_run_with_checkpoints_and_validation_leaves_the_base_where_it_is(tmp_path):
    config = LoRAConfig(rank=4, dropout=0.1)
    tokens = np.tile(np.arange(13) % 7, (16, 1)).astype(np.int32)
    data = {"inputs": tokens[:, :-1], "labels": tokens[:, 1:]}
    loader = jt.ArrayLoader(data, batch_size=4)
    model, loss, tx = lora.model(MODEL, config), next_token(), optax.adamw(1e-2)
    base = params()
    places = pointers(base)
    adapter = lora.init(jax.random.key(1), base, config)

    def engine(directory="run"):
        state = jt.create_train_state(
            model, tx, loader.example(), rng=jax.random.key(0), params=adapter, frozen=base
        )
        assert pointers(state.frozen) == places
        trainer = jt.Engine(jt.make_train_step(model, loss, tx), state)
        trainer.add_metrics({"train/loss": jt.Loss()})
        evaluator = jt.Engine(jt.make_eval_step(model, loss), state)
        evaluator.add_metrics({"loss": jt.Loss()})
        trainer.attach(jt.hooks.Validation(evaluator, loader))
        store = jt.CheckpointStore(tmp_path / directory, monitor="val/loss")
        trainer.attach(jt.hooks.Checkpoint(store, loader))
        return trainer, store

    trainer, store = engine()
    losses = []

    @trainer.on(jt.Events.EPOCH_COMPLETED)
    def note(engine):
        losses.append(engine.state.metrics["val/loss"])
        assert pointers(engine.state.train_state.frozen) == places

    trainer.run(loader, max_epochs=4)
    store.close()
    assert losses[-1] < 0.7 * losses[0]
    end = trainer.state.train_state
    assert pointers(end.frozen) == places
    assert same_bits(base, params())
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(base))
    assert isinstance(end.params, lora.Adapter)
    assert jax.tree.structure(end.opt_state[0].mu) == jax.tree.structure(end.params)

    # Stopped behind the second epoch and continued, it comes to the same bits.
    short, other = engine("other")
    short.run(loader, max_epochs=2)
    other.close()
    again, store = engine("other")
    jt.hooks.resume(again, store.latest(), store)
    again.run(loader, max_epochs=4)
    assert same_bits(again.state.train_state.params, end.params)
    assert same_bits(again.state.train_state.opt_state, end.opt_state)

    saved = store.latest()
    assert set(saved.shared) == {"train_state/frozen"}
    loaded, _ = store.load(saved, adapter, part="train_state/params")
    assert same_bits(loaded, end.params)
    store.close()


# -- which form ---------------------------------------------------------------------------------


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x)))
        x = nn.Dropout(0.3, deterministic=not train)(x)
        return nn.ConvTranspose(3, (2,))(x[:, None])[:, 0]


def floats(rows=6):
    inputs = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    return {"inputs": jnp.asarray(inputs), "labels": jnp.arange(rows) % 3}


def said(model, given):
    return model.facts(given, jnp.float32)["lora"]


def test_auto_is_a_rule_that_is_told():
    assert said(lora.model(MODEL, LoRAConfig()), batch()).startswith("low_rank: beside 7 kernels")
    head = lora.model(MODEL, LoRAConfig(targets=("head", "q", "embedding")))
    assert "merge: " in said(head, batch())
    assert "head/kernel" in said(head, batch())
    assert "embedding/embedding" in said(head, batch())
    linen = from_linen(Net())
    assert said(lora.model(linen, LoRAConfig(targets=("Dense_0",))), floats()).startswith(
        "low_rank"
    )
    assert "ConvTranspose_0/kernel" in said(lora.model(linen, LoRAConfig()), floats())
    assert said(lora.model(MODEL, LoRAConfig(), form="merge"), batch()) == "merge: it was asked for"


class Alone(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1, use_bias=False)(x)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float32"])
def test_what_a_narrow_dtype_loses_of_a_merged_adapter_is_said(precision):
    """Ones of both signs, each of which swallows the update; beside them all of it is there."""
    base, given = from_linen(Alone()), {"inputs": jnp.ones((2, 8))}
    kernel = jnp.where(jnp.arange(8)[:, None] % 2, 1.0, -1.0)
    config = LoRAConfig(rank=1, alpha=1.0, targets=("Dense_0",))
    adapter = lora.init(jax.random.key(0), {"Dense_0": {"kernel": kernel}}, config)
    factors = {"Dense_0/kernel": {"a": jnp.full((8, 1), 2.0**-13), "b": jnp.ones((1, 1))}}
    adapter = lora.Adapter(factors, config, adapter.targets)
    for form in ("low_rank", "merge"):
        model = lora.model(base, config, form=form)
        run = jt.step.forward(model, precision)
        variables = {"params": adapter, "frozen": {"Dense_0": {"kernel": kernel}}}
        lost = bool((run(variables, given, train=False).outputs == 0).all())
        assert lost is (form == "merge" and precision != "float32")
        told = f"each pass rounds the sum to {precision}, in which an update that is small"
        assert (told in model.facts(given, precision)["lora"]) is lost


@pytest.mark.parametrize(
    ("targets", "form"),
    [(("Dense_0",), "low_rank"), (("Dense_0",), "merge"), ("all-linear", "auto")],
)
def test_a_linen_module_with_statistics(targets, form):
    base, given = from_linen(Net()), floats()
    config = LoRAConfig(rank=2, targets=targets)
    model, tx = lora.model(base, config, form=form), optax.adam(3e-2)
    state = jt.create_train_state(model, tx, given, rng=jax.random.key(0), frozen="init")
    assert state.frozen.keys() == {"Dense_0", "BatchNorm_0", "ConvTranspose_0"}
    before = state
    step = jax.jit(jt.make_train_step(model, cross_entropy(), tx))
    losses = []
    for _ in range(30):
        state, output = step(state, given)
        losses.append(float(output["loss"]))
    assert losses[-1] < 0.9 * losses[0]
    assert same_bits(state.frozen, before.frozen)
    assert not same_bits(state.model_state, before.model_state)


@pytest.fixture
def nnx_model(stochastic_model):
    return stochastic_model("nnx")


def test_a_module_of_nnx(nnx_model):
    given = {"inputs": jnp.asarray(np.random.default_rng(0).normal(size=(6, 6)), jnp.float32)}
    given["labels"] = jnp.arange(6) % 3
    config = LoRAConfig(rank=2, dora=True)
    model, tx = lora.model(nnx_model, config), optax.adam(3e-2)
    assert said(model, given) == "merge: the model takes kernels alone"
    base = nnx_model.init(jax.random.key(0), given)["params"]
    adapter = lora.init(jax.random.key(1), base, config)
    state = jt.create_train_state(
        model, tx, given, rng=jax.random.key(0), params=adapter, frozen=base
    )
    step = jax.jit(jt.make_train_step(model, cross_entropy(), tx))
    first = step(state, given)[1]["loss"]
    for _ in range(30):
        state, output = step(state, given)
    assert output["loss"] < first
    assert bool(output["finite"])


# -- what is refused ----------------------------------------------------------------------------


def test_forms_that_can_not_be_had():
    with pytest.raises(ConfigError, match="form: expected one of auto, merge, low_rank"):
        lora.model(MODEL, LoRAConfig(), form="fused")
    plain = Model(MODEL.init, MODEL.apply)
    with pytest.raises(ConfigError, match="takes kernels alone"):
        lora.model(plain, LoRAConfig(), form="low_rank")
    head = lora.model(MODEL, LoRAConfig(targets=("head",)), form="low_rank")
    state = state_of(head, LoRAConfig(targets=("head",)), optax.sgd(0.1))
    with pytest.raises(ConfigError, match="in the place of head/kernel; exclude them"):
        jt.make_eval_step(head, next_token())(state, batch())


def test_what_is_merged_has_nothing_to_drop():
    config = LoRAConfig(dropout=0.1)
    for form, base in (("merge", MODEL), ("auto", Model(MODEL.init, MODEL.apply))):
        model = lora.model(base, config, form=form)
        with pytest.raises(ConfigError, match=r"dropout: 0\.1 is for the inputs of a branch"):
            model.facts(batch(), jnp.float32)


def test_parameters_of_the_base_are_no_adapter():
    model = lora.model(MODEL, LoRAConfig())
    with pytest.raises(ConfigError, match="expected an Adapter as params, found a dict"):
        model.apply({"params": params(), "frozen": params()}, batch(), train=False)
    adapter = lora.init(jax.random.key(0), params(), LoRAConfig())
    with pytest.raises(ConfigError, match="there is no base"):
        model.apply({"params": adapter}, batch(), train=False)


def test_a_base_that_has_learnt_nothing_must_be_meant():
    """With and without an adapter that is given, and where the model can't even make the base."""
    config, key = LoRAConfig(), jax.random.key(0)
    for model in (
        lora.model(MODEL, config),
        lora.model(MODEL, config, protection=Protection(orthogonal=1.0)),
    ):
        for given in ({}, {"params": lora.init(key, params(), config)}):
            with pytest.raises(ConfigError, match=r'^frozen: .*Give frozen=params.*frozen="init"'):
                jt.create_train_state(model, optax.sgd(0.1), batch(), rng=key, **given)
    with pytest.raises(ConfigError, match="frozen: expected parameters, or \"init\", found 'Init'"):
        jt.create_train_state(model, optax.sgd(0.1), batch(), rng=key, frozen="Init")
    drawn = jt.create_train_state(
        lora.model(MODEL, config), optax.sgd(0.1), batch(), rng=key, frozen="init"
    )
    shapes = (jax.tree.map(jnp.shape, tree) for tree in (drawn.frozen, params()))
    assert next(shapes) == next(shapes)


def test_a_base_with_a_frozen_part_is_refused():
    twice = lora.model(lora.model(MODEL, LoRAConfig()), LoRAConfig())
    with pytest.raises(ConfigError, match="merge the adapter that it has first"):
        twice.init(jax.random.key(0), batch())


@pytest.mark.parametrize("options", [{"dora": True}, {"init": "pissa"}])
def test_what_depends_on_the_base_must_be_given(options):
    """`init` of a model can't know which base the state is given: better NaN than another one's."""
    config = LoRAConfig(**options)
    model = lora.model(MODEL, config)
    state = jt.create_train_state(
        model, optax.sgd(0.1), batch(), rng=jax.random.key(0), frozen="init"
    )
    _, output = jax.jit(jt.make_train_step(model, next_token(), optax.sgd(0.1)))(state, batch())
    assert not output["finite"]
    base, adapter = lora.add_lora(params(), config, rng=jax.random.key(1))
    state = state_of(model, config, optax.sgd(0.1), base, trained(adapter))
    _, output = jax.jit(jt.make_train_step(model, next_token(), optax.sgd(0.1)))(state, batch())
    assert output["finite"]


def test_what_a_step_takes_is_known_of_an_adapter():
    """A third of the products with kernels falls away: their gradients are not formed."""
    whole = MODEL.flops(batch(), "float32")
    config = LoRAConfig(rank=2, targets=("q", "down"))
    found = lora.model(MODEL, config).flops(batch(), "float32")
    inside, hidden = 2 * (16 + 16), 2 * (24 + 16)  # rank 2 of q, and of down
    assert found.weights == whole.weights * 2 // 3 + 3 * 6 * (inside + hidden)
    assert (found.attention, found.again) == (whole.attention, whole.again)
    assert lora.model(MODEL, config, form="merge").flops(batch(), "float32") == whole
    assert lora.model(from_linen(Net()), LoRAConfig(targets=("Dense_0",))).flops is None


def test_an_adapter_of_another_config_is_refused():
    model = lora.model(MODEL, LoRAConfig(rank=4))
    with pytest.raises(ConfigError, match=r"factors.*expected .*4.*found .*8"):
        state_of(model, LoRAConfig(rank=8), optax.sgd(0.1))


def test_from_nnx_has_no_low_rank_form(nnx_model):
    assert nnx_model.low_rank is None
