"""A run as files of Hugging Face: what others load, and what writes as the run does."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings

import jax
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.main import main
from jaxtrain.models import hf
from jaxtrain.run import Experiment, Trained, make_config
from jaxtrain.run.exporting import export
from jaxtrain.run.language_model import LanguageModel

pytestmark = pytest.mark.slow  # each trains a run first

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "slept", "."]
TEXT = 30 * (
    "the cat sat on a mat .\n\nthe cat slept on a mat and sat .\n\na cat sat and slept .\n\n"
)
CONFIG = {
    "data": {"name": "text", "path": "text.txt", "length": 16, "separator": "\n\n"},
    "model": {"name": "decoder", "width": 16, "layers": 2, "heads": 2, "kv_heads": 1},
    "loss": {"name": "next_token"},
    "optimizer": {"learning_rate": 0.02},
    "train": {"epochs": 1},
    "hooks": {"progress": None, "console": None},
    "workdir": "run",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A run over the words of a tokenizer.json; all paths are relative."""
    tokenizers = pytest.importorskip("tokenizers", reason="the text extra installs it")
    place = tmp_path_factory.mktemp("template")
    names = ["<unk>", "<s>", "</s>", "<x>", *WORDS]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>", "</s>", "<unk>", "<x>"])
    made.save(str(place / "words.json"))
    (place / "text.txt").write_text(TEXT)
    (place / "lm.json").write_text(json.dumps(CONFIG))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        words = ["--config.data.tokenizer=words.json", "--config.data.eos=true"]
        sizes = ["--config.model.vocab_size=20", "--config.model.max_length=48"]
        assert main(["lm.json", "--workdir", "words", *words, *sizes]) == 0
    return place


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    shutil.copytree(template, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def written(model, prompt="the cat"):
    return "".join(model.write(prompt, max_new_tokens=24))


def trained_over(tokenizer="words.json", *, reader=None, **options):
    """The run as if it had been one over other data."""
    trained = Trained.load("words")
    data = trained.config.data.model_copy(update={"tokenizer": tokenizer, **options})
    config = trained.config.model_copy(update={"data": data})
    learnt = trained.learnt.model_copy(update={"reader": reader} if reader else {})
    return dataclasses.replace(trained, config=config, learnt=learnt)


@pytest.mark.parametrize(
    ("options", "bos", "stop"),
    [
        ({}, None, (2,)),
        ({"bos": True, "eos": False}, 1, ()),
        ({"bos": "<x>", "eos": "<x>"}, 3, (3,)),
    ],
    ids=str,
)
def test_it_writes_what_the_run_writes(place, options, bos, stop):
    """Whatever begins and ends its texts, and whatever the tokenizer says of that."""
    trained = trained_over(**options)
    export(trained, "out")
    own, other = LanguageModel.of_run(trained), LanguageModel.of_files("out")
    assert (own.bos, own.stop) == (other.bos, other.stop) == (bos, stop)
    assert own.config == other.config
    leaves = zip(jax.tree.leaves(other.params), jax.tree.leaves(own.params), strict=True)
    for found, expected in leaves:
        np.testing.assert_array_equal(found, expected)
    assert written(other) == written(own) != ""


def test_what_is_written(place):
    found = export(Trained.load("words"), "out").summary()
    count = 20 * 16 * 2 + 2 * (16 + 256 + 128 + 128 + 256 + 16 + 3 * 16 * 64) + 16
    assert found == (
        f"out: config.json and {count:,} parameters of a llama in float32, with tokenizer.json"
    )
    names = {path.name for path in (place / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json"}
    assert (place / "out/tokenizer.json").read_bytes() == (place / "words.json").read_bytes()
    entries = json.loads((place / "out/config.json").read_text())
    assert (entries["bos_token_id"], entries["eos_token_id"]) == (None, 2)
    assert (entries["vocab_size"], entries["torch_dtype"]) == (20, "float32")


def test_the_dtype_that_is_asked_for(place):
    found = export(Trained.load("words"), "half", dtype="bfloat16")
    assert "in bfloat16" in found.summary()
    _, params = hf.load("half")
    assert {x.dtype.name for x in jax.tree.leaves(params)} == {"bfloat16"}
    with pytest.raises(ConfigError, match="dtype: expected one of"):
        export(Trained.load("words"), "x", dtype="int8")


def test_what_says_which_tokens_are_special_goes_along(place):
    (place / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<x>"}))
    export(Trained.load("words"), "out")
    assert (place / "out/tokenizer_config.json").read_text() == '{"eos_token": "<x>"}'
    assert LanguageModel.of_files("out").stop == (3,)


def test_characters_have_no_file(place):
    reader = {"tokenizer": {"kind": "characters", "characters": "abc"}}
    found = export(trained_over("characters", reader=reader, eos=False), "out")
    assert found.summary().endswith("without a tokenizer: 'characters' has no file")
    names = {path.name for path in (place / "out").iterdir()}
    assert names == {"config.json", "model.safetensors"}
    config, _ = hf.load("out")
    assert config.width == 16


def test_nothing_is_replaced_and_nothing_left_behind(place):
    (place / "out").mkdir()
    (place / "out/mine").write_text("mine")
    before = {path.name for path in place.iterdir()}
    with pytest.raises(ConfigError, match="found 'mine' in it; nothing is replaced"):
        export(Trained.load("words"), "out")
    assert [path.name for path in (place / "out").iterdir()] == ["mine"]
    assert {path.name for path in place.iterdir()} == before


def test_the_tokenizer_is_that_of_the_run_or_none(place):
    (place / "words.json").write_text((place / "words.json").read_text() + " ")
    with pytest.raises(DataError, match="not the tokenizer that the model was trained with"):
        export(Trained.load("words"), "out")
    (place / "words.json").unlink()
    with pytest.raises(DataNotFoundError, match="tokenizer not found"):
        export(Trained.load("words"), "out")
    assert not (place / "out").exists()


def test_tokens_without_a_tokenizer(place):
    """As a source of one's own has them, whose reader is none of text, or that has none."""
    trained = Trained.load("words")
    learnt = trained.learnt.model_copy(update={"reader": None})
    found = export(dataclasses.replace(trained, learnt=learnt), "out")
    assert found.summary().endswith("without a tokenizer: its data, 'text', have none")
    entries = json.loads((place / "out/config.json").read_text())
    assert entries["eos_token_id"] is None
    assert "jaxtrain" not in entries


def test_a_run_of_something_else(place):
    (place / "digits.json").write_text(
        json.dumps({"model": {"hidden": [2]}, "train": {"epochs": 1}, "hooks": CONFIG["hooks"]})
    )
    assert main(["digits.json", "--workdir", "digits"]) == 0
    with pytest.raises(ConfigError, match="its model is 'mlp'; expected a decoder"):
        export(Trained.load("digits"), "out")


@pytest.mark.parametrize(
    "said",
    [
        [],
        "x",
        {"bos": 1},
        {"bos": [1], "stop": []},
        {"bos": -1, "stop": []},
        {"bos": None, "stop": [True]},
    ],
    ids=str,
)
def test_what_says_no_tokens_is_told(place, said):
    export(Trained.load("words"), "out")
    path = place / "out/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"jaxtrain": said}))
    with pytest.raises(DataError, match=r"config\.json: jaxtrain"):
        LanguageModel.of_files("out")


def test_transformers_loads_it_and_writes_the_same(place):
    torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    transformers = pytest.importorskip("transformers", reason="the peers extra installs it")
    trained = Trained.load("words")
    export(trained, "out")
    own = LanguageModel.of_run(trained)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForCausalLM.from_pretrained("out").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained("out")
        assert model.generation_config.eos_token_id == 2
        tokens = own.prompt("the cat")
        assert tokenizer("the cat")["input_ids"] == tokens
        said = model.generate(torch.tensor([tokens]), max_new_tokens=24, do_sample=False)
    text = tokenizer.decode(said[0, len(tokens) :], skip_special_tokens=True)
    assert text.split() == written(own).split()


def test_a_model_of_sentencepiece_goes_along(shared_data, place):
    pytest.importorskip("sentencepiece", reason="the text extra installs it")
    shutil.copy(shared_data / "tokenizers/mistral01.model", "some.model")
    words = ["--config.data.tokenizer=some.model", "--config.data.bos=true"]
    small = ["--config.model.width=8", "--config.model.layers=1", "--config.data.path=few.txt"]
    (place / "few.txt").write_text(TEXT[:600])
    assert main(["lm.json", "--workdir", "pieces", *words, *small]) == 0
    trained = Trained.load("pieces")
    found = export(trained, "out")
    assert found.tokenizer == "tokenizer.model"
    own, other = LanguageModel.of_run(trained), LanguageModel.of_files("out")
    assert (other.bos, other.stop) == (own.bos, own.stop) == (1, ())
    assert written(other) == written(own)


def test_a_mixture_has_the_tokenizer_of_its_parts(tmp_path):
    """A phase with replay is one."""
    facts = {"name": "facts", "root": str(tmp_path), "length": 32, "count": 4}
    parts = {"own": facts, "more": {**facts, "domain": "medical"}}
    tree = {
        "data": {"name": "mixture", "share": 0.5, "parts": parts, "batch_size": 2},
        "model": {"name": "decoder", "width": 8, "layers": 1, "heads": 2},
        "loss": {"name": "next_token"},
        "train": {"epochs": 1},
        "hooks": {"progress": None, "console": None},
    }
    Experiment.of(make_config(tree), tmp_path / "run").train()
    found = export(Trained.load(tmp_path / "run"), tmp_path / "out")
    assert "without a tokenizer: 'ByteTokenizer' has no file" in found.summary()
