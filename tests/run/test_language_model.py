"""LanguageModel: a decoder and its tokenizer, from runs and from files, and what it writes."""

from __future__ import annotations

import json
import shutil

import jax
import pytest

from jaxtrain.data.text.byte_tokenizer import ByteTokenizer
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.generation import Generator
from jaxtrain.main import main
from jaxtrain.models import hf
from jaxtrain.models.decoder import DecoderConfig, initial_params
from jaxtrain.run import Trained
from jaxtrain.run.language_model import LanguageModel

BOTTLES = "".join(f"{number} bottles of beer on the wall.\n" for number in range(300))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    (place / "text.txt").write_text(BOTTLES)
    data = {"name": "text", "root": str(place), "path": "text.txt", "tokenizer": "characters"}
    config = {
        "data": data | {"length": 32, "batch_size": 16},
        "model": {"name": "decoder", "width": 32, "layers": 2, "heads": 2, "max_length": 64},
        "loss": {"name": "next_token"},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 3},
        "hooks": {"progress": None, "console": None},
    }
    (place / "config.json").write_text(json.dumps(config))
    assert main([str(place / "config.json"), "--workdir", str(place / "run")]) == 0
    return place / "run"


@pytest.fixture
def bytewise():
    """A decoder of random weights on bytes."""
    config = DecoderConfig.llama(vocab_size=258, width=16, layers=1, heads=2, max_length=48)
    params = jax.tree.map(lambda x: x * 5, initial_params(jax.random.key(0), config))
    return LanguageModel(params, config, ByteTokenizer(), 256, (257,))


def test_a_run_goes_on_as_its_text_does(run):
    model = LanguageModel.of_run(Trained.load(run))
    assert (model.bos, model.stop) == (None, ())
    text = "".join(model.write("12 bot", max_new_tokens=30))
    assert text.startswith("tles of beer on the wall.\n12")
    with pytest.raises(ConfigError, match=r"prompt: the tokenizer has no token for \['X', 'é'\]"):
        model.write("12 Xé")


def test_the_config_is_that_of_the_run(run):
    trained = Trained.load(run)
    model = LanguageModel.of_run(trained)
    assert model.config == DecoderConfig.llama(
        vocab_size=trained.learnt.num_outputs, width=32, layers=2, heads=2, max_length=64
    )


def test_a_prompt_begins_with_bos(bytewise):
    assert bytewise.prompt("hi") == [256, *b"hi"]
    assert bytewise.prompt("") == [256]
    without = LanguageModel(bytewise.params, bytewise.config, ByteTokenizer(), None, ())
    with pytest.raises(ConfigError, match="prompt: is empty, and no token begins a text"):
        without.prompt("")


def test_by_default_there_is_as_much_as_there_is_room_for(bytewise):
    endless = LanguageModel(bytewise.params, bytewise.config, Counting(), 256, ())
    assert "".join(endless.write("hello")) == "." * 42


class Counting(ByteTokenizer):
    def decode(self, tokens):
        return "." * len(tokens)


def test_what_is_drawn_follows_the_seed(bytewise):
    def text(seed):
        return "".join(bytewise.write("x", temperature=1.5, seed=seed, max_new_tokens=20))

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) == 4


def test_what_the_tokenizer_does_not_have_is_not_written():
    """A model of 300 tokens, 42 of which stand for no bytes."""
    config = DecoderConfig.llama(vocab_size=300, width=16, layers=1, heads=2, max_length=128)
    params = jax.tree.map(lambda x: x * 5, initial_params(jax.random.key(0), config))
    model = LanguageModel(params, config, ByteTokenizer(), 256, ())
    (free,) = Generator(params, config).generate(
        [[256]], max_new_tokens=100, temperature=2.0, rng=jax.random.key(0)
    )
    assert free.max() >= 258
    for seed in range(2):
        assert "".join(model.write("", max_new_tokens=100, temperature=2.0, seed=seed))


def test_it_streams(bytewise):
    model = LanguageModel(bytewise.params, bytewise.config, Counting(), 256, ())
    parts = list(model.write("x", max_new_tokens=20, chunk=5))
    assert [len(part) for part in parts] == [1, 5, 5, 5, 4]


