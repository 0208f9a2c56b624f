from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

import jaxtrain as jt
from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, Protection
from jaxtrain.lora.overlap import overlap
from jaxtrain.models.low_rank import dense
from jaxtrain.models.model import Model
from jaxtrain.step import cross_entropy, next_token
from tests.lora.small import MODEL, adapter, same_bits, trained
from tests.lora.small import batch as tokens
from tests.lora.small import params as decoder_params

ALL = Protection(orthogonal=0.3, previous_kl=0.7, project=0.4)
CONFIG = LoRAConfig(rank=2, alpha=3)
FORMS = ["merge", "low_rank"]


def net():
    """[B, 6] to [B, 4]; both kernels may have an adapter beside them."""

    def init(rng, batch):
        return {"params": params()}

    def apply(variables, batch, *, train, rngs=None):
        own = variables["params"]
        hidden = jnp.tanh(dense(batch["inputs"], own["up"]["kernel"]))
        return dense(hidden, own["down"]["kernel"]), {}

    taken = frozenset({"up/kernel", "down/kernel"})
    return Model(init, apply, low_rank=lambda variables, batch: taken)


NET = net()


def draw(*shape, seed=0):
    made = np.random.default_rng(sum(shape) + 100 * seed).normal(size=shape)
    return jnp.asarray(made, jnp.float32)


def params():
    return {"up": {"kernel": draw(6, 5)}, "down": {"kernel": draw(5, 4)}}


def batch(rows=8):
    mask = jnp.asarray(np.arange(rows) % 5 != 2, jnp.float32)
    return {
        "inputs": draw(rows, 6, seed=1),
        "labels": jnp.arange(rows) % 4,
        "row_mask": mask,
    }


@functools.cache
def factors(seed=None, config=CONFIG):
    """A fresh adapter, or one that was trained."""
    fresh = lora.init(jax.random.key(9), params(), config)
    return fresh if seed is None else trained(fresh, seed)


def state_of(model, protection, tx, given=None, earlier=None, base=None):
    base = params() if base is None else base
    given = factors() if given is None else given
    earlier = [factors(5), factors(6)] if earlier is None else earlier
    frozen = lora.frozen_for(base, given.config, protection, earlier=earlier)
    return jt.create_train_state(
        model, tx, batch(), rng=jax.random.key(0), params=given, frozen=frozen
    )


def after(protection, steps, form="low_rank", given=None, tx=None, rate=0.1, **options):
    """A state behind some steps, and what the last one said."""
    model, tx = lora.model(NET, CONFIG, form=form, protection=protection), tx or optax.sgd(rate)
    step = jax.jit(jt.make_train_step(model, cross_entropy(), tx, **options))
    state = state_of(model, protection, tx, given)
    for _ in range(steps):
        state, output = step(state, batch())
    return state, output


def by_hand(protection, given, earlier):
    """The loss and its terms, in numpy and float64."""
    base = {path: np.float64(params()[path]["kernel"]) for path in ("up", "down")}
    new, overlap = {}, 0.0
    for name, kernel in base.items():
        a, b = (np.float64(given.factors[f"{name}/kernel"][key]) for key in "ab")
        if protection.project:
            u, values, v = np.linalg.svd(kernel, full_matrices=False)
            count = max(1, int(protection.project * len(values)))
            a = a - u[:, :count] @ u[:, :count].T @ a
            b = b - b @ v[:count].T @ v[:count]
        new[name] = kernel + 1.5 * a @ b
        for one in earlier:
            overlap += ((np.float64(one.factors[f"{name}/kernel"]["a"]).T @ a) ** 2).sum()

    def log_p(kernels):
        logits = np.tanh(np.float64(batch()["inputs"]) @ kernels["up"]) @ kernels["down"]
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    weights = np.float64(batch()["row_mask"])
    was, now = log_p(base), log_p(new)
    nll = -now[np.arange(8), np.arange(8) % 4]
    kl = (np.exp(was) * (was - now)).sum(-1)
    nll, kl = ((x * weights).sum() / weights.sum() for x in (nll, kl))
    total = nll + protection.orthogonal * overlap + protection.previous_kl * kl
    return total, overlap, kl


