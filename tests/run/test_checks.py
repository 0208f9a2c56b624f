"""The checks pass on what is right and fail on what is wrong."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxtrain import lora
from jaxtrain.data import SOURCES, Dataset, Splits, TargetScale
from jaxtrain.main import main
from jaxtrain.models import Model, from_linen
from jaxtrain.optim import learning_rate
from jaxtrain.run.checks import (
    check_gradient_numerically,
    check_gradients_reach,
    check_overfits,
    check_repeats,
    run_checks,
    small_batch,
)
from jaxtrain.run.data import RunData
from jaxtrain.run.directory import RunDirectory
from jaxtrain.run.registries import make_config
from jaxtrain.run.task import Task
from jaxtrain.step import (
    LOSSES,
    create_train_state,
    cross_entropy,
    make_train_step,
    mean_squared_error,
)

CONFIGS = Path(__file__).parents[2] / "configs"
RNG = np.random.default_rng(0)
BATCH = {
    "inputs": RNG.normal(size=(16, 5)).astype(np.float32),
    "labels": RNG.integers(0, 3, 16).astype(np.int32),
}


class Net(nn.Module):
    cut: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(32, name="hidden")(x))
        return nn.Dense(3, name="out")(jax.lax.stop_gradient(x) if self.cut else x)


@jax.custom_vjp
def wrongly_differentiated(x):
    return x**2


wrongly_differentiated.defvjp(lambda x: (x**2, x), lambda x, g: (g * x * 1.9,))


def state_of(model: Model):
    return create_train_state(model, optax.adam(1e-2), BATCH, rng=jax.random.key(0))


@pytest.mark.slow
def test_all_pass_on_a_good_config():
    config = make_config(CONFIGS / "digits.py", ["train.epochs=1"])
    findings = list(run_checks(RunData.of(config)))
    assert [f.name for f in findings if not f.ok] == []
    names = {f.name for f in findings}
    assert {
        "train shapes",
        "train dtypes",
        "train finite inputs",
        "train label range",
        "test class balance",
        "every parameter gets a gradient",
        "gradient equals finite differences",
        "overfits a tiny batch",
        "repeats bit for bit",
    } <= names


def test_a_parameter_without_gradient_is_named():
    model = from_linen(Net(cut=True))
    finding = check_gradients_reach(model, cross_entropy(), state_of(model), BATCH)
    assert not finding.ok
    assert "hidden/kernel" in finding.detail
    assert "out/kernel" not in finding.detail


@pytest.mark.slow
def test_a_wrong_gradient_is_found():
    class Wrong(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3, name="out")(wrongly_differentiated(nn.Dense(8, name="hidden")(x)))

    model = from_linen(Wrong())
    finding = check_gradient_numerically(model, cross_entropy(), state_of(model), BATCH)
    assert not finding.ok
    assert "hidden" in finding.detail
    right = from_linen(Net())
    assert check_gradient_numerically(right, cross_entropy(), state_of(right), BATCH).ok


@pytest.mark.slow
def test_black_images_are_no_fault_of_the_gradient():
    """Biases that begin at 0 stand in the kink of a relu where all else that reaches it is 0."""
    inputs = np.zeros((40, 8, 8, 1), np.float32)
    inputs[:, 2:4, 2:4, 0] = np.random.default_rng(0).uniform(size=(40, 2, 2))
    rows = Dataset(inputs, np.arange(40, dtype=np.int32) % 2, num_outputs=2)
    splits = Splits(train=rows, validation=rows, test=rows)
    config = make_config({"model": {"name": "cnn", "channels": [8]}})
    data = RunData(config, splits, rows.loader(batch_size=32))
    found = next(f for f in run_checks(data) if f.name == "gradient equals finite differences")
    assert found.ok
    task = Task.of(data)
    state, batch = task.initial_state(), small_batch(data)
    assert not check_gradient_numerically(task.model, task.loss, state, batch).ok


class HalfStopped(nn.Module):
    """A gradient that is right where it is, and missing for half of a kernel."""

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.he_normal(), (5, 32))
        kernel = kernel.at[:, :16].set(jax.lax.stop_gradient(kernel[:, :16]))
        return nn.Dense(3, name="out")(nn.tanh(x @ kernel))


def test_a_gradient_that_lacks_components_is_found():
    model = from_linen(HalfStopped())
    state = state_of(model)
    assert check_gradients_reach(model, cross_entropy(), state, BATCH).ok
    finding = check_gradient_numerically(model, cross_entropy(), state, BATCH)
    assert not finding.ok
    assert re.search(r"random directions \S+ at kernel", finding.detail)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adult_mlp", "mnist_mlp", "mnist_cnn"])
def test_the_gradients_of_the_configs_equal_finite_differences(name, shared_data):
    root = shared_data / name.partition("_")[0]
    task = Task.of(RunData.of(make_config(CONFIGS / f"{name}.py", [f"data.root={root}"])))
    train = task.data.splits.train
    batch = {"inputs": train.inputs[:16], "labels": train.labels[:16]}
    finding = check_gradient_numerically(task.model, task.loss, task.initial_state(), batch)
    assert finding.ok, finding.detail


def regression(scale):
    labels = RNG.normal(loc=100 * scale, scale=scale, size=16).astype(np.float32)
    return {"inputs": BATCH["inputs"], "labels": labels}


class Line(nn.Module):
    unit: float

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(64, name="hidden")(x))
        return nn.Dense(1, name="out")(x) * self.unit + 100 * self.unit


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_regression_is_judged_by_the_variance_of_its_labels(scale):
    batch, loss = regression(scale), mean_squared_error()
    good = check_overfits(from_linen(Line(scale)), loss, optax.adam(1e-2), batch)
    assert good.ok, good.detail
    # The mean alone is a loss of 1e-6 at the smallest scale, but nothing was learned.
    stuck = check_overfits(from_linen(Line(scale)), loss, optax.sgd(1e-12), batch, steps=50)
    assert not stuck.ok
    bound = 0.01 * batch["labels"].var(dtype=np.float64)
    assert f"must fall below {bound:.3g}" in stuck.detail


@pytest.mark.slow
def test_the_overfitted_loss_has_the_options_of_the_config(monkeypatch):
    built = []
    monkeypatch.setattr(LOSSES, "_factories", dict(LOSSES._factories))

    @LOSSES.register("tests_weighted")
    def weighted(*, weight: float, label_smoothing: float = 0.3):
        built.append((weight, label_smoothing))
        return cross_entropy(label_smoothing=label_smoothing)

    config = make_config({"loss": {"name": "tests_weighted", "weight": 2.0}})
    (finding,) = [f for f in run_checks(RunData.of(config)) if f.name == "overfits a tiny batch"]
    assert finding.ok, finding.detail
    assert built == [(2.0, 0.3), (2.0, 0.0)]


@pytest.fixture
def broken_source(monkeypatch):
    """A source whose parts are made of the labels given, with a NaN among the first's inputs."""
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))

    def register(train, test, *, nan):
        def dataset(labels, nan):
            inputs = (
                np.random.default_rng(len(labels)).normal(size=(len(labels), 30)).astype(np.float32)
            )
            inputs[0, 0] = np.nan if nan else 0.0
            labels = np.asarray(labels, np.int32)
            return Dataset(inputs, labels, name="made", task="classification", num_outputs=3)

        @SOURCES.register("tests_made")
        def made():
            return Splits(train=dataset(train, nan), validation=None, test=dataset(test, False))

        monitor = {"monitor": "train/loss"}  # there is no validation set
        return make_config({"data": {"name": "tests_made"}, "checkpoint": monitor})

    return register


