"""All that was learnt from the training rows, as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxtrain.data.tables import Dialect, read_head
from jaxtrain.data.tables.fitted import Fitted
from jaxtrain.data.tables.format import TableFormat
from jaxtrain.errors import DataError

STATE = {
    "version": 1,
    "ids": ["id"],
    "encoder": [{"kind": "category", "name": "b", "categories": ["1", "x"]}],
    "target": {"task": "classification", "name": "y", "classes": ["1", "2"]},
}


def test_there_and_back():
    fitted = Fitted.from_json(STATE)
    assert json.loads(json.dumps(fitted.to_json())) == STATE
    assert fitted.features == ("b",)


def test_codes_are_read_as_text(write):
    """Categories and classes that look like numbers."""
    fitted, written = Fitted.from_json(STATE), TableFormat()
    head = read_head(write("b,y\n1,2\n2,1\n"), Dialect())
    found = fitted.datasets(fitted.read(head, written), written, {"all": np.arange(2)})["all"]
    assert found.inputs.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"ids": "id"},
        {"ids": [1]},
        {"encoder": []},
        {"target": None},
        {"target": {"task": "classification", "name": "b", "classes": ["1"]}},
    ],
)
def test_what_was_not_fitted_is_refused(wrong):
    with pytest.raises(DataError):
        Fitted.from_json(STATE | wrong)
    with pytest.raises(DataError, match="expected version 1"):
        Fitted.from_json(None)