# -- what is minimised --------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "protection",
    [
        Protection(orthogonal=0.3),
        Protection(previous_kl=0.7),
        Protection(project=0.4),
        ALL,
    ],
)
def test_the_loss_is_as_by_hand(form, protection):
    total, overlap, kl = by_hand(protection, factors(1), [factors(5), factors(6)])
    _, output = after(protection, 1, form, factors(1))
    np.testing.assert_allclose(output["loss"], total, rtol=1e-4)
    expected = {"orthogonal": overlap, "previous_kl": kl}
    expected = {name: value for name, value in expected.items() if name in protection.active}
    found = output.get("sown", {}).get("protection", {})
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value > 0.01
        np.testing.assert_allclose(found[name], value, rtol=1e-3)


def minimised(form, protection):
    """The loss as a function of the adapter."""
    model = lora.model(NET, CONFIG, form=form, protection=protection)
    frozen = lora.frozen_for(params(), CONFIG, protection, earlier=[factors(5)])

    @jax.jit
    def value(given):
        outputs, updated = model.apply({"params": given, "frozen": frozen}, batch(), train=True)
        total, weight = cross_entropy()(outputs, batch())
        return total / weight + sum(jax.tree.leaves(updated["losses"]))

    return value


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_differences(form):
    check_grads(minimised(form, ALL), (factors(1),), 1, modes=["rev"], rtol=2e-2, eps=1e-2)


def test_both_forms_have_the_same_gradients():
    one, other = (jax.grad(minimised(form, ALL))(factors(1)) for form in FORMS)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.any()
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_fresh_adapter_is_where_the_phase_before_was(form):
    protection = Protection(previous_kl=5.0)
    plain, protected = (after(p, 1, form)[1] for p in (None, protection))
    assert abs(protected["sown"]["protection"]["previous_kl"]) < 1e-6
    np.testing.assert_allclose(plain["loss"], protected["loss"], rtol=1e-5)
    np.testing.assert_allclose(plain["grad_norm"], protected["grad_norm"], rtol=1e-4)


def test_evaluation_has_no_terms():
    model = lora.model(NET, CONFIG, protection=ALL)
    state = state_of(model, ALL, optax.sgd(0.1), factors(1))
    _, output = jax.jit(jt.make_eval_step(model, cross_entropy()))(state, batch())
    assert "sown" not in output
    merged = lora.merge(params(), lora.adapter_of(state))
    outputs, _ = NET.apply({"params": merged}, batch(), train=False)
    total, weight = cross_entropy()(outputs, batch())
    np.testing.assert_allclose(output["loss"], total / weight, rtol=1e-4)
    raw, _ = NET.apply({"params": lora.merge(params(), factors(1))}, batch(), train=False)
    assert np.abs(raw - outputs).max() > 0.1


def test_what_the_base_sows_is_kept():
    def apply(variables, batch, *, train, rngs=None):
        outputs, _ = NET.apply(variables, batch, train=train)
        return outputs, {"losses": {"own": jnp.float32(10)}}

    sowing = Model(NET.init, apply, low_rank=NET.low_rank)
    model = lora.model(sowing, CONFIG, protection=ALL)
    state = state_of(model, ALL, optax.sgd(0.1), factors(1))
    _, output = jax.jit(jt.make_train_step(model, cross_entropy(), optax.sgd(0.1)))(state, batch())
    expected = by_hand(ALL, factors(1), [factors(5), factors(6)])[0]
    np.testing.assert_allclose(output["loss"], 10 + expected, rtol=1e-4)


# -- in a run -----------------------------------------------------------------------------------


