"""Where the parameters of a run come from, and which of them are trained."""

import shutil

import jax
import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.data import Dataset, Splits
from jaxtrain.errors import ConfigError
from jaxtrain.lora import Adapter
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from jaxtrain.run.data import train_loader
from jaxtrain.run.parameters import earlier_adapters
from jaxtrain.run.planning import refuse_what_train_refuses

TREE = {
    "data": {"name": "digits", "batch_size": 320},
    "model": {"name": "mlp", "hidden": [8]},
    "train": {"epochs": 1},
    "optimizer": {"learning_rate": 0.01},
    "hooks": {"progress": None, "console": None, "csv": None, "jsonl": None},
}


def task(**changes):
    return Task.of(RunData.of(make_config({**TREE, **changes})))


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    directory = tmp_path_factory.mktemp("begun") / "run"
    Experiment(task(), directory).train()
    return directory


def arrays(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options", [{}, {"dora": True}, {"init": "pissa"}])
def test_an_adapter_begins_on_the_parameters_of_another_run(begun, options):
    state = task(start=str(begun), lora={"rank": 2, **options}).initial_state()
    before = Trained.load(begun).state.params
    assert isinstance(state.params, Adapter)
    assert all(np.isfinite(leaf).all() for leaf in arrays(state.params))
    merged = lora.merge(state.frozen, state.params)
    for a, b in zip(arrays(merged), arrays(before), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    if not options:
        assert_same(merged, before)
        assert_same(state.frozen, before)


def test_only_the_adapter_is_trained_and_the_checkpoint_is_complete(begun, tmp_path):
    own = task(start=str(begun), lora={"rank": 2})
    experiment = Experiment(own, tmp_path / "run")
    experiment.train()
    found = Trained.load(tmp_path / "run")
    assert_same(found.state.frozen, Trained.load(begun).state.params)
    assert own.parameter_count() == sum(leaf.size for leaf in arrays(found.state.params))
    assert own.parameter_count() == 2 * (64 + 8) + 2 * (8 + 10)  # not the biases
    rows = found.sets()[0]["test"]
    merged = found.merged()
    from jaxtrain.run.building import base_model

    model = base_model(found.config, 10, found.learnt.batch())
    outputs, _ = model.apply({"params": merged}, {"inputs": rows.inputs[:8]}, train=False)
    beside, _ = found.model.apply(
        found.state.variables(), {"inputs": rows.inputs[:8]}, train=False, rngs={}
    )
    np.testing.assert_allclose(outputs, beside, atol=1e-5)
    assert not np.allclose(arrays(merged)[0], arrays(found.state.frozen)[0]) or not np.allclose(
        arrays(merged)[1], arrays(found.state.frozen)[1]
    )


@pytest.mark.parametrize("bits", ["int8", "int4", "nf4"])
def test_a_base_in_few_bits_is_trained_beside_kept_and_merged_as_floats(begun, tmp_path, bits):
    """The checkpoint has the few bits, and no floats of those kernels."""
    before = Trained.load(begun).state.params
    adapter = {"rank": 2, "targets": ["hidden_0"]}  # the other kernel has none, and is in few bits
    own = task(start=str(begun), lora={**adapter, "quantize": bits})
    assert own.facts()["base"].startswith(f"{bits}: kernels of ")
    first = own.initial_state()
    assert_same(first.frozen, lora.quantize(before, bits))
    # What is drawn is drawn for the base as it was.
    assert_same(first.params, task(start=str(begun), lora=adapter).initial_state().params)
    Experiment(own, tmp_path / "run").train()
    found = Trained.load(tmp_path / "run")
    assert_same(found.state.frozen, first.frozen)
    kernels = [leaf for leaf in jax.tree.leaves(found.state.frozen) if leaf.dtype.itemsize == 1]
    assert [str(leaf.dtype) for leaf in kernels] == [{"nf4": "uint4"}.get(bits, bits)] * len(
        kernels
    )
    assert kernels
    merged = found.merged()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), merged) == jax.tree.map(
        lambda x: (x.shape, x.dtype), before
    )
    assert_same(merged, lora.dequantize(lora.merge(found.state.frozen, found.state.params)))
    rows = {"inputs": found.sets()[0]["test"].inputs[:8]}
    outputs, _ = own.parameters.base.apply({"params": merged}, rows, train=False)
    beside, _ = found.model.apply(found.state.variables(), rows, train=False, rngs={})
    np.testing.assert_allclose(outputs, beside, atol=1e-4)


