import errno
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import pydantic
import pytest

from jaxtrain import errors
from jaxtrain.config.python_file import execute
from jaxtrain.errors import ConfigError, UnknownNameError
from jaxtrain.registry import Registry


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    name: str
    learning_rate: float = 0.1


@pytest.fixture
def registry():
    made = Registry("model")

    @made.register("mlp")
    def mlp(
        num_outputs: int,
        seed: int = 5,
        *,
        hidden: tuple[int, ...] = (8,),
        dropout: Annotated[float, pydantic.Field(ge=0, lt=1)] = 0.0,
        width: int,
    ):
        return num_outputs, seed, hidden, dropout, width

    return made


def build(registry, name="mlp", context=(), **options):
    return registry.build(registry.schema(name, Section)(name=name, **options), **dict(context))


# -- names ---------------------------------------------------------------------------------------


def test_a_factory_is_found_by_its_name_and_stays_what_it_is(registry):
    @registry.register("other")
    def other():
        return "made"

    assert registry["other"] is other
    assert other() == "made"
    assert registry.names() == ["mlp", "other"]


def test_an_unknown_name_lists_the_known_ones(registry):
    registry.register("cnn")(lambda: None)
    with pytest.raises(UnknownNameError) as error:
        registry["mpl"]
    assert str(error.value) == (
        "unknown model 'mpl'; did you mean 'mlp'? (known: cnn, mlp; a plugin can add others)"
    )
    assert error.value.__suppress_context__
    assert isinstance(error.value, ConfigError)
    for call in (registry.schema, lambda name, _: registry.build(Section(name=name))):
        with pytest.raises(UnknownNameError, match="unknown model 'zebra' "):
            call("zebra", Section)


def test_a_taken_name_is_refused_and_the_first_stays(registry):
    first = registry["mlp"]
    with pytest.raises(ValueError, match="already registered") as error:
        registry.register("mlp")(lambda: None)
    assert str(error.value).startswith(f"model 'mlp' is already registered by {__name__}.")
    assert "mlp" in str(error.value)
    assert registry["mlp"] is first


def test_the_same_factory_may_be_registered_again_and_under_two_names(registry):
    factory = registry["mlp"]
    registry.register("mlp")(factory)
    registry.register("perceptron")(factory)
    assert registry["perceptron"] is registry["mlp"]


def test_registries_know_nothing_of_each_other(registry):
    with pytest.raises(UnknownNameError):
        Registry("model")["mlp"]


# -- completions ---------------------------------------------------------------------------------


def complete(registry, completion, **options):
    registry.register("filled", complete=completion)(lambda *, a=None, b=None: (a, b))
    return registry.complete("filled", options)


def test_a_completion_sets_what_nobody_has_set(registry):
    given = []

    def fill(options):
        given.append(dict(options))
        options["a"] = "changed"  # a copy
        return {"a": 1, "b": 2, "c": 3}

    assert complete(registry, fill, a=None, b=7) == {"a": 1, "b": 7, "c": 3}
    assert given == [{"a": None, "b": 7}]


def test_without_one_options_stay_as_they_are(registry):
    assert registry.complete("mlp", {"a": None}) == {"a": None}
    assert registry.complete("nobody", {"a": 1}) == {"a": 1}


def test_what_a_completion_raises_of_ours_says_itself_what_is_wrong(registry):
    def fill(options):
        raise errors.OptionsError({"a": "too large", "b": "missing"})

    with pytest.raises(errors.OptionsError) as caught:
        complete(registry, fill)
    assert caught.value.problems == {"a": "too large", "b": "missing"}
    assert str(caught.value) == "a: too large\nb: missing"
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems


@pytest.mark.parametrize("fill", [lambda options: options["x"], lambda options: 5])
def test_a_completion_that_fails_is_named(registry, fill):
    with pytest.raises(ConfigError, match=r"^model 'filled': (KeyError: 'x'|TypeError: .*) \("):
        complete(registry, fill)


def test_a_full_disk_is_not_the_completions_fault(registry):
    def fill(options):
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        complete(registry, fill)


# -- the schema ----------------------------------------------------------------------------------


def test_the_schema_has_the_keyword_only_parameters_and_the_fields_of_its_base(registry):
    schema = registry.schema("mlp", Section)
    assert issubclass(schema, Section)
    assert set(schema.model_fields) == {"name", "learning_rate", "hidden", "dropout", "width"}
    section = schema(name="mlp", width=3)
    assert (section.hidden, section.dropout, section.learning_rate) == ((8,), 0.0, 0.1)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"width": 3, "dropout": 1.0}, "dropout"),
        ({"width": 3, "hidden": ["wide"]}, "hidden"),
        ({"width": 3, "wdith": 3}, "wdith"),
        ({"width": 3, "num_outputs": 3}, "num_outputs"),  # the program's, not the config's
        ({}, "width"),
    ],
)
def test_what_does_not_fit_the_signature_is_refused(registry, options, key):
    with pytest.raises(pydantic.ValidationError, match=key):
        registry.schema("mlp", Section)(name="mlp", **options)


