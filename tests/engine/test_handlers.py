import functools
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.engine import Engine, Events


@pytest.fixture
def engine(host):
    return host()


def fired(engine, event=Events.STARTED):
    """The names that handlers note when the event comes once."""
    return engine.fire(event)


def named(name):
    def handler(engine):
        return name

    handler.__qualname__ = name
    return handler


# -- order ---------------------------------------------------------------------------------------


def test_priority_then_attachment(engine):
    for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5), ("f", 0.5)]:
        engine.attach_handler(Events.STARTED, named(name), priority=priority)
    assert fired(engine) == ["b", "e", "f", "a", "c", "d"]


CHAIN = {
    "validate": {"provides": ("val",), "priority": -5},
    "smooth": {"needs": ("val",), "provides": ("smoothed",), "priority": 50},
    "stop": {"needs": ("smoothed",), "priority": 100},
    "log": {"needs": ("val", "smoothed")},
}


@pytest.mark.parametrize("order", list(itertools.permutations(CHAIN)))
def test_needs_come_first_whatever_the_attachment_and_the_priority(engine, order):
    for name in order:
        engine.attach_handler(Events.STARTED, named(name), **CHAIN[name])
    assert fired(engine) == ["validate", "smooth", "stop", "log"]


def test_all_who_provide_a_name_come_before_whoever_needs_it(engine):
    engine.attach_handler(Events.STARTED, named("reads"), needs=("m",), priority=9)
    engine.attach_handler(Events.STARTED, named("one"), provides=("m",))
    engine.attach_handler(Events.STARTED, named("two"), provides=("m",), priority=-9)
    assert fired(engine) == ["one", "two", "reads"]


def test_those_who_are_free_go_by_priority_among_those_who_waited(engine):
    engine.attach_handler(Events.STARTED, named("waits"), needs=("m",), priority=5)
    engine.attach_handler(Events.STARTED, named("low"), priority=1)
    engine.attach_handler(Events.STARTED, named("gives"), provides=("m",), priority=3)
    engine.attach_handler(Events.STARTED, named("high"), priority=9)
    assert fired(engine) == ["high", "gives", "waits", "low"]


def test_a_need_that_nobody_provides_is_no_obstacle(engine):
    engine.attach_handler(Events.STARTED, named("a"), needs=("nothing",))
    assert fired(engine) == ["a"]


def test_a_handler_may_need_what_it_provides_itself(engine):
    engine.attach_handler(Events.STARTED, named("b"), needs=("m",), provides=("m",))
    assert fired(engine) == ["b"]


def test_needs_reach_no_further_than_their_event(engine):
    engine.attach_handler(Events.STARTED, named("a"), needs=("m",), priority=1)
    engine.attach_handler(Events.COMPLETED, named("b"), needs=("n",), provides=("m",))
    engine.attach_handler(Events.STARTED, named("c"), provides=("n",))
    assert fired(engine) == ["a", "c"]


def test_a_circle_is_named_and_nothing_is_attached(engine):
    engine.attach_handler(Events.STARTED, named("a"), needs=("x",), provides=("y",))
    engine.attach_handler(Events.STARTED, named("b"), needs=("y",), provides=("z",))
    with pytest.raises(ValueError, match="wait for each other") as error:
        engine.attach_handler(
            # The circle is in the second of the events.
            Events.COMPLETED | Events.STARTED,
            named("c"),
            needs=("z",),
            provides=("x",),
        )
    circle = str(error.value).removeprefix("handlers of STARTED wait for each other: ")
    names = circle.split(" needs ")
    assert names[0] == names[-1]
    turned = names[names.index("a") :] + names[1 : names.index("a") + 1]
    assert turned == ["a", "c", "b", "a"]
    assert fired(engine) == ["a", "b"]
    assert fired(engine, Events.COMPLETED) == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-2, 2), st.sets(st.sampled_from("xyz")), st.sampled_from("xyz")),
        max_size=7,
    )
)
def test_any_order_that_is_accepted_keeps_every_promise(specs):
    engine = Engine(lambda engine, batch: None)
    attached = []
    for index, (priority, needs, provides) in enumerate(specs):
        try:
            engine.attach_handler(
                Events.STARTED,
                named(str(index)),
                priority=priority,
                needs=needs,
                provides=(provides,),
            )
        except ValueError:
            continue
        attached.append(index)
    order = [int(name) for name in engine.fire(Events.STARTED)]
    assert sorted(order) == attached
    at = {index: place for place, index in enumerate(order)}
    for index in attached:
        for other in attached:
            if other != index and specs[other][2] in specs[index][1]:
                assert at[other] < at[index]
    # Two neighbours stand the wrong way round by priority only where one waits for the other.
    for left, right in itertools.pairwise(order):
        if (-specs[right][0], right) < (-specs[left][0], left):
            assert specs[left][2] in specs[right][1]


# -- what is called ------------------------------------------------------------------------------


