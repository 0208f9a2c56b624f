"""Names that MLflow takes; two never become one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.tracking.mlflow.names import KEY, metric_name, plain_text


@pytest.mark.parametrize("name", ["loss", "val/loss", "a b-c_d.e", "émile", "n" * 250])
def test_what_mlflow_takes_stays(name):
    assert metric_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "/a", "a//b", "a/", "a/./b", "a\n", "100 %", "n" * 251, "a:b"]
)
def test_what_it_does_not_take_is_named_otherwise(name):
    assert metric_name(name) != name
    assert metric_name(name) == metric_name(name)


def test_an_identity_is_always_told():
    assert len({metric_name("a"), metric_name("a", "x"), metric_name("a", "y")}) == 3


@settings(max_examples=25)
@given(st.lists(st.text(max_size=300), unique=True))
def test_any_names_are_taken_and_stay_apart(names):
    mlflow = pytest.importorskip("mlflow.utils.validation")
    found = [metric_name(name) for name in names]
    assert len(set(found)) == len(names)
    for name in found:
        mlflow._validate_metric_name(name)
        mlflow._validate_param_name(name)
        assert len(name) <= KEY


def test_texts_can_be_sent_and_stored():
    assert plain_text("a\0b\ud800ö\n") == "a\\x00b\\ud800ö\n"


def test_a_long_name_is_as_long_as_may_be():
    assert len(metric_name("n" * 251)) == KEY
    assert metric_name("n" * 251) != metric_name("n" * 252)