def test_a_field_of_the_base_stays_and_the_factory_gets_its_value():
    registry = Registry("optimizer")

    @registry.register("sgd")
    def sgd(*, learning_rate: int = 99, momentum: float = 0.5):
        return learning_rate, momentum

    schema = registry.schema("sgd", Section)
    assert schema.model_fields["learning_rate"].annotation is float
    assert build(registry, "sgd", learning_rate=0.25) == (0.25, 0.5)
    assert build(registry, "sgd") == (0.1, 0.5)


def test_a_parameter_without_annotation_takes_anything():
    registry = Registry("thing")
    registry.register("free")(lambda *, value=None: value)
    assert build(registry, "free", value={"a": [1]}) == {"a": [1]}


def test_annotations_may_be_strings():
    registry = Registry("thing")

    def factory(*, rate: "Annotated[float, pydantic.Field(gt=0)]" = 1.0):
        return rate

    registry.register("late")(factory)
    assert build(registry, "late", rate="2.5") == 2.5
    with pytest.raises(pydantic.ValidationError, match="rate"):
        build(registry, "late", rate=0)


def test_a_class_is_a_factory():
    registry = Registry("hook")

    @registry.register("counter")
    class Counter:
        def __init__(self, directory: str, *, every: pydantic.PositiveInt = 10):
            self.directory, self.every = directory, every

    counter = build(registry, "counter", {"directory": "runs"}, every=3)
    assert isinstance(counter, Counter)
    assert (counter.directory, counter.every) == ("runs", 3)
    with pytest.raises(pydantic.ValidationError, match="every"):
        build(registry, "counter", {"directory": "runs"}, every=0)


# -- building ------------------------------------------------------------------------------------


def test_parameters_come_from_the_program_by_name_and_options_from_the_section(registry):
    made = build(
        registry, context={"num_outputs": 10, "unused": None}, hidden=[64, 32], width=7, dropout=0.5
    )
    assert made == (10, 5, (64, 32), 0.5, 7)
    assert build(registry, context={"num_outputs": 10, "seed": 6}, width=7)[1] == 6


def test_the_program_can_not_overrule_the_config(registry):
    made = build(registry, context={"num_outputs": 1, "width": 1000}, width=7)
    assert made[-1] == 7


def test_a_parameter_that_the_program_does_not_offer(registry):
    with pytest.raises(ConfigError) as error:
        build(registry, context={"labels": 1, "directory": 2}, width=7)
    assert str(error.value) == (
        f"model 'mlp' ({__file__}) asks for 'num_outputs'; the run offers directory, labels. "
        "Options that the config sets stand after a `*` in the signature."
    )


def test_what_a_factory_returns_is_checked():
    registry = Registry("model", returns=dict, hint="dict(...) makes one")
    registry.register("right")(lambda: {})

    @registry.register("wrong")
    def wrong():
        return registry

    @registry.register("nothing")
    def nothing(): ...

    assert build(registry, "right") == {}
    with pytest.raises(ConfigError) as error:
        build(registry, "wrong")
    assert str(error.value) == (
        f"model 'wrong': expected {wrong.__qualname__} in {__file__} to return a dict, "
        "found a jaxtrain.registry.Registry; dict(...) makes one"
    )
    with pytest.raises(ConfigError, match="found None"):
        build(registry, "nothing")


def test_a_module_that_is_no_model_is_told_what_to_do():
    from flax import linen as nn

    from jaxtrain.models import MODELS

    MODELS.register("tests_bare_module")(lambda num_outputs: nn.Dense(num_outputs))
    with pytest.raises(
        ConfigError, match=r"return a Model, found a flax.*Dense; from_linen\(\.\.\.\)"
    ):
        build(MODELS, "tests_bare_module", {"num_outputs": 3})


