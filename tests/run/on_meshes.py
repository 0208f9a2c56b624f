"""Runs from configs on eight devices, for `test_mesh.py`; what was found as JSON."""

import json
from pathlib import Path
from unittest import mock

import jax
import numpy as np

from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError
from jaxtrain.models import decoder_files, hf
from jaxtrain.models.decoder import DecoderConfig
from jaxtrain.models.decoder.initial import initial_params
from jaxtrain.parallel import Layout, collectives_of
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from tests.processes import ROOT

MLP = [str(ROOT / "configs/digits.py")]
DECODER = [
    str(ROOT / "configs/char_lm.py"),
    "data.length=32",
    "data.batch_size=16",
    "model.layers=2",
    "model.width=64",
    "model.heads=4",
    "model.max_length=32",
    "model.tied=false",
    "train.accumulate=2",
    "optimizer.clip_norm=1.0",
]
MESHES = {
    "alone": [],
    "data": ["mesh.data=8"],
    "fsdp": ["mesh.data=2", "mesh.fsdp=4"],
    "tensor": ["mesh.data=2", "mesh.fsdp=2", "mesh.tensor=2"],
}
STEPS = 6


def task_of(words, mesh):
    config, *rest = words
    return Task.of(RunData.of(make_config(config, [*rest, *MESHES[mesh]])))


def where(state):
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            "whole" if leaf.sharding.is_fully_replicated else str(tuple(leaf.sharding.spec))
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def of_tasks():
    found = {}
    for name, words in {"mlp": MLP, "decoder": DECODER}.items():
        for mesh in MESHES:
            if name == "mlp" and mesh == "tensor":
                continue
            task = task_of(words, mesh)
            forms = {}
            for form in ("single", "fused") if mesh in ("alone", "fsdp") else ("single",):
                engine = Engine(task.train_step, task.initial_state(), form=form)
                before = where(engine.state.train_state) if mesh != "alone" else {}
                run = engine.run(task.loader, max_iters=STEPS)
                after = where(run.train_state) if mesh != "alone" else {}
                assert before == after
                forms[form] = float(np.asarray(run.output["loss"]))
            found[f"{name} {mesh}"] = forms
            if mesh != "alone":
                abstract = where(task.abstract_state())
                assert abstract == after
                found[f"{name} {mesh} places"] = sorted({*after.values()})
            if name == "decoder" and mesh == "fsdp":
                compiled = Engine(task.train_step, task.initial_state(), form="single").compiled(
                    task.loader
                )
                found["gathered"] = sum(
                    one.count for one in collectives_of(compiled) if one.kind == "all-gather"
                )
    return found


def of_runs(directory):
    """A run that goes on with another mesh, and one that does not."""
    figures = []
    for epochs, mesh, workdir in ((1, "data", "a"), (2, "fsdp", "a"), (2, "alone", "b")):
        words = [f"train.epochs={epochs}", *MESHES[mesh], f"workdir={directory}/{workdir}"]
        config = make_config(MLP[0], [*MLP[1:], *words])
        figures.append(Experiment.of(config).train())
    return figures


def of_files(directory):
    """Parameters that are read from files begin where they are to lie."""
    sizes = DecoderConfig.llama(vocab_size=512, width=64, layers=2, heads=4, max_length=32)
    params = initial_params(jax.random.key(7), sizes)
    hf.save(f"{directory}/weights", sizes, params)
    words = [*DECODER[1:], f"model.weights={directory}/weights"]
    config = make_config(DECODER[0], [*words, *MESHES["fsdp"]])
    task = Task.of(RunData.of(config))
    with mock.patch.object(decoder_files, "load", wraps=decoder_files.load) as load:
        state = task.initial_state()
    assert [each.kwargs["sharding"] is not None for each in load.call_args_list] == [True]
    assert where(state) == where(task.abstract_state())
    for (path, found), wanted in zip(
        jax.tree_util.tree_leaves_with_path(state.params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_array_equal(found, wanted, err_msg=str(path))
    shards = {shard.data.shape for shard in state.params["head"]["kernel"].addressable_shards}
    for bits in ("null", "int8"):
        adapted = make_config(
            DECODER[0], [*words, *MESHES["fsdp"], "lora.rank=2", f"lora.quantize={bits}"]
        )
        task = Task.of(RunData.of(adapted))
        with mock.patch.object(decoder_files, "load", wraps=decoder_files.load) as load:
            state = task.initial_state()
        assert [each.kwargs["sharding"] is not None for each in load.call_args_list] == [True]
        assert where(state) == where(task.abstract_state()), bits
    return sorted(shards)


def of_starts(directory):
    """Another run's parameters, and a base that is drawn: no device has all of them."""
    begun = [*MLP[1:], *MESHES["fsdp"], f"start.path={directory}/a"]
    task = Task.of(RunData.of(make_config(MLP[0], begun)))
    with mock.patch.object(Trained, "load", wraps=Trained.load) as load:
        state = task.initial_state()
    (mesh,) = {each.kwargs["layout"].mesh for each in load.call_args_list}
    assert where(state) == where(task.abstract_state())
    best = Trained.load(f"{directory}/a").merged()
    for found, wanted in zip(jax.tree.leaves(state.params), jax.tree.leaves(best), strict=True):
        np.testing.assert_array_equal(found, wanted)
    task = Task.of(RunData.of(make_config(MLP[0], [*MLP[1:], *MESHES["fsdp"], "lora.rank=2"])))
    with mock.patch.object(Layout, "create", autospec=True, side_effect=Layout.create) as create:
        state = task.initial_state()
    assert create.call_count == 2  # the base, and what is trained beside it
    assert where(state) == where(task.abstract_state())
    return dict(mesh.shape)


def of_shards(directory):
    """A run with virtual shards that goes on elsewhere has the bits of one that did not."""
    rows = []
    for epochs, mesh, workdir in ((1, "data", "c"), (2, "alone", "c"), (2, "alone", "d")):
        words = [f"train.epochs={epochs}", *MESHES[mesh], f"workdir={directory}/{workdir}"]
        words += ["train.virtual_shards=8", "optimizer.clip_norm=0.5", "train.accumulate=2"]
        Experiment.of(make_config(MLP[0], [*MLP[1:], *words])).train()
        rows.append(Path(f"{directory}/{workdir}/metrics.jsonl").read_text())
    states = [Trained.load(f"{directory}/{name}").state.params for name in "cd"]
    for found, wanted in zip(*map(jax.tree.leaves, states), strict=True):
        assert np.asarray(found).tobytes() == np.asarray(wanted).tobytes()
    return rows[1] == rows[2], len(rows[1].splitlines())


def refusals():
    said = []
    for words in (
        ["mesh.data=3"],
        ["mesh.data=4", "mesh.tensor=2"],
        ["mesh.data=8", "data.batch_size=36"],
        ["mesh.data=8", "train.accumulate=8"],
        ["mesh.data=8", "data.eval_batch_size=30"],
    ):
        try:
            Task.of(RunData.of(make_config(MLP[0], words)))
        except ConfigError as error:
            said.append(str(error))
    return said


def main(port, number, count, directory):
    schedule = ["schedule.name=constant"]  # a run may then get longer
    MLP.extend(schedule)
    found = {"tasks": of_tasks(), "runs": of_runs(directory), "refused": refusals()}
    found["files"] = of_files(directory)
    found["starts"] = of_starts(directory)
    found["shards"] = of_shards(directory)
    print(json.dumps(found), flush=True)