def test_accumulated_steps_agree():
    """The micro-batches have one row or two that count."""
    whole, parts = (after(ALL, 3, given=factors(1), rate=0.02, accumulate=n) for n in (1, 4))
    assert {float(batch()["row_mask"][i : i + 2].sum()) for i in (0, 2, 4, 6)} == {1, 2}
    for a, b in zip(
        jax.tree.leaves(whole[0].params), jax.tree.leaves(parts[0].params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(whole[1]["loss"], parts[1]["loss"], rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_is_near(form):
    narrow, wide = (
        after(ALL, 1, form, factors(1), precision=p)[1] for p in ("bfloat16", "float32")
    )
    assert bool(narrow["finite"])
    np.testing.assert_allclose(narrow["loss"], wide["loss"], rtol=0.03)
    for name in ("orthogonal", "previous_kl"):
        one, other = (x["sown"]["protection"][name] for x in (narrow, wide))
        np.testing.assert_allclose(one, other, rtol=0.1)
    assert narrow["sown"]["protection"]["orthogonal"].dtype == jnp.float32


def test_steps_in_one_dispatch_agree():
    data = {name: np.tile(value, (4,) + (1,) * (value.ndim - 1)) for name, value in batch().items()}
    del data["row_mask"]
    model, tx = lora.model(NET, CONFIG, protection=ALL), optax.adam(1e-2)
    step = jt.make_train_step(model, cross_entropy(), tx)
    loader = jt.ArrayLoader(data, batch_size=8, shuffle=False)
    trainer = jt.Engine(step, state_of(model, ALL, tx))
    trainer.run(loader, max_epochs=2)
    state, compiled = state_of(model, ALL, tx), jax.jit(step)
    for _ in range(2):
        for each in loader:
            state, _ = compiled(state, each)
    ends = trainer.state.train_state.params, state.params
    for a, b in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_nothing_that_is_frozen_is_a_constant_of_the_program():
    model, tx = lora.model(NET, CONFIG, protection=ALL), optax.sgd(0.1)
    state = state_of(model, ALL, tx)
    step = jt.make_train_step(model, cross_entropy(), tx)
    held = jax.make_jaxpr(step)(state, batch()).consts
    shapes = {x.shape for x in jax.tree.leaves(state.frozen)}
    assert not [x for x in held if jnp.shape(x) in shapes]


def places(tree):
    return [x.unsafe_buffer_pointer() for x in jax.tree.leaves(tree)]


def test_a_run_stopped_and_continued_comes_to_the_same_bits(tmp_path):
    data = {k: v for k, v in batch(16).items() if k != "row_mask"}
    loader = jt.ArrayLoader(data, batch_size=8)
    model, tx = lora.model(NET, CONFIG, protection=ALL), optax.adam(1e-2)

    base = params()

    def engine(directory):
        state = state_of(model, ALL, tx, base=base)
        trainer = jt.Engine(jt.make_train_step(model, cross_entropy(), tx), state)
        store = jt.CheckpointStore(tmp_path / directory)
        trainer.attach(jt.hooks.Checkpoint(store, loader))
        return trainer, store

    whole, store = engine("whole")
    whole.run(loader, max_epochs=3)
    store.close()
    short, store = engine("short")
    short.run(loader, max_epochs=1)
    store.close()
    again, store = engine("short")
    jt.hooks.resume(again, store.latest(), store)
    again.run(loader, max_epochs=3)
    store.close()
    one, other = (x.state.train_state for x in (whole, again))
    assert places(one.frozen["base"]) == places(base)
    assert same_bits((one.params, one.frozen), (other.params, other.frozen))
    assert jax.tree.structure(one) == jax.tree.structure(other)


# -- what it does -------------------------------------------------------------------------------


def overlap_of(state):
    earlier = lora.frozen_for(
        params(), CONFIG, Protection(orthogonal=1.0), earlier=[factors(5), factors(6)]
    )
    return float(overlap(lora.adapter_of(state), earlier["earlier"]))


def test_orthogonality_falls_in_training():
    before = overlap_of(state_of(lora.model(NET, CONFIG), None, optax.sgd(0.1)))
    plain, _ = after(None, 100, tx=optax.adam(1e-2))
    protected, _ = after(Protection(orthogonal=1.0), 100, tx=optax.adam(1e-2))
    assert overlap_of(protected) < 0.1 * before
    assert overlap_of(plain) > 0.5 * before


def test_predictions_stay_nearer():
    far, near = (
        by_hand(Protection(), after(p, 60, tx=optax.adam(2e-2))[0].params, [])[2]
        for p in (None, Protection(previous_kl=3.0))
    )
    assert 0 < near < 0.5 * far


@pytest.mark.parametrize("form", FORMS)
def test_the_update_keeps_off_the_largest_directions(form):
    protection = Protection(project=0.5)
    state, _ = after(protection, 20, form, tx=optax.adam(1e-2))
    held, given = state.frozen["directions"], lora.adapter_of(state)
    merged = lora.merge(params(), given)
    for name in ("up", "down"):
        update = np.asarray(merged[name]["kernel"] - params()[name]["kernel"])
        assert np.abs(update).max() > 0.01
        assert np.abs(held.u[f"{name}/kernel"].T @ update).max() < 1e-5
        assert np.abs(update @ held.v[f"{name}/kernel"].T).max() < 1e-5
    # The check can fail: what is trained is not what acts.
    raw = lora.merge(params(), state.params)["up"]["kernel"] - params()["up"]["kernel"]
    assert np.abs(held.u["up/kernel"].T @ raw).max() > 1e-3


# -- a decoder ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_decoder_whose_layers_are_a_loop(form):
    given, base = adapter(), decoder_params()
    config, earlier = given.config, [adapter(7), adapter(8, **{"targets": "all-linear"} | PLAIN)]
    model = lora.model(MODEL, config, form=form, protection=ALL)
    frozen = lora.frozen_for(base, config, ALL, earlier=earlier)
    masked = tokens() | {"mask": jnp.asarray(np.arange(12).reshape(2, 6) % 3 > 0, jnp.float32)}
    tx = optax.sgd(0.01)
    state = jt.create_train_state(
        model, tx, tokens(), rng=jax.random.key(0), params=given, frozen=frozen
    )
    acting = lora.adapter_of(state)
    step = jax.jit(jt.make_train_step(model, next_token(), tx))
    after, output = step(state, masked)
    assert bool(output["finite"])

    def log_p(params):
        outputs, _ = MODEL.apply({"params": params}, {"inputs": masked["inputs"]}, train=False)
        return np.float64(jax.nn.log_softmax(outputs["logits"]))

    was, now = log_p(base), log_p(lora.merge(base, acting))
    weights = np.float64(masked["mask"])
    nll = -np.take_along_axis(now, np.asarray(masked["labels"])[..., None], -1)[..., 0]
    kl = (np.exp(was) * (was - now)).sum(-1)
    nll, kl = ((x * weights).sum() / weights.sum() for x in (nll, kl))
    before = [{m.name: np.float64(m.a) for m in one.modules()} for one in earlier]
    overlap = sum(
        ((one[m.name].T @ np.float64(m.a)) ** 2).sum()
        for one in before
        for m in acting.modules()
        if m.name in one
    )
    said = output["sown"]["protection"]
    np.testing.assert_allclose(said["previous_kl"], kl, rtol=2e-3)
    np.testing.assert_allclose(said["orthogonal"], overlap, rtol=1e-3)
    np.testing.assert_allclose(output["loss"], nll + 0.3 * overlap + 0.7 * kl, rtol=1e-3)
    # Layers without an adapter stay without one.
    for target in after.params.targets:
        moved = after.params.factors[target.path]
        assert not moved["a"][1].any()
        assert moved["a"][0].any()


PLAIN = {"rank_pattern": (), "alpha_pattern": ()}


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"orthogonal": -1}, r"protection\.orthogonal: expected at least 0, found -1"),
        ({"previous_kl": float("nan")}, r"protection\.previous_kl: expected at least 0"),
        ({"orthogonal": float("inf")}, r"protection\.orthogonal"),
        ({"project": "much"}, r"protection\.project: expected a number, found 'much'"),
        ({"project": True}, r"protection\.project: expected a number, found True"),
        ({"project": 1}, r"protection\.project: expected less than 1, found 1\.0"),
    ],
)
def test_options_that_are_none(options, said):
    with pytest.raises(ConfigError, match=said):
        Protection(**options)


