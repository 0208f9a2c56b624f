import re
from pathlib import Path

import pytest

from jaxtrain.config import check, load
from jaxtrain.config.reading import MAX_BYTES
from jaxtrain.errors import ConfigError

EXPECTED = {"seed": 1, "optimizer": {"name": "adamw", "learning_rate": 3e-4}, "tags": ("a", "b")}
FORMS = {
    "x.yaml": "seed: 1\noptimizer: {name: adamw, learning_rate: 3e-4}\ntags: [a, b]\n",
    "x.yml": "seed: 1\noptimizer:\n  name: adamw\n  learning_rate: 3e-4\ntags:\n- a\n- b\n",
    "x.sdn": "# notes\nseed: 1\noptimizer:\n  name: adamw\n  learning_rate: 3e-4\ntags: [a, b]\n",
    "x.json": '{"seed": 1, "optimizer": {"name": "adamw", "learning_rate": 3e-4},"tags":["a","b"]}',
    "x.toml": 'seed = 1\ntags = ["a", "b"]\n[optimizer]\nname = "adamw"\nlearning_rate = 3e-4\n',
    "x.py": (
        "import ml_collections\n"
        "def get_config():\n"
        "    config = ml_collections.ConfigDict({'seed': 1, 'optimizer': {'name': 'adamw'}})\n"
        "    config.optimizer.learning_rate = 3e-4\n"
        "    config.tags = ['a', 'b']\n"
        "    return config\n"
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_reads_the_same(name, write):
    assert load(write(name, FORMS[name])).to_dict() == EXPECTED


@pytest.mark.parametrize("name", ["x.yaml", "x.sdn", "x.toml"])
def test_an_empty_file_is_all_defaults(name, write):
    assert load(write(name, "")).to_dict() == {}


def test_a_python_config_may_return_a_dict_and_leaves_nothing_beside_it(write, tmp_path):
    path = write("x.py", "def get_config():\n    return {'a': {'b': 1}}\n")
    assert load(path).to_dict() == {"a": {"b": 1}}
    assert [file.name for file in tmp_path.iterdir()] == ["x.py"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.yaml", "a: 1\na: 2", r"^x\.yaml:2: a: duplicate key"),
        ("x.sdn", "a: 1\na: 2", r"^x\.sdn:2: a: duplicate key"),
        ("x.json", '{"a": 1,\n"a": 2}', r"^x\.json:2: a: duplicate key"),
        (
            "x.toml",
            "a = 1\na = 2\nb = 3",
            r"^x\.toml:2:6: not valid TOML: Cannot overwrite a value$",
        ),
        (
            "x.toml",
            "[s]\nday = 2024-01-01",
            r"^x\.toml:2: s\.day: put the date 2024-01-01 in quotes",
        ),
        ("x.sdn", "a: &x 1\nb: *x", r"^x\.sdn:1: anchors and aliases are not part of SDN"),
        ("x.yaml", "[1, 2]", r"^x\.yaml: expected a mapping .* found \(1, 2\)"),
        ("x.yaml", "optimizer.name: adamw", r"^x\.yaml:1: a config key is text without dots"),
        ("x.sdn", "a:\n  b.c: 1", r"^x\.sdn:2: a config key is text without dots"),
        ("x.sdn", "a: 1\nb: [1", r"^x\.sdn:2: not valid SDN: "),
        ("x.sdn", "a: 1\nb: 2: 3", r"^x\.sdn:2: not valid SDN: "),
        ("x.sdn", "a: 1\nb: \x00", r"^x\.sdn:2: not valid SDN: "),
        ("x.sdn", "a: 1\nb: !!int 3", r"^x\.sdn:2: tags are refused in SDN"),
        ("x.json", "[" * 100_000, r"^x\.json: nested too deeply"),
        ("x.yaml", "[" * 20_000, r"^x\.yaml: nested too deeply"),
        ("x.toml", "a = " + "[" * 20_000, r"^x\.toml: "),
        ("x.py", "def get_config(:", r"^x\.py:1: SyntaxError"),
        ("x.py", "\nimport nowhere_at_all", r"^x\.py:2: ModuleNotFoundError"),
        ("x.py", "def get_config():\n    return {}['a']", r"^x\.py:2: KeyError: 'a'"),
        ("x.py", "a = 1", r"^x\.py: expected a function get_config\(\)"),
        ("x.py", "def get_config(): return 3", r"^x\.py: get_config\(\) must return .* found 3"),
        ("x.ini", "", r"^x\.ini: expected a file that ends in \.py, \.yaml"),
    ],
)
def test_refusals_name_the_file(name, text, message, write):
    with pytest.raises(ConfigError, match=message) as caught:
        load(write(name, text))
    assert caught.value.exit_code == 2


def test_missing_files(write, tmp_path):
    write("digits.yaml", "")
    with pytest.raises(ConfigError, match=r"no such file in .*; did you mean 'digits\.yaml'\?"):
        load("digit.yaml")
    with pytest.raises(ConfigError, match="there is no directory nowhere"):
        load("nowhere/digits.yaml")
    (tmp_path / "d.yaml").mkdir()
    with pytest.raises(ConfigError, match="expected a file, found something else"):
        load("d.yaml")


def test_other_bytes_than_text_and_too_many_are_refused(write, tmp_path):
    path = write("x.yaml", "")
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match=r"x\.yaml: not UTF-8 text: .* at byte 3"):
        load(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load(path)


def test_a_base_shared_by_python_configs_keeps_its_own_place_in_errors(write, registries):
    write("base.py", "def get_config(): return {'seed': -1, 'train': {'epochs': 3}}\n")
    path = write(
        "x.py",
        "from pathlib import Path\nfrom jaxtrain.config import load, merge\n"
        "def get_config():\n"
        "    return merge(load(Path(__file__).with_name('base.py')), {'train': {'epochs': 0}})\n",
    )
    with pytest.raises(ConfigError) as caught:
        check(load(path), registries)
    assert str(caught.value).splitlines() == [
        "base.py: seed: expected a whole number of at least 0 and below 2147483648, found -1",
        "x.py: train.epochs: expected a whole number between 1 and 1000000, found 0",
    ]


def test_a_config_that_reads_another_of_its_name_is_itself_again_afterwards(write, tmp_path):
    """Dataclasses look for their module by its name."""
    (tmp_path / "base").mkdir()
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from jaxtrain.config import load\n"
        "def get_config():\n"
        "    {read}\n"
        "    @dataclass\n    class Config:\n        seed: int = {seed}\n"
        "    return Config()\n"
    )
    write("base/x.py", text.format(read="pass", seed=1))
    path = write("x.py", text.format(read="assert load('base/x.py').seed == 1", seed=2))
    assert load(path).to_dict() == {"seed": 2}


