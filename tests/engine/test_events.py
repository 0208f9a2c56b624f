import pytest

from jaxtrain.engine import Engine, Event, Events, EventSet


def run(engine, **options):
    engine.run([0, 0], **options)


@pytest.fixture
def engine(host):
    return host()


def test_either_event_runs_the_handler(engine):
    seen = []
    engine.attach_handler(
        Events.EPOCH_STARTED(once=3) | Events.COMPLETED | Events.ITERATION_STARTED(every=4),
        lambda engine: seen.append((engine.state.epoch, engine.state.iteration)),
    )
    run(engine, max_epochs=3)
    assert seen == [(2, 4), (3, 4), (3, 6)]


def test_sets_of_events_join_from_either_side():
    a, b, c = Events.STARTED, Events.COMPLETED, Events.EPOCH_STARTED
    assert ((a | b) | c).events == (a | (b | c)).events == (a, b, c)
    assert isinstance(a | b, EventSet)


def test_two_filters_of_one_event_may_both_fire(engine):
    seen = []
    engine.attach_handler(
        Events.ITERATION_COMPLETED(every=2) | Events.ITERATION_COMPLETED(once=3),
        lambda engine: seen.append(engine.state.iteration),
    )
    run(engine, max_epochs=2)
    assert seen == [2, 3, 4]


def test_a_users_own_event(engine):
    spiked = Event("LOSS_SPIKED")
    seen = []

    @engine.on(Events.ITERATION_COMPLETED)
    def fire(engine):
        results = engine.fire(spiked)
        assert results == ([engine.state.iteration] if engine.state.iteration % 2 == 0 else [])

    @engine.on(spiked(every=2))
    def spike(engine):
        seen.append(engine.state.iteration)
        return engine.state.iteration

    run(engine, max_epochs=2)
    assert seen == [2, 4]


def test_an_event_of_the_same_name_is_the_same_event(engine):
    seen = []
    engine.attach_handler(Event("STARTED"), lambda: seen.append(1))
    run(engine)
    assert seen == [1]


def test_a_filter_leaves_the_event_it_was_made_from(engine):
    Events.STARTED(once=2)
    assert Event("STARTED") == Events.STARTED
    assert Events.STARTED(once=2) != Events.STARTED
    assert Events.STARTED(once=2) == Events.STARTED(once=[2])


def test_run_events_count_runs(engine):
    seen = []
    for event in (Events.STARTED(once=2), Events.COMPLETED(every=3)):
        engine.attach_handler(event, lambda engine, name: seen.append(name), event.name)
    each = []
    for _ in range(3):
        run(engine)
        each.append([*seen])
        seen.clear()
    assert each == [[], ["STARTED"], ["COMPLETED"]]


def test_events_are_fired_with_the_engine_they_belong_to():
    seen = []
    first, second = (Engine(lambda engine, batch: None) for _ in range(2))
    first.attach_handler(Events.STARTED, lambda engine: seen.append(engine))
    second.run([0])
    assert seen == []
    first.run([0])
    assert seen == [first]
