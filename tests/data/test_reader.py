"""What a reader hands over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jaxtrain.data import READERS, NewRows, Reader
from jaxtrain.errors import ConfigError, DataError


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="expected as many of each"):
        NewRows(np.zeros((3, 2)), ids={"row": [1, 2]})
    with pytest.raises(DataError, match="expected as many of each"):
        NewRows(np.zeros((3, 2)), labels=np.zeros(2))
    with pytest.raises(DataError, match="at least one"):
        NewRows(np.zeros((0, 2)))
    assert len(NewRows(np.zeros((3, 2)), known=np.ones(3, bool))) == 3


def test_what_reads_nothing_is_no_reader():
    class Fitted:
        def state(self):
            return {}

    assert not isinstance(Fitted(), Reader)

    class Reads(Fitted):
        def read(self, path: Path) -> NewRows:
            return NewRows(np.zeros((1, 1)))

    assert isinstance(Reads(), Reader)


def test_readers_are_named_as_their_sources_are():
    from jaxtrain.data import SOURCES

    assert set(READERS.names()) <= set(SOURCES.names())
    with pytest.raises(ConfigError, match="unknown reader"):
        READERS["no_such_source"]