def test_without_files_the_base_is_a_function_of_the_seed():
    one, same, other = (task(lora={"rank": 2}, seed=seed).initial_state() for seed in (1, 1, 2))
    assert_same(one.frozen, same.frozen)
    assert_same(one.params, same.params)
    assert_same(one.frozen, task(seed=1).initial_state().params)
    assert not np.array_equal(arrays(one.frozen)[1], arrays(other.frozen)[1])
    assert not np.array_equal(arrays(one.params)[0], arrays(other.params)[0])


def test_a_plain_run_begins_with_another_ones_parameters(begun):
    state = task(start=str(begun)).initial_state()
    assert_same(state.params, Trained.load(begun).state.params)
    assert_same(state.opt_state, task().initial_state().opt_state)


def test_a_run_of_another_model_is_refused_by_name(begun):
    other = task(start=str(begun), model={"name": "mlp", "hidden": [9]})
    with pytest.raises(ConfigError, match=r"start\.path .*\n(.*\n)*.*hidden_0/kernel: expected"):
        other.initial_state()


@pytest.mark.parametrize("adapter", [{}, {"lora": {"rank": 2}}])
def test_a_plan_refuses_another_model_and_reads_no_array(begun, tmp_path, monkeypatch, adapter):
    def read(*_, **__):
        pytest.fail("was read")

    def planned(**model):
        own = task(start=str(begun), model={**TREE["model"], **model}, **adapter)
        monkeypatch.setattr("jaxtrain.run.trained.CheckpointStore.load", read)
        monkeypatch.setattr("jaxtrain.run.start.find_checkpoint", read)
        refuse_what_train_refuses(Experiment(own, tmp_path / "run", state=own.abstract_state()))

    planned()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"start\.path .*\n(.*\n)*.*hidden_0/kernel: expected"):
        planned(hidden=[9])
    # One that goes on has its own, and nobody asks what it began with.
    monkeypatch.undo()
    (tmp_path / "run" / "checkpoints" / "00000001").mkdir(parents=True)
    monkeypatch.setattr("jaxtrain.run.directory.RunDirectory.refuse_others", lambda *_: None)
    planned(hidden=[9])


def test_a_plan_asks_for_nothing_that_is_gone(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "first")
    own = task(start=str(tmp_path / "first"))
    shutil.rmtree(tmp_path / "first")
    own.parameters.refuse_others(own.abstract_state())
    with pytest.raises(ConfigError, match=r"start\.path"):
        own.initial_state()


def test_a_plan_compares_what_is_carried_beside_the_parameters(begun, monkeypatch):
    own = task(start=str(begun), model={**TREE["model"], "batch_norm": True})
    expected = own.abstract_state()
    monkeypatch.setattr("jaxtrain.run.parameters.form_of", lambda record: (expected.params, {}))
    with pytest.raises(ConfigError, match=r"batch_stats.*found none"):
        own.parameters.refuse_others(expected)


def test_nothing_is_read_for_a_plan(begun, monkeypatch):
    own = task(start=str(begun), lora={"rank": 2})
    monkeypatch.setattr(
        "jaxtrain.run.parameters.Trained.load", lambda path: pytest.fail("was read")
    )
    assert own.parameters.reads_files
    own.abstract_state()
    assert own.facts()["lora"].startswith("low_rank")