def test_what_a_config_says_of_missing_data_is_what_is_told(write):
    path = write(
        "x.py",
        "from jaxtrain.errors import DataNotFoundError\n"
        "def get_config():\n    raise DataNotFoundError('fetch it first')\n",
    )
    with pytest.raises(ConfigError, match=r"^fetch it first$"):
        load(path)


def test_what_can_not_be_read_is_a_config_error(write):
    """C21."""
    with pytest.raises(ConfigError, match="can't be read: File name too long"):
        load("x" * 300 + ".yaml")


def test_the_readmes_examples_are_configs(write, tmp_path, monkeypatch):
    from jaxtrain.phases import PhasedConfig, is_phased
    from jaxtrain.run import REGISTRIES

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    examples = re.findall(r"```(yaml|sdn)\n(.*?)```", readme, re.DOTALL)
    assert [suffix for suffix, _ in examples] == [*["yaml"] * 3, "sdn", *["yaml"] * 6]
    *trees, phased = [load(write(f"x.{s}", text)) for s, text in examples]
    configs = [check(tree, REGISTRIES) for tree in trees]
    reviews, text, *others, adapter = configs
    assert (reviews.data.name, reviews.model.name) == ("labelled_text", "gru")
    assert text.model.name == "decoder"
    assert {config.model.name for config in (*others, adapter)} == {"mlp"}
    assert [config.model.hidden for config in others[:2]] == [(64, 64)] * 2
    assert adapter.lora.dora
    assert is_phased(phased)
    found = PhasedConfig.of(phased)
    assert found.every == ("base", "korean", "medical")
    assert found.config_of("medical").data.share == 0.2