def test_broken_data_are_told_in_full_and_end_the_checks(broken_source):
    config = broken_source([0, 1, 2] * 8, [0, 1, 7], nan=True)
    findings = list(run_checks(RunData.of(config)))
    assert [f.name for f in findings if not f.ok] == [
        "train finite inputs",
        "test label range",
        "test class balance",
    ]
    assert findings[-1].name == "test overlap with train"  # nothing of the model


@pytest.mark.slow
def test_an_absent_class_does_not_end_the_checks(broken_source):
    findings = list(run_checks(RunData.of(broken_source([0, 1, 2] * 8, [0, 1, 1], nan=False))))
    assert [f.name for f in findings if not f.ok] == ["test class balance"]
    assert findings[-1].name == "repeats bit for bit"


@pytest.mark.slow
def test_a_model_that_can_not_learn_does_not_overfit():
    model = from_linen(Net())
    assert check_overfits(model, cross_entropy(), optax.adam(1e-2), BATCH).ok
    stuck = check_overfits(model, cross_entropy(), optax.sgd(1e-6), BATCH, steps=100)
    assert not stuck.ok
    assert "after 100 steps" in stuck.detail


def test_an_adapter_overfits_beside_random_numbers():
    model = lora.model(from_linen(Net()), lora.LoRAConfig(rank=4))
    found = check_overfits(model, cross_entropy(), optax.adam(3e-2), BATCH)
    assert found.ok, found.detail


