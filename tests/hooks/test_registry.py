import subprocess
import sys

import pydantic
import pytest

import jaxtrain.hooks
from jaxtrain.hooks import CSV, HOOKS, EarlyStopping


class Section(pydantic.BaseModel):
    name: str


# Without those that another test's plugin registered in this process.
OURS = [name for name in HOOKS.names() if HOOKS[name].__module__.startswith("jaxtrain.")]


def test_the_hooks_that_a_config_can_name():
    assert OURS == [
        "console",
        "csv",
        "early_stopping",
        "jsonl",
        "learning_rate",
        "nan_guard",
        "profiler",
        "progress",
        "reduce_on_plateau",
        "system",
        "tensorboard",
        "time_limit",
    ]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"time_limit"}))
def test_each_is_built_from_its_defaults_and_a_directory(name, tmp_path):
    section = HOOKS.schema(name, Section)(name=name)
    hook = HOOKS.build(section, directory=tmp_path)
    assert isinstance(hook, HOOKS[name])


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("early_stopping", "patience", 0),
        ("early_stopping", "mode", "lowest"),
        ("early_stopping", "min_delta", -0.1),
        ("jsonl", "every", 0),
        ("nan_guard", "every", "often"),
        ("progress", "seconds", -1),
        ("system", "seconds", 0),
        ("tensorboard", "every", 1.5),
    ],
)
def test_wrong_options_do_not_pass_the_schema(name, option, value):
    with pytest.raises(pydantic.ValidationError, match=option):
        HOOKS.schema(name, Section)(name=name, **{option: value})


def test_options_reach_the_hook(tmp_path):
    schema = HOOKS.schema("early_stopping", Section)
    hook = HOOKS.build(schema(name="early_stopping", monitor="m", mode="max", patience=2))
    assert isinstance(hook, EarlyStopping)
    assert (hook.monitor.name, hook.monitor.mode, hook.patience) == ("m", "max", 2)
    csv = HOOKS.build(HOOKS.schema("csv", Section)(name="csv"), directory=tmp_path)
    assert isinstance(csv, CSV)
    assert csv.path == tmp_path / "metrics.csv"


def test_all_exports_exist_and_are_sorted():
    for name in jaxtrain.hooks.__all__:
        assert hasattr(jaxtrain.hooks, name)
    assert len(set(jaxtrain.hooks.__all__)) == len(jaxtrain.hooks.__all__)


def test_importing_hooks_and_reports_loads_no_heavy_library():
    code = (
        "import sys, jaxtrain.hooks, jaxtrain.report;"
        "heavy = {'matplotlib', 'tensorboardX', 'sklearn', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