def test_wrong_options_are_told_at_once(bytewise):
    with pytest.raises(ConfigError, match="top_p: expected more than 0"):
        bytewise.write("x", temperature=1.0, top_p=2.0)
    with pytest.raises(ConfigError, match="are more than the model is meant for"):
        bytewise.write("x", max_new_tokens=1000)
    with pytest.raises(ConfigError, match="are more than the model is meant for"):
        bytewise.write("x" * 60)


def test_a_run_of_something_else_is_told(tmp_path):
    from pathlib import Path

    config = str(Path(__file__).parents[2] / "configs/digits.py")
    quiet = ["--config.hooks.progress=null", "--config.hooks.console=null"]
    words = [*quiet, "--config.train.epochs=1", "--workdir", str(tmp_path / "run")]
    assert main([config, *words]) == 0
    with pytest.raises(ConfigError, match="its model is 'mlp'; expected a decoder"):
        LanguageModel.of_run(Trained.load(tmp_path / "run"))


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path):
    """As Hugging Face has it: a tiny Llama, and a tokenizer of bytes that merges nothing."""
    tokenizers = pytest.importorskip("tokenizers", reason="the text extra installs it")
    folder = tmp_path / "model"
    config = DecoderConfig.llama(vocab_size=40, width=16, layers=1, heads=2, max_length=48)
    params = initial_params(jax.random.key(0), config)
    hf.save(folder, config, jax.tree.map(lambda x: x * 5, params))
    words = {word: number for number, word in enumerate(["<s>", "</s>", "<unk>", *"abcdefgh"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>", "</s>", "<unk>"])
    made.save(str(folder / "tokenizer.json"))
    return folder


def test_a_directory_of_hugging_face(directory):
    model = LanguageModel.of_files(directory)
    assert (model.bos, model.stop) == (0, (1,))
    assert model.prompt("a b") == [0, 3, 4]
    assert model.params["norm"]["scale"].dtype == "float32"
    half = LanguageModel.of_files(directory, dtype="bfloat16")
    assert half.params["norm"]["scale"].dtype == "bfloat16"


@pytest.mark.parametrize(("said", "stop"), [(7, (1, 7)), ([7, 9, 500], (1, 7, 9)), (None, (1,))])
def test_all_tokens_that_end_a_text(directory, said, stop):
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": said}))
    assert LanguageModel.of_files(directory).stop == stop


@pytest.mark.parametrize("text", ["{", "[]", '{"eos_token_id": "x"}', '{"eos_token_id": [true]}'])
def test_what_says_no_tokens_is_told(directory, text):
    (directory / "generation_config.json").write_text(text)
    with pytest.raises(DataError, match=r"generation_config.json"):
        LanguageModel.of_files(directory)


def test_a_home_directory_is_found_as_the_shell_does(directory, monkeypatch):
    """With all that the files say of a run's texts, and of those of others."""
    monkeypatch.setenv("HOME", str(directory.parent))
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": 7}))
    assert LanguageModel.of_files("~/model").stop == (1, 7)
    entries = json.loads((directory / "config.json").read_text())
    said = entries | {"jaxtrain": {"bos": None, "stop": [9]}}
    (directory / "config.json").write_text(json.dumps(said))
    for tokenizer in (None, "~/model/tokenizer.json"):
        model = LanguageModel.of_files("~/model", tokenizer=tokenizer)
        assert (model.bos, model.stop) == (None, (9,))


def test_no_tokenizer(directory, tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    shutil.move(directory / "tokenizer.json", elsewhere)
    with pytest.raises(ConfigError, match=r"no tokenizer is found \(tokenizer.json or"):
        LanguageModel.of_files(directory)
    assert LanguageModel.of_files(directory, tokenizer=elsewhere).bos == 0


def test_no_model(tmp_path, directory):
    with pytest.raises(DataNotFoundError, match="there is no such directory"):
        LanguageModel.of_files(tmp_path / "gone", tokenizer=directory / "tokenizer.json")


def test_the_real_stories_word_for_word(shared_data):
    """Greedily, as llama2.c itself writes it (its test_all.py; SOURCE.md beside the checkpoint)."""
    folder = shared_data / "stories260k"
    model = LanguageModel.of_files(folder / "stories260K.bin", tokenizer=folder / "tok512.bin")
    text = "".join(model.write("", max_new_tokens=200))
    expected = (folder / "SOURCE.md").read_text().split('(200 steps): "')[1].rsplit('"\n\n## ')[0]
    assert len(expected) > 400
    assert text.startswith(expected.replace("\\n", "\n"))
