"""`generate`: from words to a stream of text; where its model comes from."""

from __future__ import annotations

import argparse
import io
import json

import jax
import pytest

from jaxtrain.cli import generate
from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.errors import ConfigError, DataNotFoundError
from jaxtrain.main import main
from jaxtrain.models.decoder import DecoderConfig, initial_params
from jaxtrain.run.language_model import LanguageModel


@pytest.fixture
def fake(monkeypatch):
    """A model of random weights on bytes, in the place of one that is loaded."""
    config = DecoderConfig.llama(vocab_size=258, width=16, layers=1, heads=2, max_length=48)
    params = jax.tree.map(lambda x: x * 5, initial_params(jax.random.key(0), config))
    model = LanguageModel(params, config, ByteTokenizer(), 256, (257,))
    monkeypatch.setattr(generate, "_model", lambda *_: model)
    return model


def test_it_writes_what_the_model_does(call, fake, capsys):
    assert call("generate", "--prompt", "a", "--max-new-tokens", "12") == 0
    assert capsys.readouterr().out == "".join(fake.write("a", max_new_tokens=12)) + "\n"
    words = ["--temperature", "1.5", "--top-k", "40", "--top-p", "0.9", "--seed", "3"]
    assert call("generate", "--prompt", "a", "--max-new-tokens", "12", *words) == 0
    drawn = fake.write("a", max_new_tokens=12, temperature=1.5, top_k=40, top_p=0.9, seed=3)
    assert capsys.readouterr().out == "".join(drawn) + "\n"


def test_it_streams(call, fake, monkeypatch):
    seen = []

    class Stream(io.StringIO):
        def flush(self):
            seen.append(self.getvalue())

    monkeypatch.setattr("sys.stdout", Stream())
    monkeypatch.setattr(LanguageModel, "write", lambda *_, **__: iter(["one", " two"]))
    assert call("generate") == 0
    assert seen[:2] == ["one", "one two"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "generate: a run directory or a checkpoint is missing"),
        (["run", "--model", "m"], "both a run and --model are given"),
        (["run", "--tokenizer", "t"], "--tokenizer: is of --model"),
        (["run", "--dtype", "bfloat16"], "--dtype: is of --model"),
        (["--model", "m", "--dtype", "int8"], "--dtype: invalid choice: 'int8'"),
        (["--model", "m", "--config.model.width=3"], "--model has no config to override"),
        (["--model", "m"], "m: there is no such directory"),
        (["--max-new-tokens", "many"], "argument --max-new-tokens: invalid int value"),
    ],
)
def test_words_that_do_not_go_together(call, words, message):
    with pytest.raises(ConfigError, match=message):
        call("generate", *words)


def test_no_such_model(call, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"config\.json: there is no such file"):
        call("generate", "--model", str(tmp_path), "--tokenizer", str(tmp_path / "t.json"))


def test_from_a_run_as_from_the_command_line(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("ab" * 3000)
    data = {"name": "text", "root": str(tmp_path), "path": "text.txt", "tokenizer": "characters"}
    config = {
        "data": data | {"length": 16, "batch_size": 16},
        "model": {"name": "decoder", "width": 16, "layers": 1, "heads": 2, "max_length": 64},
        "loss": {"name": "next_token"},
        "optimizer": {"learning_rate": 0.02},
        "train": {"epochs": 2},
        "hooks": {"progress": None, "console": None},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main([str(tmp_path / "config.json"), "--workdir", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    words = ["--prompt", "ab", "--max-new-tokens", "9"]
    assert main(["generate", str(tmp_path / "run"), *words]) == 0
    assert capsys.readouterr().out == "ababababa\n"
    assert main(["generate", str(tmp_path / "run"), "--prompt", "abc"]) == 2
    assert "no token for ['c']" in capsys.readouterr().err
    wrong = ["--prompt", "ab", "--temperature", "1", "--top-p", "2"]
    assert main(["generate", str(tmp_path / "run"), *wrong]) == 2
    assert "--top-p: expected more than 0" in capsys.readouterr().err


def test_from_files_of_llama2c(shared_data, capsys):
    folder = shared_data / "stories260k"
    words = ["--model", str(folder / "stories260K.bin"), "--tokenizer", str(folder / "tok512.bin")]
    assert main(["generate", *words, "--prompt", "Once upon", "--max-new-tokens", "12"]) == 0
    assert capsys.readouterr().out == " a time, there was a little girl named Lily\n"


def test_its_words_are_explained(capsys):
    parser = argparse.ArgumentParser()
    generate.COMMAND.add_words(parser)
    assert "--temperature" in parser.format_help()
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert "what a language model writes" in capsys.readouterr().out
