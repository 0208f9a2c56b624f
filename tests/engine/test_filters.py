import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.engine import Engine, Events
from jaxtrain.engine.filters import Every, Once, make_filter

counts = st.integers(0, 60)
bounds = st.one_of(st.none(), st.integers(1, 60))
options = st.one_of(
    st.just({}),
    st.builds(
        lambda every, after, before: {
            k: v
            for k, v in {"every": every, "after": after, "before": before}.items()
            if v is not None
        },
        st.one_of(st.none(), st.integers(1, 15)),
        bounds,
        bounds,
    ),
    st.builds(lambda once: {"once": tuple(once)}, st.lists(st.integers(1, 60), min_size=1)),
)


def filter_of(options):
    event = Events.ITERATION_COMPLETED
    return (event(**options) if options else event).filter


@settings(max_examples=300, deadline=None)
@given(options, counts)
def test_next_fire_is_the_first_count_after_that_fires(options, count):
    chosen = filter_of(options)
    following = chosen.next_fire(count)
    # Nothing below 200 is skipped; bounds end at 60 and steps at 15.
    first = next((c for c in range(count + 1, 200) if chosen.fires(c)), None)
    assert following == first


@settings(max_examples=100, deadline=None)
@given(options)
def test_walking_by_next_fire_visits_what_fires(options):
    chosen = filter_of(options)
    walked, count = [], 0
    while (count := chosen.next_fire(count)) is not None and count <= 100:
        walked.append(count)
    assert walked == [c for c in range(1, 101) if chosen.fires(c)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"every": 1}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"every": 3}, [3, 6, 9]),
        ({"every": 11}, []),
        ({"once": 4}, [4]),
        ({"once": [7, 2]}, [2, 7]),
        ({"after": 7}, [8, 9, 10]),
        ({"before": 3}, [1, 2]),
        ({"after": 3, "before": 6}, [4, 5]),
        ({"after": 6, "before": 3}, []),
        ({"every": 2, "after": 4}, [6, 8, 10]),
        ({"every": 2, "before": 8}, [2, 4, 6]),
        ({"every": 2, "after": 2, "before": 8}, [4, 6]),
        ({"event_filter": lambda engine, count: count in (1, 5)}, [1, 5]),
    ],
)
def test_where_handlers_run(options, expected):
    engine = Engine(lambda engine, batch: None)
    event = Events.ITERATION_COMPLETED(**options) if options else Events.ITERATION_COMPLETED
    seen = []
    engine.attach_handler(event, lambda engine: seen.append(engine.state.iteration))
    engine.run([0] * 5, max_epochs=2)
    assert seen == expected


def test_epoch_events_count_epochs():
    engine = Engine(lambda engine, batch: None)
    seen = []
    for event in (Events.EPOCH_STARTED(once=2), Events.EPOCH_COMPLETED(every=2)):
        engine.attach_handler(event, lambda engine: seen.append(engine.state.epoch))
    engine.run([0] * 3, max_epochs=5)
    assert seen == [2, 2, 4]


def test_the_short_names_of_the_field():
    assert Events.ITERATION_COMPLETED_EVERY(5) == Events.ITERATION_COMPLETED(every=5)
    assert Events.EPOCH_COMPLETED_EVERY(2) == Events.EPOCH_COMPLETED(every=2)


def test_a_predicate_gets_the_engine_and_the_count():
    engine = Engine(lambda engine, batch: None)
    asked = []
    event = Events.EPOCH_COMPLETED(lambda e, count: asked.append((e is engine, count)))
    engine.attach_handler(event, lambda: pytest.fail("its answer was None"))
    engine.run([0], max_epochs=2)
    assert asked == [(True, 1), (True, 2)]


def test_a_predicate_may_fire_at_any_count():
    chosen = Events.ITERATION_COMPLETED(lambda engine, count: False).filter
    assert [chosen.next_fire(count) for count in (0, 7)] == [1, 8]


def test_a_filter_is_data():
    chosen = Events.ITERATION_COMPLETED(every=3, after=5).filter
    assert dataclasses.asdict(chosen) == {"n": 3, "after": 5, "before": float("inf")}
    with pytest.raises(dataclasses.FrozenInstanceError):
        chosen.n = 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "ITERATION_STARTED: expected one of every, once, before, after, "),
        ({"every": 0}, "ITERATION_STARTED: every: expected an integer of at least 1, found 0"),
        ({"every": -3}, "every: expected an integer of at least 1, found -3"),
        ({"every": 2.0}, "every: expected an integer of at least 1, found 2.0"),
        ({"every": True}, "every: expected an integer of at least 1, found True"),
        ({"once": 0}, "once: expected an integer of at least 1, found 0"),
        ({"once": [3, "4"]}, "once: expected an integer of at least 1, found '4'"),
        ({"once": ()}, "once: expected at least one count, found none"),
        ({"after": -1}, "after: expected an integer of at least 0, found -1"),
        ({"before": -1}, "before: expected an integer of at least 0, found -1"),
        ({"once": 3, "every": 2}, "once stands alone, found every, once"),
        (
            {"event_filter": lambda e, c: True, "after": 2},
            "event_filter stands alone, found after, event_filter",
        ),
        ({"event_filter": 5}, "event_filter: expected (engine, count) -> bool, got 5"),
    ],
)
def test_options_that_make_no_filter(options, message):
    with pytest.raises(ValueError) as error:
        Events.ITERATION_STARTED(**options)
    assert message in str(error.value)


def test_a_second_filter_is_refused():
    with pytest.raises(ValueError, match=r"EPOCH_STARTED has a filter already: Every\(n=2"):
        Events.EPOCH_STARTED(every=2)(once=4)


def test_numpys_integers_are_counts_and_before_nothing_is_never():
    """R9."""
    assert make_filter(every=np.int64(5)) == Every(5)
    assert make_filter(once=[np.int32(2), 1]) == Once((1, 2))
    assert make_filter(before=0).next_fire(0) is None