def test_a_step_that_does_not_repeat_is_found():
    model = from_linen(Net())
    step = make_train_step(model, cross_entropy(), optax.adam(1e-2))
    assert check_repeats(step, state_of(model), BATCH).ok
    calls = []

    def moody(state, batch):
        calls.append(1)  # traced anew by each compilation
        return step(state, {**batch, "inputs": batch["inputs"] + jnp.float32(len(calls))})

    finding = check_repeats(moody, state_of(model), BATCH)
    assert not finding.ok
    assert "differ" in finding.detail


@pytest.mark.slow
def test_the_command_fails_where_a_check_does(tmp_path, capsys):
    plugin = tmp_path / "cut.py"
    plugin.write_text(
        "import jax\n"
        "from flax import linen as nn\n"
        "from jaxtrain.models import MODELS, from_linen\n"
        "class Cut(nn.Module):\n"
        "    n: int\n"
        "    @nn.compact\n"
        "    def __call__(self, x):\n"
        "        return nn.Dense(self.n)(jax.lax.stop_gradient(nn.Dense(9, name='lost')(x)))\n"
        "@MODELS.register('tests_cut')\n"
        "def cut(num_outputs: int):\n"
        "    return from_linen(Cut(num_outputs))\n"
    )
    config = tmp_path / "c.yaml"
    config.write_text("model: {name: tests_cut}\n")
    assert main(["check", "--config", str(config), "--plugin", str(plugin)]) == 1
    said = capsys.readouterr().out
    assert "FAIL  every parameter gets a gradient: none reaches lost/bias, lost/kernel" in said
    assert "of the checks failed" in said


@pytest.mark.slow
def test_mnist_passes(shared_data):
    root = shared_data / "mnist"
    config = make_config(CONFIGS / "mnist_mlp.py", [f"data.root={root}"])
    assert [f.name for f in run_checks(RunData.of(config)) if not f.ok] == []


class Spoilt(nn.Module):
    """Its outputs, or its gradients alone, are not numbers."""

    value: float
    forward: bool

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(3, name="out")(x)
        if self.forward:
            return x * self.value
        # The branch not taken has the derivative inf * 0.
        return x + jnp.where(x > 1e9, jnp.sqrt(x - jax.lax.stop_gradient(x)), 0.0)


@pytest.mark.parametrize(
    ("value", "forward"), [(np.nan, True), (np.inf, True), (np.nan, False)], ids=str
)
def test_what_is_not_finite_passes_no_check(value, forward):
    model, tx = from_linen(Spoilt(value, forward)), optax.adam(1e-2)
    state, loss = state_of(model), cross_entropy()
    findings = [
        check_gradients_reach(model, loss, state, BATCH),
        check_gradient_numerically(model, loss, state, BATCH),
        check_overfits(model, loss, tx, BATCH, steps=50),
        check_repeats(make_train_step(model, loss, tx), state, BATCH),
    ]
    assert [finding.name for finding in findings if finding.ok] == []
    assert all("nan" in f.detail.lower() or "inf" in f.detail.lower() for f in findings)


def test_parameters_that_are_not_finite_do_not_repeat():
    model = from_linen(Net())

    def step(state, batch):  # a step of one's own, without the flag
        return state.replace(params=jax.tree.map(lambda p: p * jnp.nan, state.params)), {}

    finding = check_repeats(step, state_of(model), BATCH)
    assert not finding.ok
    assert "NaN or Inf in the parameters" in finding.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "rows"),
    [
        (["train.accumulate=2"], 16),
        (["train.accumulate=3", "data.batch_size=48"], 15),
        (["train.accumulate=24", "data.batch_size=48"], 24),
        (["precision=float16"], 16),
    ],
)
def test_the_very_step_of_the_run_is_checked(monkeypatch, overrides, rows):
    from jaxtrain.run import checks

    taken = []
    real = checks.check_repeats
    monkeypatch.setattr(
        checks,
        "check_repeats",
        lambda step, state, batch: taken.append((step, batch)) or real(step, state, batch),
    )
    made = []
    of = Task.of
    monkeypatch.setattr(checks.Task, "of", lambda data: made.append(of(data)) or made[-1])
    config = make_config(
        CONFIGS / "digits.py", ["model.dropout=0", "model.hidden=[32]", *overrides]
    )
    findings = list(run_checks(RunData.of(config)))
    assert [f"{f.name}: {f.detail}" for f in findings if not f.ok] == []
    ((step, batch),) = taken
    assert step is made[0].train_step
    assert len(batch["inputs"]) == rows
    (overfit,) = [f for f in findings if f.name == "overfits a tiny batch"]
    assert overfit.detail.startswith(f"{rows} rows")


