"""Configs and command lines that nobody would write: only exit code 2 comes out, or they are fine.

The examples are the same each time, and so many that a room's mistake of the usual kinds is among
them: half a character, a key that is no word, a list where a section is, a value cut in two.
"""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxtrain.cli import check, plan, train
from jaxtrain.config import ConfigDict, ExperimentConfig, load
from jaxtrain.errors import ConfigError
from jaxtrain.main import main
from jaxtrain.run import REGISTRIES, make_config


def fixed(examples):
    """Always the same, however busy the machine is."""
    ignored = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(derandomize=True, max_examples=examples, suppress_health_check=ignored)


SEEDS = {
    ".yaml": "seed: 1\noptimizer: {name: adamw, learning_rate: 3e-4}\nhooks: {jsonl: {every: 2}}\n",
    ".sdn": "# notes\nseed: 1\nmodel:\n  name: mlp\n  hidden: [64, 'x']\nmetrics: [loss]\n",
    ".json": '{"seed": 1, "model": {"hidden": [64, 1e3], "name": "\\u00e9"}, "hooks": null}',
    ".toml": 'seed = 1\n[model]\nhidden = [1, 2]\n[[metrics]]\nname = "loss"\n[a."b c"]\nd = 1.5',
    ".py": "def get_config():\n    return {'seed': 1, 'model': {'hidden': (64, 3.0)}, 'x': []}\n",
}
ODD = [
    *("\x00", "\ud800", "\U0001f600", "\u2028", "\x85", "\ufeff", "\t", "\n", "  "),
    *("&a", "*a", "!!x", "<<", "'", '"', "[", "]", "{", "}", ":", "=", ",", "#", "-", ".", "\\"),
    *("1e999", "null", "~", "07:32:00", "\\ud800"),
]
SOME = {"name", "every", "hidden", "learning_rate", "epochs", "mlp", "x"}
KEYS = sorted({*ExperimentConfig.model_fields, *SOME})
NAMES = sorted({name for registry in REGISTRIES.values() for name in registry.names()})
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([*NAMES, *ODD]),
)
TREES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=4),
    ),
    max_leaves=8,
)


def is_fine(read):
    """What `read` returns, or None where it says in a line or a few what is wrong."""
    try:
        return read()
    except ConfigError as error:
        said = str(error)
    assert said
    return None


@st.composite
def spoilt(draw, text):
    """`text` with a few places cut out, doubled, moved or overwritten."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        middle = draw(
            st.one_of(
                st.sampled_from(["", text[at:end] * 2, text[:at]]),
                st.sampled_from(ODD),
                st.text(string.printable, max_size=4),
            )
        )
        text = text[:at] + middle + text[end:]
    return text


@pytest.mark.parametrize("suffix", SEEDS)
@fixed(120)
@given(data=st.data())
def test_a_spoilt_file_is_read_or_refused(tmp_path, suffix, data):
    path = tmp_path / f"x{suffix}"
    text = data.draw(spoilt(SEEDS[suffix]))
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    tree = is_fine(lambda: load(path))
    if tree is not None:
        assert isinstance(tree, ConfigDict)
        is_fine(lambda: make_config(tree))


@fixed(200)
@given(tree=TREES)
def test_any_tree_is_checked_or_refused(tree):
    config = is_fine(lambda: make_config(tree if isinstance(tree, dict) else {"model": tree}))
    assert config is None or isinstance(config, ExperimentConfig)


@fixed(150)
@given(tree=TREES)
def test_any_json_is_read_or_refused(tmp_path, tree):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(tree))
    is_fine(lambda: make_config(path))


@pytest.fixture
def words_only(tmp_path, monkeypatch):
    """A working directory, and commands that end once their words are understood."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.yaml").write_text("seed: 1\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("seed: 2\n")

    config_of = check.config_of

    def stop(config):
        assert isinstance(config, ExperimentConfig)
        raise ConfigError("so far")

    for module in (train, plan):
        monkeypatch.setattr(module, "task_of", stop)
    monkeypatch.setattr(check, "config_of", lambda *words: stop(config_of(*words)))


OPTIONS = ["--config", "--seed", "--device", "--workdir", "--plugin", "--resume", "--checkpoint"]
PLAIN = [
    *("train", "plan", "check", "evaluate", "checkpoints", "list", "k.yaml", "run", "models"),
    *("--", "-", "--traceback", "--lr", "-x", "nowhere.yaml", "", "~", "3", "mlp", "."),
    *("--config.seed=3", "--config.model.hidden", "--config.=", "--config.x"),
]
WORDS = st.one_of(
    st.sampled_from([*OPTIONS, *PLAIN]),
    st.builds(lambda key, value: f"--config.{key}={value}", st.sampled_from(KEYS), ATOMS),
    st.text(max_size=6),
    st.sampled_from(ODD),
)


@fixed(300)
@given(words=st.lists(WORDS, min_size=1, max_size=6))
def test_any_words_are_understood_or_refused(words_only, capsys, words):
    if any(word in ("-h", "--help", "--version") for word in words):
        return
    code = main(words)
    said = capsys.readouterr()
    assert code in (0, 2), (words, said.err)
    assert (code == 0) is ("list" in words[:1] and not said.err)
    assert "Traceback" not in said.err or "--traceback" in words
    assert said.err.strip() or code == 0
