import argparse

import pytest

from jaxtrain.cli.configured import phased_of
from jaxtrain.errors import ConfigError
from tests.phases.test_phased_config import TREE


def options(path):
    names = dict.fromkeys(("seed", "device", "workdir"))
    return argparse.Namespace(command="train", config=str(path), plugin=[], **names)


def write(path, tree):
    from jaxtrain.config.output import dump

    dump(tree, path)
    return path


def test_a_config_with_phases_is_one_and_another_is_none(tmp_path):
    found = phased_of(options(write(tmp_path / "a.yaml", TREE)), ["seed=7"])
    assert found.config_of("one").seed == 7
    assert phased_of(options(write(tmp_path / "b.yaml", {"data": {"name": "digits"}})), []) is None


def test_what_belongs_to_phases_without_them_is_told(tmp_path):
    tree = {("phase" if key == "phases" else key): value for key, value in TREE.items()}
    with pytest.raises(
        ConfigError, match=r"base and retention belong to .* no section `phases`; is 'phase' meant"
    ):
        phased_of(options(write(tmp_path / "a.yaml", tree)), [])