@pytest.mark.parametrize(
    ("options", "protection", "said"),
    [
        ({"dora": True}, {"project": 0.5}, r"project: with DoRA magnitudes"),
        ({"init": "pissa"}, {"project": 0.5}, r'project: with init="pissa" the base lacks'),
        ({"init": "pissa"}, {"previous_kl": 1}, r'previous_kl: with init="pissa"'),
    ],
)
def test_adapters_that_a_protection_does_not_protect_from(options, protection, said):
    config, protection = LoRAConfig(**options), Protection(**protection)
    with pytest.raises(ConfigError, match=said):
        lora.model(NET, config, protection=protection)
    with pytest.raises(ConfigError, match=said):
        lora.frozen_for(params(), config, protection)
    lora.model(NET, LoRAConfig(dora=True), protection=Protection(orthogonal=1, previous_kl=1))
    lora.model(NET, LoRAConfig(init="pissa"), protection=Protection(orthogonal=1))


def test_what_is_frozen():
    base = params()
    for protection in (None, Protection()):
        assert lora.frozen_for(base, CONFIG, protection, earlier=[factors(5)]) is base
    made = lora.frozen_for(base, CONFIG, ALL, earlier=[factors(5)])
    assert made.keys() == {"base", "earlier", "directions"} == ALL.parts
    assert made["base"] is base
    assert {path: x.shape for path, x in made["earlier"].items()} == {
        "down/kernel": (5, 2),
        "up/kernel": (6, 2),
    }
    first = lora.frozen_for(base, CONFIG, Protection(orthogonal=1))
    assert first == {"base": base, "earlier": {}}
    assert lora.frozen_for(base, CONFIG, Protection(previous_kl=1)) == {"base": base}


