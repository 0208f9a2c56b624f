"""What must fit before a run: the loss to the data, the outputs to both."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxtrain.data import ArrayLoader, Dataset, LoaderRows, Splits
from jaxtrain.errors import ConfigError
from jaxtrain.main import main
from jaxtrain.models import MODELS, from_linen
from jaxtrain.run import RunData, Task, make_config
from jaxtrain.step import LOSSES

INPUTS = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
CLASSES = np.arange(24, dtype=np.int32) % 4


class Sized(nn.Module):
    shape: tuple[int, ...]
    heads: tuple[str, ...] = ()

    @nn.compact
    def __call__(self, x):
        flat = nn.Dense(int(np.prod(self.shape)))(x)
        outputs = flat.reshape(len(x), *self.shape)
        return dict.fromkeys(self.heads, outputs) if self.heads else outputs


@pytest.fixture
def fit(source, monkeypatch):
    """fit(labels, outputs, **sections): the task of a model of such outputs, by its name."""
    for registry in (MODELS, LOSSES):
        monkeypatch.setattr(registry, "_factories", dict(registry._factories))

    @MODELS.register("tests_sized")
    def sized(*, shape: tuple[int, ...] = (), heads: tuple[str, ...] = ()):
        return from_linen(Sized(shape, heads))

    def fit(labels, shape, *, heads=(), num_outputs=4, inputs=INPUTS, loss=None, own=None, **more):
        kind = "classification" if labels.dtype.kind == "i" else "regression"
        rows = Dataset(inputs, labels, name="mine", task=kind, num_outputs=num_outputs)
        if labels.ndim > 1 and kind == "classification":
            rows = streamed(rows)
        source(lambda: Splits(train=rows, validation=None, test=rows))
        default = "cross_entropy" if kind == "classification" else "mean_squared_error"
        config = {
            "data": {"name": "tests_source", "batch_size": 8},
            "model": {"name": "tests_sized", "shape": shape, "heads": heads},
            "loss": {"name": default} if loss is None else loss,
        }
        return Task.of(RunData.of(make_config(config | more)), loss=own)

    return fit


def streamed(rows):
    make = lambda **options: ArrayLoader(rows, **options)  # noqa: E731
    return LoaderRows(make, name=rows.name, task=rows.task, num_outputs=rows.num_outputs)


@pytest.mark.parametrize("outputs", [3, 5, 13])
def test_as_many_outputs_as_there_are_classes(fit, outputs):
    """Findings C: 3 outputs for 10 classes were NaN, 13 trained without a word."""
    fit(CLASSES, (4,))
    text = (
        rf"model 'tests_sized': expected outputs \[\.\.\., 4\], as the data 'mine' have 4 "
        rf"classes; found \[8, {outputs}\]"
    )
    with pytest.raises(ConfigError, match=text):
        fit(CLASSES, (outputs,))


def test_a_number_a_row_is_no_classification(fit):
    with pytest.raises(ConfigError, match=r"have 4 classes; found \[8\]"):
        fit(CLASSES, ())


NUMBERS = INPUTS[:, 0].copy()


@pytest.mark.parametrize(
    ("labels", "num_outputs", "good", "bad"),
    [
        (NUMBERS, 1, [(), (1,)], [(2,), (4, 1)]),
        (NUMBERS[:, None], 1, [(1,)], [(2,)]),
        (INPUTS[:, :3].copy(), 3, [(3,)], [(), (1,), (4,)]),
    ],
)
def test_as_many_outputs_as_the_target_has_columns(fit, labels, num_outputs, good, bad):
    for shape in good:
        fit(labels, shape, num_outputs=num_outputs)
    for shape in bad:
        with pytest.raises(ConfigError, match=r"columns of the target; found|do not fit together"):
            fit(labels, shape, num_outputs=num_outputs)


def test_the_columns_are_told_before_the_loss_complains(fit):
    text = r"expected outputs \[\.\.\., 1\], as the data 'mine' have 1 columns .* found \[8, 13\]"
    with pytest.raises(ConfigError, match=text):
        fit(NUMBERS, (13,), num_outputs=1)


def test_tokens_have_classes_on_the_last_axis(fit):
    tokens = CLASSES.reshape(12, 2)
    fit(tokens, (2, 4), inputs=INPUTS[:12])
    with pytest.raises(ConfigError, match=r"found \[8, 2, 3\]"):
        fit(tokens, (2, 3), inputs=INPUTS[:12])


def test_of_several_heads_the_one_that_the_loss_reads(fit):
    loss = {"name": "cross_entropy", "outputs": "b"}
    metrics = {"metrics": {"top": {"name": "accuracy", "outputs": "outputs.b"}}}
    fit(CLASSES, (4,), heads=("a", "b"), loss=loss, **metrics)
    with pytest.raises(ConfigError, match=r"4 classes; found \[8, 13\]"):
        fit(CLASSES, (13,), heads=("a", "b"), loss=loss, **metrics)


def test_a_loss_of_ones_own_may_read_what_it_likes(fit):
    def binary(outputs, batch):
        return jnp.square(outputs[:, 0] - batch["labels"]).sum(), jnp.float32(8)

    fit(CLASSES, (1,), own=binary)
    LOSSES.register("tests_binary")(lambda: binary)
    loss = {"name": "tests_binary"}
    fit(CLASSES, (1,), loss=loss, metrics={"loss": {}})
    # The metrics that a run has by default read classes.
    with pytest.raises(ConfigError, match=r"4 classes; found \[8, 1\]"):
        fit(CLASSES, (1,), loss=loss)


def test_what_is_learnt_may_be_the_inputs(fit):
    """An auto-encoder: the labels are none of its business."""
    loss = {"name": "mean_squared_error", "labels": "inputs"}
    fit(CLASSES, (6,), loss=loss, metrics={"loss": {}})


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        (
            NUMBERS,
            "cross_entropy",
            r"loss\.name: 'cross_entropy' is for a classification, but the data 'mine' are a "
            r"regression; set loss\.name=mean_squared_error",
        ),
        (
            CLASSES,
            "mean_squared_error",
            r"'mean_squared_error' is for a regression.*classification; set loss\.name=cross_entr",
        ),
    ],
)
def test_another_loss_is_named(fit, labels, loss, message):
    """Findings C, words that don't help: "subdtype of numpy.integer"."""
    with pytest.raises(ConfigError, match=message):
        fit(labels, (1,), num_outputs=1 if labels is NUMBERS else 4, loss={"name": loss})


