"""Questions of a run: in tokens as training had them, and judged by `evaluate`."""

from __future__ import annotations

import json

import jax.numpy as jnp
import pytest

from jaxtrain.data import Question, TextReader
from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.errors import ConfigError
from jaxtrain.main import main
from jaxtrain.models import Model
from jaxtrain.run.answering import answers, in_tokens


class Merging(ByteTokenizer):
    """Bytes, but "ab" is one token, 300."""

    def encode(self, text):
        return list(text.encode().replace(b"ab", b"\xff"))

    def encode_all(self, texts):
        import numpy as np

        return [np.asarray(self.encode(text), np.int32) for text in texts]


def test_each_choice_stands_behind_the_prompt():
    reader = TextReader(ByteTokenizer(), bos=256, eos=257)
    found = in_tokens(Question("2+2=", ("3", "44"), 1), reader)
    assert found.prompt.tolist() == [256, *b"2+2="]
    assert [choice.tolist() for choice in found.choices] == [[*b"3"], [*b"44"]]
    assert found.lengths == [1, 2]
    spaced = in_tokens(Question("2+2=", (" happy", "  "), 1), reader)
    assert spaced.lengths == [5, 2]
    assert found.answer == 1


def test_a_choice_that_changes_the_prompts_last_token_is_judged_from_there_and_so_are_all():
    reader = TextReader(Merging(), bos=None, eos=None)
    found = in_tokens(Question("xa", ("b", "c"), 0), reader)
    assert found.prompt.tolist() == [*b"x"]
    assert [choice.tolist() for choice in found.choices] == [[255], [*b"ac"]]


def test_a_reader_without_a_tokenizer():
    with pytest.raises(ConfigError, match="want a reader with a tokenizer, found None"):
        answers(None, None, {}, None)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Sums of two digits, the right one among four."""
    place = tmp_path_factory.mktemp("answering")
    rows = []
    for number in range(100):
        left, right = divmod(number, 10)
        choices = [str((left + shift) % 10) for shift in range(4)]
        rows.append({"question": f"{left}{right}", "options": choices, "answer": choices[0]})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("train.jsonl", "test.jsonl"):
        (place / name).write_text(text)
    data = {
        "name": "multiple_choice",
        "root": str(place),
        "path": "train.jsonl",
        "test": "test.jsonl",
        "choices": ["options"],
        "answer_is": "text",
        "prompt": "{question}=",
        "tokenizer": "characters",
        "length": 32,
        "batch_size": 8,
    }
    config = {
        "data": data,
        "model": {"name": "decoder", "width": 32, "layers": 2, "heads": 2, "tied": True},
        "loss": {"name": "next_token"},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 30},
        "hooks": {"progress": None, "console": None},
    }
    (place / "config.json").write_text(json.dumps(config))
    return place


@pytest.mark.slow
def test_evaluate_says_what_the_model_takes(place, capsys, caplog):
    """It learns to say the first digit again."""
    assert main([str(place / "config.json"), "--workdir", str(place / "run")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(place / "run")]) == 0
    figures = json.loads(capsys.readouterr().out)["test"]
    assert figures["questions"] == 100
    assert figures["accuracy"] > 0.8
    assert figures["accuracy_low"] < figures["accuracy"] <= figures["accuracy_high"]
    assert figures["accuracy_ties"] == 0
    assert figures["normalised_accuracy"] == figures["accuracy"]  # one token each

    # Of a question that the model is too short for the end is asked, and that is said.
    row = {"question": "1" * 40, "options": ["1", "2"], "answer": "1"}
    (place / "long.jsonl").write_text(json.dumps(row) + "\n")
    short = [str(place / "config.json"), "--config.model.max_length=32", "--config.train.epochs=1"]
    short += ["--config.data.test=long.jsonl"]
    assert main([*short, "--workdir", str(place / "short")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(place / "short")]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["questions_cut"] == 1
    assert "1 of 1 questions have more tokens than the model is meant for" in caplog.text


def test_questions_are_answered_under_the_policy_of_the_run():
    seen = []

    def apply(variables, batch, *, train, rngs=None):
        seen.append(variables["params"]["w"].dtype.name)
        return {"nll": batch["labels"] * variables["params"]["w"]}, {}

    class One:
        def questions(self):
            yield Question("2+2=", ("4", "44"), 0)

    model = Model(init=None, apply=apply)
    reader = TextReader(ByteTokenizer(), bos=256, eos=257)
    variables = {"params": {"w": jnp.ones(())}}
    for precision in ("float32", "bfloat16"):
        found = answers(reader, model, variables, One(), precision=precision)
        assert found.answered[0].per_length == (-52.0, -52.0)
    assert set(seen) == {"float32", "bfloat16"}
