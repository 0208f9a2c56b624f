"""Which rows are for what."""

from __future__ import annotations

import numpy as np
import pytest

from jaxtrain.data.shuffle import split_indices
from jaxtrain.data.tables.splitting import held_out, named_parts
from jaxtrain.errors import ConfigError, DataError


def test_the_rows_are_a_function_of_the_seed_alone():
    """Drawn from Philox words: another version of a library must not draw others."""
    rows = held_out(20, 0.25, 0, None)
    assert rows.tolist() == [2, 11, 13, 16, 18]
    assert held_out(20, 0.25, 1, None).tolist() != rows.tolist()


def test_each_class_has_its_share():
    classes = np.repeat([0, 1, 2], [100, 50, 11])[np.random.default_rng(0).permutation(161)]
    rows = held_out(161, 0.2, 3, classes)
    assert len(rows) == 32
    assert np.bincount(classes[rows]).tolist() == [20, 10, 2]
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() != held_out(161, 0.2, 4, classes).tolist()


def test_a_class_keeps_a_row_to_learn_from():
    classes = np.array([0, 1, 2, 3] + [4] * 6)
    rows = held_out(10, 0.5, 0, classes)
    assert set(classes[rows]) == {4}
    assert len(rows) == 5
    assert len(held_out(3, 0.6, 0, np.array([0, 0, 1]))) == 1  # of two that were asked for
    assert len(held_out(3, 0.4, 0, np.array([0, 1, 2]))) == 1  # where no class has two


def test_the_test_rows_and_the_validation_rows_of_one_seed_are_strangers():
    first = {tuple(held_out(40, 0.5, seed, None)) for seed in range(20)}
    other = {tuple(split_indices(40, 0.5, seed)[1]) for seed in range(20)}
    assert not first & other


@pytest.mark.parametrize(("length", "fraction"), [(2, 0.1), (2, 0.9), (1, 0.5)])
def test_no_part_is_empty(length, fraction):
    with pytest.raises(ConfigError, match=r"data\.test_fraction: .* leaves one part empty"):
        held_out(length, fraction, 0, None)


def test_a_column_says_it(read):
    table = read("a,s\n1,Train\n2,valid\n3,TEST\n4,train\n", text=("s",))
    parts = {name: rows.tolist() for name, rows in named_parts(table, "s").items()}
    assert parts == {"train": [0, 3], "validation": [1], "test": [2]}


def test_what_else_it_says_is_refused(read):
    with pytest.raises(DataError, match=r"t\.csv:3: column 's': expected train.*found 'holdout'"):
        named_parts(read("a,s\n1,train\n2,holdout\n", text=("s",)), "s")
    with pytest.raises(DataError, match=r"t\.csv:3: .*found '1'"):
        named_parts(read("a,s\n1,train\n2,1\n", text=("s",)), "s")
    with pytest.raises(ConfigError, match="no row says test"):
        named_parts(read("a,s\n1,train\n2,val\n", text=("s",)), "s")