def test_a_batch_larger_than_the_data_is_padded():
    config = make_config({"train": {"accumulate": 4096}, "data": {"batch_size": 4096}})
    batch = small_batch(RunData.of(config))
    assert len(batch["inputs"]) == 4096
    assert "row_mask" in batch


def test_the_overfitted_step_has_the_options_of_the_run():
    """An accumulation that does not divide the batch shows that it is there."""
    model = from_linen(Net())
    with pytest.raises(ValueError, match="accumulate=3"):
        check_overfits(model, cross_entropy(), optax.adam(1e-2), BATCH, accumulate=3)


def test_the_data_are_read_once(broken_source, monkeypatch):
    config = broken_source([0, 1, 2] * 8, [0, 1, 2], nan=False)
    made, calls = SOURCES["tests_made"], []
    monkeypatch.setitem(SOURCES._factories, "tests_made", lambda: calls.append(1) or made())
    assert all(f.ok for f in run_checks(RunData.of(config)))
    assert calls == [1]


def test_the_options_of_the_run_reach_the_overfitting(monkeypatch):
    from jaxtrain.run import checks

    found = []
    monkeypatch.setattr(
        checks, "check_overfits", lambda *parts, **options: found.append(options) or parts
    )
    overrides = ["train.accumulate=2", "optimizer.clip_norm=3", "precision=bfloat16", "seed=5"]
    overrides += ["train.sam.radius=0.1", "train.mixup=0.2", "train.ema=0.9"]
    overrides += ["optimizer.groups.a.match=hidden_0/*", "optimizer.groups.a.freeze=true"]
    task = Task.of(RunData.of(make_config(CONFIGS / "digits.py", overrides)))
    checks._overfit(task, BATCH)
    said = {name: value for name, value in found[0].items() if value not in (None, False)}
    assert said == {
        "seed": 5,
        "accumulate": 2,
        "clip_norm": 3.0,
        "precision": "bfloat16",
        "sam_radius": 0.1,
        "freeze": ("hidden_0/*",),
    }  # neither mixtures, which nobody learns by heart, nor an average


def test_what_is_overfitted_has_the_rate_of_the_batch(monkeypatch):
    from jaxtrain.run import checks

    found = []
    monkeypatch.setattr(checks, "check_overfits", lambda *parts, **_: found.append(parts[2]))
    overrides = ["optimizer={learning_rate: 0.001, batch_scaling: {rule: linear, base: 8}}"]
    task = Task.of(RunData.of(make_config(CONFIGS / "digits.py", overrides)))
    checks._overfit(task, BATCH)
    assert float(learning_rate(found[0].init({}))) == pytest.approx(0.004)


# -- what a newcomer's own data bring along -------------------------------------------------------


@pytest.fixture
def own_source(monkeypatch):
    """own_source(splits, **sections): the config of a run on them."""
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))

    def register(splits, **sections):
        SOURCES.register("tests_own")(lambda: splits)
        sections = {"checkpoint": {"monitor": "train/loss"}, "model": {"hidden": [32]}} | sections
        return make_config({"data": {"name": "tests_own"}, **sections})

    return register