def test_the_command_line_says_so_before_anything_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from flax import linen as nn\n"
        "from jaxtrain.models import MODELS, from_linen\n"
        "@MODELS.register('tests_thirteen')\n"
        "def thirteen(num_outputs: int):\n"
        "    return from_linen(nn.Dense(13))\n"
    )
    (tmp_path / "c.yaml").write_text("model: {name: tests_thirteen}\n")
    try:
        for command in ("train", "plan", "check"):
            assert main([command, "--config", "c.yaml", "--plugin", "mine.py"]) == 2
            said = capsys.readouterr().err
            assert "model 'tests_thirteen': expected outputs [..., 10]" in said
            assert "found [32, 13]" in said
    finally:
        MODELS._factories.pop("tests_thirteen", None)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["c.yaml", "mine.py"]


# -- language: rows are tokens, and what is to be learnt is the next of them ---------------------

TOKENS = (np.arange(96, dtype=np.int32).reshape(12, 8) * 7) % 5


class Bigrams(nn.Module):
    """Logits of the next token; as an array, in a dict, or told as a decoder does."""

    vocabulary: int
    says: str = "logits"
    cut: int = 0

    @nn.compact
    def __call__(self, inputs):
        logits = nn.Embed(self.vocabulary, self.vocabulary)(inputs)[:, self.cut :]
        if self.says == "nll":
            each = logits[..., 0]
            return {"nll": each, "log_z": each, "correct": each}
        return {"logits": logits, "more": inputs} if self.says == "dict" else logits


@pytest.fixture
def read(source, monkeypatch):
    """read(vocabulary, says=..., **sections): the task of a bigram model for five tokens."""
    monkeypatch.setattr(MODELS, "_factories", dict(MODELS._factories))

    @MODELS.register("tests_bigrams")
    def bigrams(*, vocabulary: int, says: str = "logits", cut: int = 0):
        return from_linen(Bigrams(vocabulary, says, cut))

    def read(vocabulary=5, *, says="logits", cut=0, loss="next_token", **sections):
        arrays = {"inputs": TOKENS, "labels": np.roll(TOKENS, -1, axis=1)}
        make = lambda **options: ArrayLoader(arrays, **options)  # noqa: E731
        rows = LoaderRows(make, name="fables", task="language", num_outputs=5)
        source(lambda: Splits(train=rows, validation=None, test=rows))
        config = {
            "data": {"name": "tests_source", "batch_size": 4},
            "model": {"name": "tests_bigrams", "vocabulary": vocabulary, "says": says, "cut": cut},
            "loss": {"name": loss},
        }
        return Task.of(RunData.of(make_config(config | sections)))

    return read


@pytest.mark.parametrize("says", ["logits", "dict", "nll"])
def test_language_is_judged_by_its_own_figures(read, says):
    task = read(says=says)
    assert list(task.metrics()) == ["loss", "perplexity", "token_accuracy"]


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_language_has_a_loss_of_its_own(read, loss):
    text = rf"'{loss}' is for a \w+, but the data 'fables' are language; set loss\.name=next_token"
    with pytest.raises(ConfigError, match=text):
        read(loss=loss)


def test_the_loss_of_language_is_for_nothing_else(fit):
    for labels, outputs, name in ((CLASSES, 4, "cross_entropy"), (NUMBERS, 1, "mean_squared_err")):
        text = rf"'next_token' is for language, but the data .*; set loss\.name={name}"
        with pytest.raises(ConfigError, match=text):
            fit(labels, (outputs,), num_outputs=outputs, loss={"name": "next_token"})


@pytest.mark.parametrize("says", ["logits", "dict"])
@pytest.mark.parametrize("vocabulary", [4, 6])
def test_as_many_logits_as_there_are_tokens(read, says, vocabulary):
    text = (
        r"model 'tests_bigrams': expected outputs \[\.\.\., 5\], as the data 'fables' have 5 "
        rf"tokens in their vocabulary; found \[4, 8, {vocabulary}\]"
    )
    with pytest.raises(ConfigError, match=text):
        read(vocabulary, says=says)


@pytest.mark.parametrize(
    ("says", "found"), [("logits", r"found \[4, 7, 5\]"), ("nll", r"\(4, 7\)")]
)
def test_something_is_said_of_each_token(read, says, found):
    with pytest.raises(ConfigError, match=found):
        read(says=says, cut=1)
