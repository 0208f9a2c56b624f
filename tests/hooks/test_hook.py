import pydantic
import pytest

from jaxtrain import hooks
from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError
from jaxtrain.hooks import HOOKS, EarlyStopping, History, Hook, LearningRate, StatefulHook


class Section(pydantic.BaseModel):
    name: str


class Own:
    def attach(self, engine):
        self.engine = engine


class Remembering(Own):
    def state(self):
        return {}

    def restore(self, state): ...


def test_what_has_attach_is_a_hook_and_state_is_optional():
    assert isinstance(Own(), Hook)
    assert not isinstance(Own(), StatefulHook)
    assert isinstance(Remembering(), StatefulHook)
    assert not isinstance(lambda engine: None, Hook)


@pytest.mark.parametrize("hook", [EarlyStopping(), History(), LearningRate()], ids=repr)
def test_those_that_must_survive_a_restart_have_a_state(hook):
    assert isinstance(hook, StatefulHook)


def test_every_hook_of_the_room_is_one():
    for name in HOOKS.names():
        assert hasattr(HOOKS[name], "attach")
    assert hooks.Hook is Hook


def test_an_engine_takes_any_hook():
    engine = Engine(lambda engine, batch: {})
    hook = engine.attach(Own())
    assert hook.engine is engine


@pytest.mark.parametrize("made", [None, 3, print], ids=repr)
def test_a_plugin_that_makes_no_hook_is_told_what_one_is(made):
    HOOKS.register("tests_no_hook")(lambda: made)
    try:
        schema = HOOKS.schema("tests_no_hook", Section)
        with pytest.raises(ConfigError, match=r"return a Hook, found .*; a hook is .* attach\(eng"):
            HOOKS.build(schema(name="tests_no_hook"))
    finally:
        HOOKS._factories.pop("tests_no_hook")