def test_a_handler_need_not_take_the_engine(engine):
    seen = []
    engine.attach_handler(Events.STARTED, lambda: seen.append("nothing"))
    engine.attach_handler(Events.STARTED, lambda engine: seen.append(type(engine)))
    engine.attach_handler(Events.STARTED, lambda *args: seen.append(len(args)))
    engine.fire(Events.STARTED)
    assert seen == ["nothing", Engine, 1]


def test_further_arguments_are_passed_on(engine):
    seen = []

    def handler(*args, **kwargs):
        seen.append((args, kwargs))

    def without_engine(number, *, word):
        seen.append((number, word))

    engine.attach_handler(Events.STARTED, handler, 1, "two", three=3)
    engine.attach_handler(Events.STARTED, without_engine, 5, word="six")
    engine.on(Events.STARTED, 7, priority=9, eight=8)(handler)
    engine.fire(Events.STARTED)
    assert seen == [
        ((engine, 7), {"eight": 8}),
        ((engine, 1, "two"), {"three": 3}),
        (5, "six"),
    ]


def test_methods_partials_and_objects_are_handlers(engine):
    class Counter:
        def __init__(self):
            self.seen = []

        def method(self, engine):
            self.seen.append("method")

        def bare(self):
            self.seen.append("bare")

        def __call__(self, engine):
            self.seen.append("call")

    counter = Counter()
    names = []
    for function in (counter.method, counter.bare, counter, functools.partial(names.append, "p")):
        engine.attach_handler(Events.STARTED, function)
    engine.fire(Events.STARTED)
    assert counter.seen == ["method", "bare", "call"]
    assert names == ["p"]


def test_the_decorator_leaves_the_function(engine):
    @engine.on(Events.STARTED)
    def handler(engine):
        return "ran"

    assert handler(None) == "ran"
    assert engine.fire(Events.STARTED) == ["ran"]


def test_a_function_that_can_not_be_called_so_is_refused_at_once(engine):
    def handler(engine, a, *, b):
        pass

    with pytest.raises(TypeError, match="handler ") as error:
        engine.attach_handler(Events.STARTED | Events.COMPLETED, handler, 1, c=2)
    assert str(error.value).endswith(
        "handler(engine, a, *, b) can't be called with (engine, 1, c=2)"
    )
    with pytest.raises(TypeError, match=r"<lambda>\(\) can't be called with \(engine, "):
        engine.attach_handler(Events.EXCEPTION_RAISED, lambda: None)
    assert engine.fire(Events.STARTED) == []


# -- attaching and removing ----------------------------------------------------------------------


def test_a_handle_removes_from_all_its_events_and_may_be_used_twice(engine):
    handle = engine.attach_handler(Events.STARTED | Events.COMPLETED, named("a"))
    engine.attach_handler(Events.STARTED, named("b"))
    assert fired(engine) == ["a", "b"]
    handle.remove()
    handle.remove()
    assert fired(engine) == ["b"]
    assert fired(engine, Events.COMPLETED) == []


def test_a_handle_is_a_context(engine):
    with engine.attach_handler(Events.STARTED, named("a")):
        assert fired(engine) == ["a"]
    assert fired(engine) == []


def test_the_same_function_may_be_attached_twice(engine):
    function = named("a")
    first = engine.attach_handler(Events.STARTED, function)
    engine.attach_handler(Events.STARTED, function)
    assert fired(engine) == ["a", "a"]
    first.remove()
    assert fired(engine) == ["a"]


def test_removing_the_one_that_was_waited_for_frees_the_others(engine):
    handle = engine.attach_handler(Events.STARTED, named("gives"), provides=("m",), priority=0)
    engine.attach_handler(Events.STARTED, named("waits"), needs=("m",), priority=10)
    engine.attach_handler(Events.STARTED, named("free"), priority=5)
    assert fired(engine) == ["free", "gives", "waits"]
    handle.remove()
    assert fired(engine) == ["waits", "free"]


def test_attached_while_its_event_fires_it_waits_for_the_next(engine):
    seen = []

    @engine.on(Events.ITERATION_STARTED(once=1))
    def attach(engine):
        engine.attach_handler(
            Events.ITERATION_STARTED,
            lambda engine: seen.append(engine.state.iteration),
            priority=100,
        )

    engine.run([0, 0, 0])
    assert seen == [2, 3]


def test_removed_while_its_event_fires_it_does_not_run(engine):
    seen = []
    engine.attach_handler(Events.STARTED, lambda: later.remove(), priority=1)
    later = engine.attach_handler(Events.STARTED, lambda: seen.append("ran"))
    engine.run([0])
    assert seen == []


def test_a_handler_may_remove_itself(engine):
    seen = []

    @functools.partial(engine.attach_handler, Events.ITERATION_STARTED)
    def handle(engine):
        seen.append(engine.state.iteration)
        if engine.state.iteration == 2:
            handle.remove()

    engine.attach_handler(Events.ITERATION_STARTED(once=2), lambda: seen.append("others run"))
    engine.run([0] * 4)
    assert seen == [1, 2, "others run"]
