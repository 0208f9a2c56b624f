import dataclasses
from typing import Annotated

import pydantic
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.metrics import (
    METRICS,
    Accuracy,
    Loss,
    Mean,
    MeanSquaredError,
    Metric,
    Perplexity,
    R2Score,
    RootMeanSquaredError,
    TokenAccuracy,
    Tokens,
)
from jaxtrain.registry import Registry


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    name: str


def build(name, **options):
    return METRICS.build(METRICS.schema(name, Section)(name=name, **options))


def test_the_metrics_that_a_config_can_name():
    assert METRICS.names() == [
        "accuracy",
        "average_precision",
        "confusion_matrix",
        "f1",
        "fbeta",
        "loss",
        "mean",
        "mean_absolute_error",
        "mean_squared_error",
        "perplexity",
        "precision",
        "r2_score",
        "recall",
        "roc_auc",
        "root_mean_squared_error",
        "token_accuracy",
        "tokens",
    ]
    assert build("accuracy") == Accuracy()
    assert build("loss") == Loss()
    assert build("perplexity", outputs="outputs.text") == Perplexity(outputs="outputs.text")
    assert build("token_accuracy", mask=None) == TokenAccuracy(mask=None)
    assert build("tokens", labels="labels.text") == Tokens(labels="labels.text")
    assert build("mean_squared_error", outputs="a.b") == MeanSquaredError(outputs="a.b")
    assert build("mean", key="grad_norm", mask=None) == Mean("grad_norm", mask=None)
    assert isinstance(build("loss"), Metric)


@pytest.mark.parametrize(
    ("name", "cls"), [("r2_score", R2Score), ("root_mean_squared_error", RootMeanSquaredError)]
)
def test_columns_come_from_the_data_where_the_config_says_no_others(name, cls):
    def columns(**options):
        return METRICS.build(METRICS.schema(name, Section)(name=name, **options), num_outputs=4)

    assert columns() == cls(columns=4)
    options = {"outputs": "outputs.depth", "labels": "labels.depth", "mask": None}
    assert columns(columns=2, **options) == cls(columns=2, **options)
    with pytest.raises(pydantic.ValidationError, match="columns"):
        columns(columns=0)


def test_options_reach_the_metric():
    options = {"top_k": 5, "ignore_label": -100, "outputs": "o.a", "labels": "l.a", "mask": None}
    assert build("accuracy", **options) == Accuracy(**options)


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("accuracy", {"top_k": 0}, "top_k"),
        ("accuracy", {"top_k": "many"}, "top_k"),
        ("accuracy", {"topk": 5}, "topk"),
        ("accuracy", {"state_type": "x"}, "state_type"),
        ("mean", {}, "key"),
        ("loss", {"key": "x"}, "key"),
    ],
)
def test_wrong_options_do_not_pass_the_schema(name, options, key):
    with pytest.raises(pydantic.ValidationError, match=key):
        build(name, **options)


def test_what_is_no_metric_is_refused_with_what_one_is():
    METRICS.register("tests_no_metric")(lambda: 3)
    try:
        with pytest.raises(
            ConfigError, match=r"return a Metric or a HostMetric, found a builtins\.int; a m"
        ):
            build("tests_no_metric")
    finally:
        METRICS._factories.pop("tests_no_metric")


def test_keyword_only_fields_of_a_dataclass_are_options_those_made_anew_too():
    registry = Registry("thing", returns=object)

    @registry.register("counter")
    @dataclasses.dataclass(frozen=True)
    class Counter:
        rows: int
        _: dataclasses.KW_ONLY
        every: Annotated[int, pydantic.Field(ge=1)] = 10
        names: list[str] = dataclasses.field(default_factory=lambda: ["a"])

    schema = registry.schema("counter", Section)
    assert set(schema.model_fields) == {"name", "every", "names"}
    assert schema(name="counter").model_dump() == {"name": "counter", "every": 10, "names": ["a"]}
    first, second = (registry.build(schema(name="counter"), rows=3) for _ in range(2))
    assert first == Counter(3, every=10, names=["a"])
    assert first.names is not second.names
    assert registry.build(schema(name="counter", names=["b"]), rows=1).names == ["b"]
    with pytest.raises(pydantic.ValidationError, match="every"):
        schema(name="counter", every=0)
