"""`init`: what it writes, what it says, and what it refuses before anything is touched."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from PIL import Image

from jaxtrain.cli.words import parse_words
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.main import main
from jaxtrain.run import RunData, make_config


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory of its own, with images and arrays of odd names in it."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name in ("crow", "[red] gull\x1b[31m"):
        folder = tmp_path / "-my 'birds' ü" / name
        folder.mkdir(parents=True)
        for number in range(8):
            pixels = draw.integers(0, 256, (6, 6)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    np.savez(tmp_path / "table.npz", x=draw.normal(size=(40, 3)), y=np.arange(40) % 2)
    return tmp_path


def words_of(said):
    """The words of the command that is printed last."""
    line = said.splitlines()[-1]
    assert line.startswith("to train: python -m jaxtrain.main ")
    return shlex.split(line.removeprefix("to train: python -m jaxtrain.main "))


def test_the_command_that_is_printed_finds_what_was_written(place, call, capsys):
    assert call("init", "--images=-my 'birds' ü") == 0
    said = capsys.readouterr().out
    assert "taken for" in said
    assert "[red] gull" in said  # no markup
    assert "\x1b" not in said
    assert "from the directory in which you train" in said
    assert words_of(said) == ["--config", "my_birds_u.yaml"]
    config = make_config(place / "my_birds_u.yaml")
    assert config.data.root == "-my 'birds' ü"
    assert len(RunData.of(config).train) == 10


@pytest.mark.parametrize("output", ["-a.yaml", "a b's.yml", "ü.yaml", "deep/x.yaml"])
def test_an_output_of_any_name(place, call, capsys, output):
    (place / "deep").mkdir()
    assert call("init", "--arrays", "table.npz", f"--output={output}") == 0
    words = words_of(capsys.readouterr().out)
    options, _ = parse_words(["train", *words])
    assert make_config(options.config).data.file == "table.npz"


def test_what_is_there_is_never_written_over(place, call, capsys):
    words = ["init", "--arrays", "table.npz"]
    call(*words)
    before = (place / "table.yaml").read_text()
    (place / "table.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"table\.yaml: is there already; --force writes over"):
        call(*words)
    assert (place / "table.yaml").read_text() == "mine"
    assert call(*words, "--force") == 0
    assert (place / "table.yaml").read_text() == before
    (place / "link.yaml").symlink_to(place / "nowhere")
    with pytest.raises(ConfigError, match="is there already"):
        call(*words, "--output", "link.yaml")
    call("init", "--model")
    with pytest.raises(ConfigError, match=r"my_model\.py: is there already"):
        call("init", "--model")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected one of --csv, --images, --arrays and --model, found none"),
        (["--images", "a", "--model"], "found --images and --model"),
        (["--csv", "a"], "--csv wants --target"),
        (["--images", "a", "--target", "b"], "--target is a column of a --csv; --images has none"),
        (["--images", "nowhere"], "expected a folder of images, found nothing"),
        (["--images", ""], "can't be a path"),
        (["--arrays", "a\0b"], "can't be a path"),
        (["--arrays", "nowhere.npz"], "data file not found"),
        (["--arrays", "table.npz", "--output", "a.json"], r"expected a file that ends in \.yaml"),
        (["--arrays", "table.npz", "--output", "none/a.yaml"], "no directory none"),
        (["--arrays", "table.npz", "--output", "d.yaml"], "found a directory"),
        (["--arrays", "table.npz", "--output", "a\nb.yaml"], "can't be a path"),
        (["--arrays", "table.npz", "--output", "x" * 300 + ".yaml"], "name too long"),
        (["--model", "--output", "a.yaml"], r"expected a file that ends in \.py"),
        (["--model", "--config.seed=1"], r"takes no --config, found --config\.seed=1"),
    ],
)
def test_what_is_refused_touches_nothing(place, call, words, said):
    (place / "d.yaml").mkdir()
    before = sorted(place.rglob("*"))
    with pytest.raises(ConfigError, match=said):
        call("init", *words)
    assert sorted(place.rglob("*")) == before


def test_a_config_that_is_none_is_not_written(place, call, monkeypatch):
    from jaxtrain.run.beginning import Beginning

    wrong = Beginning({"data": {"name": "no_such_source"}})
    monkeypatch.setattr("jaxtrain.run.beginning.begin_with_arrays", lambda _: wrong)
    with pytest.raises(ConfigError, match="no_such_source"):
        call("init", "--arrays", "table.npz")
    assert not (place / "table.yaml").exists()


def test_broken_data_write_nothing(place, call):
    (place / "table.npz").write_bytes((place / "table.npz").read_bytes()[:300])
    with pytest.raises(DataError):
        call("init", "--arrays", "table.npz")
    assert not (place / "table.yaml").exists()


@pytest.mark.parametrize("library", [[], ["linen"], ["nnx"]])
def test_a_model_of_ones_own(place, call, capsys, library):
    assert call("init", "--model", *library, "--output", "bird_net.py") == 0
    text = (place / "bird_net.py").read_text()
    assert f"from flax import {'nnx' if library == ['nnx'] else 'linen as nn'}" in text
    words = words_of(capsys.readouterr().out)
    assert words[2:] == ["--plugin", "bird_net.py", "--config.model.name=bird_net"]
    assert f"python -m jaxtrain.main {shlex.join(words)}" in text
    compile(text, "bird_net.py", "exec")


def test_a_model_of_another_kind(capsys):
    assert main(["init", "--model", "torch"]) == 2
    assert "choose from 'linen', 'nnx'" in capsys.readouterr().err


def test_a_directory_that_nobody_may_write_to(place, call, monkeypatch):
    from jaxtrain.cli import init

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("jaxtrain.files.replacing", refuse)
    with pytest.raises(ConfigError, match="Permission denied"):
        call("init", "--model")
    assert init.COMMAND.help
