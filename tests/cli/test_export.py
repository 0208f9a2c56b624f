"""`export`: from words to a directory, and one line."""

from __future__ import annotations

import json

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.main import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "export: --output is missing"),
        (["--output", "out"], "export: a run directory or a checkpoint is missing"),
        (["run", "--output", "out", "--dtype", "int8"], "--dtype: invalid choice: 'int8'"),
        (["lm.json", "--output", "out"], "lm.json is a config; expected a run directory"),
        (["gone", "--output", "out"], "gone: expected a run directory"),
    ],
)
def test_words_that_do_not_go_together(call, words, message):
    with pytest.raises(ConfigError, match=message):
        call("export", *words)


@pytest.mark.slow
def test_a_run_is_exported_and_writes_on(tmp_path, monkeypatch, capsys):
    tokenizers = pytest.importorskip("tokenizers", reason="the text extra installs it")
    monkeypatch.chdir(tmp_path)
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"<unk>": 0, "<s>": 1, "a": 2, "b": 3}, unk_token="<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["<unk>", "<s>"])
    made.save("t.json")
    (tmp_path / "text.txt").write_text("a b " * 900)
    config = {
        "data": {"name": "text", "path": "text.txt", "tokenizer": "t.json", "length": 16},
        "model": {"name": "decoder", "width": 16, "layers": 1, "heads": 2, "max_length": 64},
        "loss": {"name": "next_token"},
        "optimizer": {"learning_rate": 0.02},
        "train": {"epochs": 3},
        "hooks": {"progress": None, "console": None},
    }
    (tmp_path / "lm.json").write_text(json.dumps(config))
    assert main(["lm.json", "--workdir", "run"]) == 0
    capsys.readouterr()
    assert main(["export", "run", "--output", "out/tuned"]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert said.out.startswith("out/tuned: config.json and ")
    assert said.out.endswith(" parameters of a llama in float32, with tokenizer.json\n")
    words = ["--prompt", "a b", "--max-new-tokens", "5"]
    assert main(["generate", "run", *words]) == 0
    of_run = capsys.readouterr().out
    assert of_run.split() == ["a", "b", "a", "b", "a"]
    assert main(["generate", "--model", "out/tuned", *words]) == 0
    assert capsys.readouterr().out == of_run
    assert main(["export", "run", "--output", "out/tuned"]) == 2
    assert "nothing is replaced" in capsys.readouterr().err
    assert main(["export", "run", "--output", "out/half", "--dtype", "bfloat16"]) == 0
    assert "in bfloat16" in capsys.readouterr().out
    # The files are what a run begins with, in its turn.
    config["model"] = {"name": "decoder", "weights": "out/half"}
    (tmp_path / "again.json").write_text(json.dumps(config))
    assert main(["plan", "again.json"]) == 0