def grammes(columns):
    """A regression as a source makes one: targets in grammes and more, standardised."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(96, 6)).astype(np.float32)
    targets = 4200 + 800 * inputs[:, :columns] + random.normal(0, 50, size=(96, columns))
    targets = targets[:, 0] if columns == 1 else targets * np.arange(1, columns + 1)
    scale = TargetScale.fit(targets[:64])
    everything = Dataset(
        inputs, scale.standardise(targets), name="penguins", task="regression", num_outputs=columns
    )
    train, test = everything.select(np.arange(64)), everything.select(np.arange(64, 96))
    return Splits(train=train, validation=None, test=test, target_scale=scale)


@pytest.mark.parametrize("columns", [1, 2])
def test_a_regression_of_standardised_targets_passes(own_source, columns):
    config = own_source(
        grammes(columns),
        loss={"name": "mean_squared_error"},
        optimizer={"learning_rate": 1e-2},
    )
    findings = list(run_checks(RunData.of(config)))
    assert [f"{f.name}: {f.detail}" for f in findings if not f.ok] == []
    assert "overfits a tiny batch" in {f.name for f in findings}


def rare(counts):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    inputs = (random.normal(size=(len(labels), 6)) + labels[:, None]).astype(np.float32)
    return Dataset(inputs, labels, name="rare", num_outputs=len(counts))


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_classes_pass_and_are_overfitted_with_their_weights(
    own_source, monkeypatch, smoothing
):
    from jaxtrain.run import checks

    losses = []
    real = checks.check_overfits
    monkeypatch.setattr(
        checks,
        "check_overfits",
        lambda model, loss, *parts, **options: (
            losses.append(loss) or real(model, loss, *parts, **options)
        ),
    )
    train = rare((80, 8, 4))
    splits = Splits(train=train, validation=None, test=train.select(np.arange(40, 92)))
    loss = {"class_weights": "balanced", "label_smoothing": smoothing}
    findings = list(run_checks(RunData.of(own_source(splits, loss=loss))))
    assert [f.name for f in findings if not f.ok] == ["test overlap with train"]
    logits = jnp.zeros((1, 3))
    weights = [float(losses[0](logits, {"labels": jnp.array([k])})[1]) for k in range(3)]
    np.testing.assert_allclose(weights, [92 / (3 * 80), 92 / (3 * 8), 92 / (3 * 4)], rtol=1e-6)
    total, _ = losses[0](jnp.array([[50.0, 0, 0]]), {"labels": jnp.array([0])})
    assert float(total) == 0  # no smoothing


def test_a_gradient_of_zero_throughout_is_no_good_gradient():
    """Finding C17: ZeroDivisionError in `check`, of one class."""

    class One(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(x)

    model, batch = from_linen(One()), BATCH | {"labels": np.zeros(16, np.int32)}
    finding = check_gradient_numerically(model, cross_entropy(), state_of(model), batch)
    assert not finding.ok
    assert "the gradient is 0 throughout" in finding.detail


@pytest.mark.parametrize("command", ["check", "plan"])
def test_what_train_refuses_the_other_commands_refuse(command, tmp_path, capsys):
    """Finding C26: a mistyped monitor and another run's directory: `plan` 0, train 2."""
    words = [command, "--config", str(CONFIGS / "digits.py"), "--config.model.hidden=[4]"]
    assert main([*words, "--config.checkpoint.monitor=val/acuracy"]) == 2
    assert "checkpoint.monitor: no metric is called 'val/acuracy'" in capsys.readouterr().err
    with RunDirectory(tmp_path).held(make_config(CONFIGS / "digits.py", ["seed=7"])):
        pass
    before = {path: (path.read_bytes(), path.stat()) for path in tmp_path.rglob("*")}
    assert main([*words, "--workdir", str(tmp_path)]) == 2
    assert "holds a run with another config" in capsys.readouterr().err
    assert {path: (path.read_bytes(), path.stat()) for path in tmp_path.rglob("*")} == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    assert main([*words, "--workdir", str(tmp_path / "notes")]) == 2
    assert "found other files" in capsys.readouterr().err


def write_idx(root, name, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    (root / name).write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    ("train", "test", "classes", "codes", "says"),
    [
        ((30, 8, 8), (9, 8, 9), 10, (3, 3, 3), "expected images of 8x8 pixels"),
        ((30, 8, 0), (9, 8, 0), 10, (3, 3, 3), "expected images with pixels, found 30 of 8x0"),
        ((0, 8, 8), (9, 8, 8), 10, (3, 3, 3), "expected images with pixels, found 0 of 8x8"),
        ((30, 8, 8), (9, 8, 8), 1, (3, 3, 1), "1 of 10 classes have rows"),
    ],
)
def test_odd_images_are_found_before_a_training(
    tmp_path, capsys, train, test, classes, codes, says
):
    """Finding C17: `plan` 0, `check` silent or a division by zero, and a traceback at the end."""
    random = np.random.default_rng(0)
    for name, shape in (("train", train), ("t10k", test)):
        write_idx(tmp_path, f"{name}-images-idx3-ubyte", random.integers(0, 256, shape))
        write_idx(tmp_path, f"{name}-labels-idx1-ubyte", np.arange(shape[0]) % classes)
    words = ["--config", str(CONFIGS / "mnist_mlp.py"), f"--config.data.root={tmp_path}"]
    words += ["--workdir", str(tmp_path / "run")]
    for command, code in zip(("train", "plan", "check"), codes, strict=True):
        assert main([command, *words]) == code, command
        said = capsys.readouterr()
        assert says in said.out + said.err
    assert not (tmp_path / "run").exists()