def in_a_plugin(tmp_path, registry, body):
    """What a plugin's file registers under the name "mine"."""
    path = tmp_path / "my_plugin.py"
    path.write_text(f"def mine():\n    {body}\n")
    module = execute(path, "tests_my_plugin")
    module.mine.__module__ = "tests_my_plugin"
    sys.modules["tests_my_plugin"] = module
    try:
        registry.register("mine")(module.mine)
        return path, build(registry, "mine")
    finally:
        del sys.modules["tests_my_plugin"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {}['x']", "KeyError: 'x'"),
        ("raise SystemExit", "SystemExit"),
        ("raise OSError(2, 'not there', 'a.csv')", "FileNotFoundError: .*not there: 'a.csv'"),
        ("assert False, 'one\\n\\ntwo'", "AssertionError: one two"),
    ],
)
def test_a_plugin_that_raises_is_named_with_its_line(tmp_path, body, said):
    """C23: what it raised came out as a traceback, and the plugin was not named."""
    registry = Registry("data source")
    with pytest.raises(ConfigError, match=rf"^data source 'mine': {said} \(\S*my_plugin\.py:2\)$"):
        in_a_plugin(tmp_path, registry, body)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (errors.DataError("torn"), errors.DataError),
        (OSError(errno.ENOSPC, "full"), OSError),
        (MemoryError(), MemoryError),
        (RuntimeError("RESOURCE_EXHAUSTED: 1 TB"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_is_not_the_components_fault_comes_out_as_it_is(raised, kind):
    registry = Registry("model")

    @registry.register("failing")
    def failing():
        raise raised

    with pytest.raises(kind) as error:
        build(registry, "failing")
    assert error.value is raised


def test_a_component_that_fails_in_a_library_is_named_with_its_function():
    registry = Registry("model")
    registry.register("library")(json.loads)
    with pytest.raises(ConfigError, match=r"model 'library': TypeError: .* \(.*\.py"):
        build(registry, "library", {"s": 3})


def test_a_signature_that_can_not_be_read_is_told_as_one():
    registry = Registry("model")

    def unknown(*, width: "Nowhere" = 3): ...  # noqa: F821

    def unchecked(*, width: object() = 3): ...

    for name, factory in {"unknown": unknown, "unchecked": unchecked}.items():
        registry.register(name)(factory)
        with pytest.raises(
            ConfigError, match=rf"^model '{name}': the signature of .*{name} in .*test_registry.py"
        ):
            registry.schema(name, Section)


@runtime_checkable
class Attaches(Protocol):
    def attach(self, engine: object) -> None: ...


@pytest.mark.parametrize(
    ("returns", "body", "wanted", "found"),
    [
        (object, "pass", "return a thing", r"found None \(is its `return` missing\?\)"),
        (Attaches, "pass", "return a Attaches", "found None"),
        (Attaches, "return 3", "return a Attaches", r"found a builtins\.int"),
        (Callable, "return 3", "return a Callable", r"found a builtins\.int"),
        ((float, Callable), "return '3'", "return a float or a Callable", "found a builtins.str"),
    ],
)
def test_the_plugin_that_returns_the_wrong_thing_is_named_with_its_file(
    tmp_path, returns, body, wanted, found
):
    registry = Registry("thing", returns=returns)
    with pytest.raises(ConfigError, match=rf"my_plugin\.py to {wanted}, {found}"):
        in_a_plugin(tmp_path, registry, body)


def test_what_fits_a_protocol_or_can_be_called_is_taken():
    class Hook:
        def attach(self, engine):
            return engine

    hooks = Registry("hook", returns=Attaches)
    hooks.register("good")(Hook)
    assert isinstance(build(hooks, "good"), Hook)
    losses = Registry("loss", returns=(float, Callable))
    losses.register("good")(lambda: len)
    losses.register("number")(lambda: 0.0)
    assert build(losses, "good") is len
    assert build(losses, "number") == 0.0


def test_a_protocol_that_can_not_be_asked_is_refused_where_the_registry_is_made():
    class Silent(Protocol):
        def attach(self, engine: object) -> None: ...

    with pytest.raises(TypeError, match="runtime_checkable"):
        Registry("hook", returns=Silent)


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("data", {}),
        ("model", {"num_outputs": 3}),
        ("loss", {}),
        ("optimizer", {"learning_rate": 0.1}),
        ("schedule", {"learning_rate": 0.1, "total_steps": 3}),
        ("metrics", {}),
        ("hooks", {}),
    ],
)
@pytest.mark.parametrize("returned", ["None", "3j", "'text'"])
def test_every_registry_of_a_run_refuses_what_is_none_of_its_kind(
    monkeypatch, section, option, returned
):
    from jaxtrain.run import REGISTRIES

    registry = REGISTRIES[section]
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    registry.register("tests_wrong")(lambda: eval(returned))
    with pytest.raises(ConfigError, match=rf"'tests_wrong': expected .*{Path(__file__).name} to "):
        build(registry, "tests_wrong", option)


def test_a_schema_is_made_once_and_anew_for_another_factory(registry):
    """Making one takes milliseconds, and a config has dozens."""
    schema = registry.schema("mlp", Section)
    assert registry.schema("mlp", Section) is schema

    class Wider(Section):
        decay: float = 0.0

    assert registry.schema("mlp", Wider).model_fields.keys() > schema.model_fields.keys()

    for name in ("depth", "height"):
        source = f"def mine(*, {name}=1):\n    return {name}\n"
        scope: dict[str, object] = {"__name__": "__main__"}
        exec(source, scope)
        registry.register("mine")(scope["mine"])
        assert name in registry.schema("mine", Section).model_fields


def test_a_cell_of_a_notebook_may_be_run_again(registry):
    def cell(name, module):
        def factory():
            return None

        factory.__module__, factory.__qualname__ = module, name
        return factory

    registry.register("mine")(cell("mine", "__main__"))
    again = cell("mine", "__main__")
    registry.register("mine")(again)
    assert registry["mine"] is again
    for other in (cell("other", "__main__"), cell("mine", "elsewhere")):
        with pytest.raises(ValueError, match=r"already registered by __main__.mine"):
            registry.register("mine")(other)
    registry.register("theirs")(cell("theirs", "elsewhere"))
    with pytest.raises(ValueError, match="already registered"):
        registry.register("theirs")(cell("theirs", "elsewhere"))
