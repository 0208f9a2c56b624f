"""The language model's benchmark, in tiny sizes: what it compares does the same."""

from __future__ import annotations

import json
import math

import jax
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import lm
from benchmarks.language import attention, generation, loss, training
from benchmarks.language.rates import rows, summary
from benchmarks.language.settings import PROMPT
from benchmarks.language.shape import Shape
from benchmarks.language.with_jaxtrain import Training, Writing, write_weights
from benchmarks.processes import OwnProcess, ProcessFailed

SHAPE = Shape(vocabulary=64, width=16, layers=2, heads=2, kv_heads=1, length=8, batch=2)
SIZES = [
    *("--vocabulary", "64", "--width", "16", "--layers", "2", "--heads", "2", "--kv-heads", "1"),
    *("--length", "8", "--batch", "2", "--new", "4", "--rounds", "2", "--seconds", "0"),
    *("--vocabularies", "96"),
]


@pytest.fixture
def alone(monkeypatch, here):
    """No peers are installed, and all processes are this one."""
    for module in (lm, training, generation, loss, attention):
        monkeypatch.setattr(module, "OwnProcess", here)
    for module in (training, generation):
        monkeypatch.setattr(module, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model"
    write_weights(SHAPE, path, PROMPT + 8)
    return path


@pytest.mark.slow
def test_all_parts_without_peers(alone, tmp_path, capsys):
    path = tmp_path / "new" / "lm.json"
    assert command.main(["lm", *SIZES, "--out", str(path)]) == 0
    printed = capsys.readouterr().out
    text = path.read_text()
    assert str(tmp_path) not in text
    record = json.loads(text)
    assert record.keys() == {"train", "loss", "generate", "attention"}
    assert all(part["sizes"]["kv_heads"] == 1 for part in record.values())
    assert all(part["machine"]["versions"].keys() >= {"jax"} for part in record.values())

    train = record["train"]
    assert train["tokens"]["per_second"].keys() == {"jaxtrain", "jaxtrain, bare step"}
    assert len(train["tokens"]["per_second"]["jaxtrain"]["rounds"]) == 2
    assert train["left_out"].keys() == {"transformers, eager", "transformers, compiled"}
    assert train["first_losses"]["jaxtrain"] == pytest.approx(
        train["first_losses"]["jaxtrain, bare step"], abs=1e-5
    )
    assert "transformers, eager: left out, not installed: torch, transformers" in printed

    tasks = record["generate"]["tasks"]
    assert tasks.keys() == {
        f"{m}, {b}" for m in ("greedy", "top-p") for b in ("1 prompt", "2 prompts")
    }
    assert all(task["per_second"]["jaxtrain"]["clock"] > 0 for task in tasks.values())

    shapes = [each["shape"] for each in record["loss"]["shapes"]]
    assert shapes == [{"V": 64, "D": 16, "T": 16}, {"V": 96, "D": 16, "T": 16}]
    assert all(each["forms"].keys() == {"plain", "tile 16"} for each in record["loss"]["shapes"])
    lengths = record["attention"]["lengths"]
    assert list(lengths) == [
        f"L={length}, B={batch}{packed}"
        for length, batch in ((4, 4), (8, 2), (16, 1), (32, 1))
        for packed in ("", ", packed")
    ]
    assert lengths["L=8, B=2"]["milliseconds"].keys() == {"xla", "tiled"}
    assert "L=8, B=2: the rule takes tiled" in printed


def test_what_is_not_measured_keeps_its_place(alone, tmp_path, capsys):
    path = tmp_path / "lm.json"
    path.write_text(json.dumps({"train": "as it was"}))
    lm.main([*SIZES, "--parts", "loss", "--out", str(path)])
    assert json.loads(path.read_text())["train"] == "as it was"
    assert f"written: {path}" in capsys.readouterr().out
    lm.main([*SIZES, "--parts", "loss"])
    assert "written" not in capsys.readouterr().out


def test_ctrl_c_leaves_what_was_measured(alone, tmp_path, monkeypatch, capsys):
    def measure(*_, **__):
        yield {"some": "rounds"}
        raise KeyboardInterrupt

    monkeypatch.setattr(loss, "measure", measure)
    path = tmp_path / "lm.json"
    assert command.main(["lm", "--parts", "loss", "--out", str(path)]) == 130
    assert json.loads(path.read_text())["loss"]["some"] == "rounds"
    assert capsys.readouterr().out.splitlines()[-1] == "stopped"


def test_unknown_parts_and_sizes_that_do_not_fit_are_told_at_once(capsys):
    with pytest.raises(SystemExit):
        lm.main(["--parts", "train,lose"])
    assert "unknown: lose (known: train, loss, generate, attention)" in capsys.readouterr().err
    with pytest.raises(Exception, match="kv_heads: expected a divisor of heads=6, found 4"):
        lm.main(["--kv-heads", "4"])


# -- training ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_frameworks_do_the_same(weights):
    """In real processes; that of torch.compile may be left out, where there is no compiler."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    (found,) = training.measure(SHAPE, weights, rounds=1, seconds=0)
    compared = found["first_losses"].keys()
    assert compared | found["left_out"].keys() == set(training.FRAMEWORKS)
    assert compared >= {"jaxtrain", "jaxtrain, bare step", "transformers, eager"}
    assert found["largest_difference"]["is"] < 1e-4
    losses = found["first_losses"]["jaxtrain"]
    assert max(losses) - min(losses) > 0.01  # another text or a step that does nothing would show
    assert found["settings"]["transformers, eager"].keys() == {"threads", "optimizer"}
    assert found["tokens"]["faster_peer"].startswith("transformers")
    ratios = found["tokens"]["times_as_fast"]["jaxtrain"]
    assert all(ratio["clock"] > 0 for ratio in ratios.values())
    assert "×" in "\n".join(training.table(found))


class Peer:
    """A framework with given losses, whose rounds are counted."""

    rounds = 0

    def __init__(self, losses):
        self._losses = losses

    def first_losses(self, number):
        if isinstance(self._losses, Exception):
            raise self._losses
        return self._losses[:number]

    def settle(self):
        return {"threads": 1}

    def round(self, steps):
        Peer.rounds += 1
        return {"clock": float(steps), "processor": 1.0}


def peers(monkeypatch, here, **losses):
    named = {name.replace("_", ", "): each for name, each in losses.items()}
    monkeypatch.setattr(training, "FRAMEWORKS", named)
    monkeypatch.setattr(training, "OwnProcess", here)
    monkeypatch.setattr(training, "find_spec", lambda name: True)
    monkeypatch.setattr(training, "training", lambda name, shape, weights: Peer(named[name]))
    monkeypatch.setattr(Peer, "rounds", 0)
    return training.measure(SHAPE, "nowhere", rounds=1, seconds=0)


@pytest.mark.parametrize("other", [1.5, math.nan])
def test_nothing_is_timed_where_losses_differ(monkeypatch, here, other):
    measured = peers(
        monkeypatch, here, jaxtrain=[2.0] * 5, transformers_eager=[2.0, other, 2.0, 2.0, 2.0]
    )
    with pytest.raises(SystemExit, match="the first losses differ by"):
        list(measured)
    assert Peer.rounds == 0


def test_a_compiler_that_is_not_there_is_said(monkeypatch, here):
    absent = ProcessFailed("a traceback", "InductorError: no C++ compiler")
    (found,) = peers(monkeypatch, here, jaxtrain=[2.0] * 5, transformers_compiled=absent)
    assert found["left_out"] == {"transformers, compiled": "InductorError: no C++ compiler"}
    assert found["tokens"]["faster_peer"] is None
    with pytest.raises(ProcessFailed):
        list(peers(monkeypatch, here, jaxtrain=[2.0] * 5, transformers_eager=absent))


@pytest.mark.slow
def test_a_round_of_the_engine_trains_as_the_bare_step_does(weights):
    engine, bare = Training(SHAPE, True, weights), Training(SHAPE, False, weights)
    assert engine.first_losses(3) == pytest.approx(bare.first_losses(3), abs=1e-5)
    for one in (engine, bare):
        assert one.round(3)["clock"] > 0
        assert one.round(2)["processor"] > 0
    states = engine._run._engine.state.train_state, bare._run._state
    assert [int(state.step) for state in states] == [8, 8]


def test_texts_are_drawn_again_as_they_were():
    one, again, other = SHAPE.text(0), SHAPE.text(0), SHAPE.text(1)
    assert np.array_equal(one["labels"], again["labels"])
    assert not np.array_equal(one["labels"], other["labels"])
    assert np.array_equal(one["inputs"][:, 1:], one["labels"][:, :-1])
    assert one["inputs"].shape == (2, 8)
    assert 0 <= one["inputs"].min() <= one["inputs"].max() < 64


# -- writing -------------------------------------------------------------------------------------


def test_a_round_of_writing_counts_all_new_tokens(weights, monkeypatch):
    writing = generation.Writing("jaxtrain", SHAPE.vocabulary, weights)
    counted = []
    monkeypatch.setattr(
        generation.Stopwatch, "rates", lambda self, count: counted.append(count) or {}
    )
    writing.round(3, 4, "top-p")
    assert counted == [12]


@pytest.mark.slow
def test_frameworks_write_the_same(weights):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    prompts = np.random.default_rng(0).integers(1, SHAPE.vocabulary, (2, 5))
    ours = Writing.of(weights).write(prompts, 8, "greedy")
    with OwnProcess("transformers") as process:
        process.make(writing_of_transformers, weights)
        theirs = process.ask("write", prompts, 8, "greedy")
        drawn = process.ask("write", prompts, 8, "top-p")
    assert np.array_equal(ours, theirs)
    assert drawn.shape == (2, 8)


def writing_of_transformers(path):
    from benchmarks.language import with_transformers

    return with_transformers.Writing.of(path)


# -- figures -------------------------------------------------------------------------------------


def test_ratios_are_over_the_fastest_of_the_others():
    def rates(*clocks):
        return [{"clock": clock, "processor": 2 * clock} for clock in clocks]

    found = summary({"jaxtrain": rates(8, 9, 40), "slow": rates(1, 1, 1), "fast": rates(2, 3, 20)})
    assert found["faster_peer"] == "fast"
    assert found["per_second"]["jaxtrain"]["clock"] == 9
    # 4, 3 and 2: the ratio of the medians would be 3, too, the median of the rounds' says so.
    assert found["times_as_fast"]["jaxtrain"]["fast"] == {"clock": 3.0, "processor": 3.0}
    lines = rows(found)
    assert "(3.00×, 3.00×)" in lines[0]
    assert "×" not in lines[1] + lines[2]


def test_a_loss_that_is_nan_differs_most():
    found = training.largest_difference({"a": [1.0, 2.0], "b": [math.nan, 2.5]})
    assert math.isnan(found["is"])
    assert training.largest_difference({"a": [1.0]})["between"] is None


def test_the_forms_of_the_loss_are_measured_and_agree():
    found = loss.forms(["plain", 16, 32], (256, 8, 96), "float32", 1)
    assert found.keys() == {"plain", "tile 16", "tile 32"}
    assert 0 < found["tile 16"]["temporary_bytes"] < found["tile 32"]["temporary_bytes"]
    assert found["tile 16"]["seconds"] > 0
    keys = jax.random.split(jax.random.key(0), 3)
    hidden = jax.random.normal(keys[0], (12, 4))
    head = jax.random.normal(keys[1], (4, 11))
    labels = jax.random.randint(keys[2], (12,), 0, 11)
    expected = loss.plain(hidden, head, labels)
    for one, other in zip(loss.token_losses(hidden, head, labels), expected, strict=True):
        assert [*map(float, one)] == pytest.approx([*map(float, other)], rel=1e-5)


def test_a_form_of_attention_that_does_not_fit_is_said(monkeypatch):
    def attention_(q, *_, implementation, **__):
        if implementation == "xla":
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return q

    monkeypatch.setattr(attention, "attention", attention_)
    _, sizes = attention.of_length(SHAPE, 4)
    found = attention.forms(sizes, "float32", False, 0.0)
    assert found["too_large"] == ["xla"]
    assert found["milliseconds"].keys() == {"tiled"}
    assert found["milliseconds"]["tiled"]["calls"] == 3
    assert found["fastest"] == "tiled"