def test_how_much_room_earlier_adapters_need_is_asked_for(begun, tmp_path):
    first = task(start=str(begun), lora={"rank": 2})
    Experiment(first, tmp_path / "first").train()
    protect = {"rank": 3, "protect": {"orthogonal": 0.1}}
    with pytest.raises(ConfigError, match=r"lora\.protect\.earlier_rank: expected how many"):
        task(start=str(tmp_path / "first"), lora=protect)
    protect["protect"]["earlier_rank"] = 1
    with pytest.raises(ConfigError, match="have 2 ranks together, more than earlier_rank=1"):
        task(start=str(tmp_path / "first"), lora=protect).initial_state()
    protect["protect"]["earlier_rank"] = 2
    state = task(start=str(tmp_path / "first"), lora=protect).initial_state()
    before = Trained.load(tmp_path / "first").adapter().factors
    for path, earlier in state.frozen["earlier"].items():
        np.testing.assert_array_equal(earlier, before[path]["a"])


@pytest.mark.parametrize("adapter", [{}, {"lora": {"rank": 2}}])
def test_running_means_come_along_with_the_parameters(tmp_path, adapter):
    model = {"name": "mlp", "hidden": [8], "batch_norm": True}
    Experiment(task(model=model), tmp_path / "run").train()
    before = Trained.load(tmp_path / "run").state.model_state
    own = task(model=model, start=str(tmp_path / "run"), **adapter)
    assert_same(own.initial_state().model_state, before)
    assert not np.allclose(arrays(before)[0], arrays(own.fresh_state().model_state)[0])


def test_earlier_adapters_are_found_where_all_was_moved_together(begun, tmp_path):
    there = tmp_path / "there"
    shutil.copytree(begun, there / "begun")
    where = {"lora": {"rank": 2}, "workdir": str(there / "phases/one")}
    Experiment(task(start=str(there / "begun"), **where), there / "phases/one").train()
    there.rename(tmp_path / "here")
    start = make_config({**TREE, "start": str(tmp_path / "here/phases/one")}).start
    assert len(earlier_adapters(start)) == 1


def test_a_regression_of_several_columns_has_no_distribution_to_stay_near_to():
    inputs, targets = np.zeros((8, 3), np.float32), np.zeros((8, 2), np.float32)
    rows = Dataset(inputs, targets, task="regression", num_outputs=2)
    tree = {
        **TREE,
        "loss": {"name": "mean_squared_error"},
        "lora": {"rank": 1, "protect": {"previous_kl": 1.0}},
    }
    config, splits = make_config(tree), Splits(rows, None, rows)
    with pytest.raises(ConfigError, match=r"lora\.protect\.previous_kl: what predicts numbers"):
        Task.of(RunData(config, splits, train_loader(config, splits)))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"dora": True}])
def test_the_checks_pass_on_an_adapter(options):
    """One of its factors is 0, and with DoRA its gradient is not that of the function."""
    from jaxtrain.run.checks import run_checks

    config = make_config({**TREE, "model": {"name": "mlp"}, "lora": {"rank": 2, **options}})
    found = {finding.name: finding for finding in run_checks(RunData.of(config))}
    assert all(finding.ok for finding in found.values()), found
    assert ("gradient equals finite differences" in found) is not bool(options)


def test_a_base_that_has_learnt_nothing_is_told(begun, caplog):
    task(lora={"rank": 2}).initial_state()
    assert "the base has learnt nothing" in caplog.text
    caplog.clear()
    task(start=str(begun), lora={"rank": 2}).initial_state()
    assert caplog.text == ""


def test_the_next_phase_does_not_begin_where_the_last_one_did(begun, tmp_path):
    """One seed, one rank: on another base another a is drawn, and the same on the same one."""
    Experiment(task(start=str(begun), lora={"rank": 2}), tmp_path / "first").train()
    states = [
        task(start=str(start), lora={"rank": 2}).initial_state()
        for start in (begun, begun, tmp_path / "first")
    ]
    one, same, other = (state.params.factors["hidden_0/kernel"]["a"] for state in states)
    np.testing.assert_array_equal(one, same)
    assert not np.isin(np.asarray(other), np.asarray(one)).any()