def test_a_first_phase_has_nothing_to_be_orthogonal_to():
    protection = Protection(orthogonal=1.0)
    model, tx = lora.model(NET, CONFIG, protection=protection), optax.sgd(0.1)
    state = state_of(model, protection, tx, factors(1), earlier=[])
    _, output = jax.jit(jt.make_train_step(model, cross_entropy(), tx))(state, batch())
    assert output["sown"]["protection"]["orthogonal"] == 0
    np.testing.assert_allclose(output["loss"], by_hand(Protection(), factors(1), [])[0], rtol=1e-5)


def test_a_model_makes_what_is_frozen_where_it_can():
    def made(protection):
        model = lora.model(NET, CONFIG, protection=protection)
        return jax.eval_shape(model.init, jax.random.key(0), batch())

    assert made(None)["frozen"].keys() == {"up", "down"}
    assert made(Protection())["frozen"].keys() == {"up", "down"}
    assert made(Protection(previous_kl=1))["frozen"].keys() == {"base"}
    assert "frozen" not in made(Protection(orthogonal=1))
    assert "frozen" not in made(ALL)


def test_what_was_frozen_for_other_protections():
    model = lora.model(NET, CONFIG, protection=ALL)
    for frozen in (params(), lora.frozen_for(params(), CONFIG, Protection(project=0.5))):
        with pytest.raises(
            ConfigError, match=r"a dict of base, directions, earlier, found .*make it"
        ):
            model.apply({"params": factors(), "frozen": frozen}, batch(), train=False)
    with pytest.raises(ConfigError, match="there is no base"):
        model.apply({"params": factors()}, batch(), train=False)


def test_the_adapter_of_a_state():
    plain = state_of(lora.model(NET, CONFIG), None, optax.sgd(0.1), factors(1))
    assert lora.adapter_of(plain) is plain.params
    with pytest.raises(ConfigError, match="expected a state that trains an Adapter, found a dict"):
        lora.adapter_of(plain.replace(params=params()))


def test_it_is_told():
    model = lora.model(NET, CONFIG, protection=ALL)
    said = model.facts(batch(), jnp.float32)
    assert said["protection"] == "orthogonal 0.3, previous_kl 0.7, project 0.4"
    assert "protection" not in lora.model(NET, CONFIG).facts(batch(), jnp.float32)
