import itertools

import pytest

from jaxtrain.engine import Engine, Events

# What an iteration fires; how often GET_BATCH is fired at the end of an iterator is its own matter.
ITERATION = ["GET_BATCH_STARTED", "GET_BATCH_COMPLETED", "ITERATION_STARTED", "ITERATION_COMPLETED"]


# -- the order of events and the counts ----------------------------------------------------------


def test_every_event_in_its_place(host, record):
    engine = host()
    seen = record(engine)
    engine.run("ab", max_epochs=2)
    epoch = ["EPOCH_STARTED", *ITERATION, *ITERATION, "EPOCH_COMPLETED"]
    assert seen == ["STARTED", *epoch, *epoch, "COMPLETED"]


def test_counts_are_one_during_the_first(host, record):
    engine = host()
    seen = record(engine, skip=("GET_BATCH_STARTED", "GET_BATCH_COMPLETED"), with_counts=True)
    state = engine.run("ab", max_epochs=2)
    assert seen == [
        ("STARTED", 0, 0, 0),
        ("EPOCH_STARTED", 1, 0, 0),
        ("ITERATION_STARTED", 1, 1, 1),
        ("ITERATION_COMPLETED", 1, 1, 1),
        ("ITERATION_STARTED", 1, 2, 2),
        ("ITERATION_COMPLETED", 1, 2, 2),
        ("EPOCH_COMPLETED", 1, 2, 2),
        ("EPOCH_STARTED", 2, 2, 0),
        ("ITERATION_STARTED", 2, 3, 1),
        ("ITERATION_COMPLETED", 2, 3, 1),
        ("ITERATION_STARTED", 2, 4, 2),
        ("ITERATION_COMPLETED", 2, 4, 2),
        ("EPOCH_COMPLETED", 2, 4, 2),
        ("COMPLETED", 2, 4, 2),
    ]
    assert state is engine.state
    assert (state.max_epochs, state.epoch_length, state.stopped) == (2, 2, "")


def test_batch_and_output_are_there_when_an_iteration_is_over():
    engine = Engine(lambda engine, batch: batch * 10)
    seen = []

    @engine.on(Events.ITERATION_STARTED)
    def before(engine):
        seen.append(engine.state.batch)

    @engine.on(Events.ITERATION_COMPLETED)
    def after(engine):
        seen.append(engine.state.output)

    engine.run([1, 2])
    assert seen == [1, 10, 2, 20]


def test_a_process_function_gets_the_engine():
    engine = Engine(lambda engine, batch: (engine.state.iteration, batch))
    engine.run("ab")
    assert engine.state.output == (2, "b")


def test_times_are_seconds_of_the_last_epoch_and_of_the_run(host):
    engine = host()
    times = []
    engine.attach_handler(
        Events.EPOCH_COMPLETED, lambda e: times.append(e.state.times["EPOCH_COMPLETED"])
    )
    state = engine.run([0], max_epochs=2)
    assert min(times) > 0
    assert state.times["COMPLETED"] >= sum(times)


# -- how long ------------------------------------------------------------------------------------


def test_one_epoch_by_default(host):
    state = host().run([0] * 3)
    assert (state.epoch, state.iteration) == (1, 3)


def test_max_iters_ends_in_the_middle_of_an_epoch(host, record):
    engine = host()
    seen = record(engine)
    state = engine.run([0] * 3, max_iters=4)
    assert (state.epoch, state.iteration, state.epoch_iteration) == (2, 4, 1)
    assert seen[-3:] == ["ITERATION_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"]


def test_epochs_and_iterations_exclude_each_other(host, record):
    engine = host()
    seen = record(engine)
    with pytest.raises(ValueError, match="expected max_epochs or max_iters, found both"):
        engine.run([0], max_epochs=1, max_iters=1)
    assert seen == []


@pytest.mark.parametrize("length", [2, 3, 5, 7])
def test_an_epoch_length_cuts_and_joins_the_loaders_epochs(length):
    batches = []
    engine = Engine(lambda engine, batch: batches.append((engine.state.epoch, batch)))
    engine.run([10, 11, 12], max_epochs=4, epoch_length=length)
    assert [epoch for epoch, _ in batches] == [e for e in range(1, 5) for _ in range(length)]
    expected = itertools.islice(itertools.cycle([10, 11, 12]), 4 * length)
    assert [batch for _, batch in batches] == list(expected)


class Unsized:
    """An iterable that does not know its length."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


def test_the_end_of_an_iterator_without_length_ends_the_epoch(host, record):
    engine = host()
    seen = record(engine, skip=("GET_BATCH_STARTED", "GET_BATCH_COMPLETED"))
    lengths = []
    for event in (Events.EPOCH_STARTED, Events.EPOCH_COMPLETED):
        engine.attach_handler(event, lambda e: lengths.append(e.state.epoch_length))
    state = engine.run(Unsized("abc"), max_epochs=2)
    assert (state.epoch, state.iteration, state.epoch_iteration) == (2, 6, 3)
    epoch = ["EPOCH_STARTED", *["ITERATION_STARTED", "ITERATION_COMPLETED"] * 3, "EPOCH_COMPLETED"]
    assert seen == ["STARTED", *epoch, *epoch, "COMPLETED"]
    assert lengths == [None, 3, 3, 3]


def test_the_loaders_own_number_of_steps_goes_before_its_length(host, numbers):
    class Longer(type(numbers(2))):
        def __len__(self):
            return 4

    assert host().run(Longer(2), max_epochs=2).iteration == 4


def test_an_unsized_loader_can_be_given_a_length(host):
    assert host().run(Unsized("abc"), max_epochs=2, epoch_length=2).iteration == 4


def test_a_one_shot_generator_can_not_be_used_for_a_second_epoch(host):
    engine = host()
    with pytest.raises(ValueError, match="used only once") as error:
        engine.run((i for i in range(3)), max_epochs=2)
    assert str(error.value) == (
        "the loader gave no batch for iteration 4; it is empty, or an iterator "
        "that can be used only once"
    )
    assert engine.state.iteration == 3


def test_a_one_shot_generator_is_enough_for_one_epoch(host):
    assert host().run(i for i in range(3)).iteration == 3


@pytest.mark.parametrize("empty", [[], (), Unsized([])])
def test_an_empty_loader_is_an_error(host, empty):
    with pytest.raises(ValueError, match="no batch for iteration 1; it is empty"):
        host().run(empty, max_epochs=3)


@pytest.fixture
def closing(numbers):
    """A loader, and a list that gets True when an iteration over it is closed."""
    closed = []

    class Closing(numbers):
        def _from(self, epoch, batch):
            try:
                yield from super()._from(epoch, batch)
            finally:
                closed.append(True)

    return Closing(3), closed


def test_an_iterator_is_closed_when_the_run_ends(host, closing):
    # A prefetching one then stops its thread.
    loader, closed = closing
    engine = host()
    engine.run(loader, max_iters=2)
    assert closed == [True]
    assert engine.run(loader, max_iters=3).output == 2


def test_an_iterator_is_closed_when_the_run_fails(closing):
    def fail(engine, batch):
        raise RuntimeError("in the step")

    loader, closed = closing
    with pytest.raises(RuntimeError):
        Engine(fail).run(loader)
    assert closed == [True]


def test_an_iterable_without_cursor_goes_on_where_the_run_was_left(host):
    engine, loader = host(), Unsized("abcd")
    engine.attach_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.interrupt())
    assert engine.run(loader).output == "b"
    seen = []
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.output))
    engine.run(loader)
    assert seen == ["c", "d"]


# -- again and further ---------------------------------------------------------------------------


def test_a_run_that_is_over_begins_anew(host, record):
    engine = host()
    engine.run("ab", max_epochs=1)
    seen = record(engine, skip=("GET_BATCH_STARTED", "GET_BATCH_COMPLETED"), with_counts=True)
    engine.run("ab", max_epochs=1)
    assert seen == [
        ("STARTED", 0, 0, 0),
        ("EPOCH_STARTED", 1, 0, 0),
        ("ITERATION_STARTED", 1, 1, 1),
        ("ITERATION_COMPLETED", 1, 1, 1),
        ("ITERATION_STARTED", 1, 2, 2),
        ("ITERATION_COMPLETED", 1, 2, 2),
        ("EPOCH_COMPLETED", 1, 2, 2),
        ("COMPLETED", 1, 2, 2),
    ]


def test_more_epochs_continue_the_counts(host, record):
    engine = host()
    engine.run("ab", max_epochs=2)
    seen = record(engine)
    state = engine.run("ab", max_epochs=3)
    assert (state.epoch, state.iteration) == (3, 6)
    assert seen.count("EPOCH_STARTED") == 1


def test_more_iterations_continue_the_counts(host):
    engine = host()
    engine.run("abc", max_iters=3)
    state = engine.run("abc", max_iters=6)
    assert (state.epoch, state.iteration) == (2, 6)


def test_fewer_than_is_done_is_an_error_and_reset_begins_anew(host):
    """S8."""
    engine = host()
    engine.run("ab", max_epochs=7)
    with pytest.raises(
        ValueError, match=r"max_epochs: the run is in epoch 7 already, found 4.*reset"
    ):
        engine.run("ab", max_epochs=4)
    with pytest.raises(ValueError, match="max_iters: the run has done 14 iterations"):
        engine.run("ab", max_iters=2)
    assert engine.state.iteration == 14
    engine.reset()
    assert engine.run("ab", max_epochs=4).iteration == 8


def test_another_epoch_length_in_the_same_run_is_an_error(host):
    engine = host()
    engine.attach_handler(Events.ITERATION_COMPLETED(once=3), Engine.interrupt)
    engine.run(itertools.cycle("ab"), max_epochs=2, epoch_length=2)
    with pytest.raises(ValueError, match="epoch_length: the run that goes on has epochs of 2"):
        engine.run(itertools.cycle("ab"), max_epochs=2, epoch_length=3)


def test_limits_are_kept_by_a_run_that_goes_on(host):
    """L3: `max_epochs`, and the length that was given for an endless iterator."""
    engine = host()
    engine.attach_handler(Events.ITERATION_COMPLETED(once=13), Engine.interrupt)
    engine.run(itertools.count(), max_epochs=5, epoch_length=10)
    state = engine.run(itertools.count())
    assert (state.epoch, state.iteration, state.max_epochs, state.epoch_length) == (5, 50, 5, 10)


def test_a_run_within_its_own_handler_is_an_error(host):
    """S9."""
    engine = host()
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: e.run("ab"))
    with pytest.raises(RuntimeError, match="a handler can't call its own engine's run"):
        engine.run("ab", max_epochs=3)


@pytest.mark.parametrize("limits", [{"max_epochs": 0}, {"max_iters": -1}, {"epoch_length": 0}])
def test_limits_are_at_least_one(host, limits):
    with pytest.raises(ValueError, match="expected at least 1"):
        host().run("ab", **limits)


def test_the_seconds_of_a_run_are_there_when_it_is_completed(host):
    """R9."""
    engine = host()
    seconds = []
    engine.attach_handler(Events.COMPLETED, lambda e: seconds.append(e.state.times["COMPLETED"]))
    engine.run("ab")
    first = seconds[0]
    assert first > 0
    engine.run("ab", max_epochs=2)
    assert seconds[1] != first


def test_started_once_then_resumed(host, record):
    """L7."""
    engine = host()
    seen = record(engine)
    engine.attach_handler(Events.ITERATION_COMPLETED(once=1), Engine.interrupt)
    engine.run("ab")
    engine.run("ab")
    assert [name for name in seen if name in ("STARTED", "RESUMED")] == ["STARTED", "RESUMED"]
    engine.run("ab", max_epochs=2)
    assert seen.count("RESUMED") == 2
    engine.reset()
    engine.run("ab")
    assert seen.count("STARTED") == 2


def test_every_batch_is_asked_for_once_every_one(host):
    """R9: GET_BATCH_* count the batch that is asked for."""
    engine = host()
    asked = []
    engine.attach_handler(Events.GET_BATCH_STARTED(every=1), lambda: asked.append("started"))
    engine.attach_handler(
        Events.GET_BATCH_COMPLETED(every=2), lambda e: asked.append(e.state.batch)
    )
    engine.run("abcd")
    assert asked == ["started", "started", "b", "started", "started", "d"]


# -- stopping ------------------------------------------------------------------------------------

TERMINATED = {
    # event: the events fired from then on, in the second of three epochs of two iterations
    "STARTED": ["TERMINATE", "COMPLETED"],
    "EPOCH_STARTED": ["TERMINATE", "COMPLETED"],
    "ITERATION_STARTED": ["TERMINATE", "COMPLETED"],  # the step does not run
    "ITERATION_COMPLETED": ["TERMINATE", "COMPLETED"],
    "EPOCH_COMPLETED": ["TERMINATE", "COMPLETED"],
    "COMPLETED": [],
}


def when(event, action):
    """Attach to `event`, at its second count where epochs or iterations have one, at its first
    where a run has it once.
    """
    at = {"STARTED": 1, "COMPLETED": 1, "EPOCH_STARTED": 2, "EPOCH_COMPLETED": 2}.get(event, 3)
    return getattr(Events, event)(once=at), action


@pytest.mark.parametrize("event", TERMINATED)
def test_terminate_from_each_event(host, record, event):
    engine = host()
    seen = record(engine, skip=("GET_BATCH_STARTED", "GET_BATCH_COMPLETED"))
    at = []

    def stop(engine):
        engine.terminate()
        at.append(len(seen))

    engine.attach_handler(*when(event, stop), priority=-1)
    state = engine.run("ab", max_epochs=3)
    assert seen[at[0] :] == TERMINATED[event]
    assert state.stopped == ("" if event == "COMPLETED" else "terminate")
    done = {"STARTED": 0, "EPOCH_STARTED": 2, "ITERATION_STARTED": 2, "EPOCH_COMPLETED": 4}
    assert state.iteration == done.get(event, 6 if event == "COMPLETED" else 3)


@pytest.mark.parametrize("event", list(TERMINATED)[:-1])
def test_after_terminate_the_next_run_goes_on_from_there(numbers, record, event):
    """L2: with the limits that it had, or with others."""
    batches = []
    engine = Engine(lambda engine, batch: batches.append(batch))
    seen = record(engine)
    with engine.attach_handler(*when(event, lambda e: e.terminate())):
        engine.run(numbers(2), max_epochs=3)
    done = len(batches)
    state = engine.run(numbers(2))
    assert (state.epoch, state.iteration, state.stopped) == (3, 6, "")
    assert batches == [0, 1] * 3
    assert done < 6
    assert (seen.count("STARTED"), seen.count("RESUMED")) == (1, 1)
    assert (seen.count("EPOCH_STARTED"), seen.count("EPOCH_COMPLETED")) == (3, 3)


def test_terminate_outside_of_a_run_does_nothing(host):
    """R9: as in Ignite."""
    engine = host()
    engine.terminate()
    engine.terminate_epoch()
    assert engine.run("ab").iteration == 2


def test_the_other_handlers_of_the_event_still_run_after_terminate(host):
    engine = host()
    seen = []
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: e.terminate(), priority=1)
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda: seen.append("ran"))
    engine.run("ab")
    assert seen == ["ran"]


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        ("STARTED", [0, 2]),
        ("EPOCH_STARTED", [0, 2]),
        ("ITERATION_STARTED", [1, 3]),
        ("ITERATION_COMPLETED", [1, 3]),
    ],
)
def test_terminate_epoch_goes_on_with_the_next(host, record, event, ends):
    engine = host()
    seen = record(engine, skip=("GET_BATCH_STARTED", "GET_BATCH_COMPLETED"))
    engine.attach_handler(
        getattr(Events, event)(once=1), lambda engine: engine.terminate_epoch(), priority=-1
    )
    found = []
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: found.append(e.state.iteration))
    state = engine.run("ab", max_epochs=2)
    assert found == ends
    assert seen.count("TERMINATE_EPOCH") == 1
    at = seen.index("TERMINATE_EPOCH")
    assert seen[at : at + 3] == ["TERMINATE_EPOCH", "EPOCH_COMPLETED", "EPOCH_STARTED"]
    assert (state.epoch, state.stopped) == (2, "")
    assert "TERMINATE" not in seen


def test_terminate_epoch_between_two_epochs_ends_the_next(host, record):
    engine = host()
    seen = record(engine)
    engine.attach_handler(Events.EPOCH_COMPLETED(once=1), lambda e: e.terminate_epoch())
    assert engine.run("ab", max_epochs=3).iteration == 4
    assert seen.count("TERMINATE_EPOCH") == 1
    assert seen.count("EPOCH_COMPLETED") == 3


def test_a_batch_can_be_refused(numbers):
    """R10: a stop that is asked for before the step keeps it from running; nothing is skipped."""
    steps = []
    engine = Engine(lambda engine, batch: steps.append(batch))

    @engine.on(Events.ITERATION_STARTED)
    def refuse(engine):
        if engine.state.batch == 1:
            engine.terminate_epoch()

    engine.run(numbers(4), max_epochs=2, epoch_length=4)
    assert steps == [0, 2, 3, 0]
    steps.clear()
    engine = Engine(lambda engine, batch: steps.append(batch))
    with engine.attach_handler(Events.ITERATION_STARTED(once=2), Engine.terminate):
        engine.run(iter([0, 1, 2, 3]), epoch_length=4)
    assert (steps, engine.state.iteration) == ([0], 1)


EVERYWHERE = [
    ("STARTED", 1),
    ("EPOCH_STARTED", 2),
    ("GET_BATCH_STARTED", 3),
    ("GET_BATCH_COMPLETED", 3),
    ("ITERATION_STARTED", 4),
    ("ITERATION_COMPLETED", 4),
    ("ITERATION_COMPLETED", 3),  # the last of an epoch
    ("EPOCH_COMPLETED", 1),
    ("EPOCH_COMPLETED", 3),  # the last of the run
]


@pytest.mark.parametrize(("event", "count"), EVERYWHERE)
def test_an_interrupted_run_continues_as_if_nothing_had_been(numbers, record, event, count):
    def prepare():
        batches = []
        engine = Engine(lambda engine, batch: batches.append(batch))
        # The events before a step come again where it was interrupted in one of them.
        again = ("GET_BATCH_STARTED", "GET_BATCH_COMPLETED", "ITERATION_STARTED")
        seen = record(engine, skip=("STARTED", "RESUMED", *again), with_counts=True)
        return engine, batches, seen

    whole, expected_batches, expected = prepare()
    whole.run(numbers(3), max_epochs=3)

    engine, batches, seen = prepare()
    loader = numbers(3)
    with engine.attach_handler(getattr(Events, event)(once=count), lambda e: e.interrupt()):
        state = engine.run(loader, max_epochs=3)
    assert state.stopped == "interrupt"
    assert seen.pop()[0] == "INTERRUPT"
    assert "COMPLETED" not in [name for name, *_ in seen]
    state = engine.run(loader, max_epochs=3)
    assert state.stopped == ""
    assert seen == expected
    assert batches == expected_batches


def test_interrupting_again_and_again_still_makes_one_run(numbers):
    batches = []
    engine = Engine(lambda engine, batch: batches.append(batch))
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: e.interrupt())
    loader = numbers(3)
    runs = 0
    while engine.run(loader, max_epochs=2).stopped:
        runs += 1
    assert (runs, batches) == (6, [0, 1, 2, 0, 1, 2])


def test_an_interrupt_before_the_run_is_heeded_when_it_begins(numbers, record):
    # A signal may come between the last line before `run` and the first of it.
    engine = Engine(lambda engine, batch: None)
    seen = record(engine)
    engine.interrupt()
    state = engine.run(numbers(3))
    assert seen == ["STARTED", "INTERRUPT"]
    assert (state.iteration, state.stopped) == (0, "interrupt")
    assert engine.run(numbers(3)).iteration == 3


@pytest.mark.parametrize("order", ["terminate first", "interrupt first"])
def test_a_run_that_wants_to_end_is_not_merely_interrupted(host, record, order):
    # The other way round a resumed run would go on where the whole one had stopped.
    engine = host()
    seen = record(engine)

    @engine.on(Events.ITERATION_COMPLETED)
    def both(engine):
        calls = [engine.terminate, engine.interrupt]
        for call in calls if order == "terminate first" else calls[::-1]:
            call()

    assert engine.run("ab").stopped == "terminate"
    assert seen[-2:] == ["TERMINATE", "COMPLETED"]


# -- exceptions ----------------------------------------------------------------------------------


def failing(at=2):
    def process(engine, batch):
        if engine.state.iteration == at:
            raise RuntimeError("in the step")
        return batch

    return Engine(process)


def test_an_exception_passes_by_its_handlers_and_goes_on(record):
    engine = failing()
    seen = record(engine)
    caught = []
    engine.attach_handler(
        Events.EXCEPTION_RAISED, lambda e, error, word: caught.append((e, error, word)), "extra"
    )
    with pytest.raises(RuntimeError, match="in the step") as error:
        engine.run("abc")
    assert caught == [(engine, error.value, "extra")]
    assert seen[-2:] == ["ITERATION_STARTED", "EXCEPTION_RAISED"]


@pytest.mark.parametrize("event", ["ITERATION_STARTED", "ITERATION_COMPLETED", "EPOCH_COMPLETED"])
def test_after_an_exception_a_run_goes_on_with_the_step_that_is_next(numbers, event):
    """S1: every batch is used once, whatever raised where."""
    batches = []
    engine = Engine(lambda engine, batch: batches.append(batch))
    at = 1 if event == "EPOCH_COMPLETED" else 2
    handle = engine.attach_handler(getattr(Events, event)(once=at), lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.run(numbers(3), max_epochs=2)
    assert engine.state.stopped == "failed"
    handle.remove()
    state = engine.run(numbers(3))
    assert batches == [0, 1, 2] * 2
    assert (state.epoch, state.iteration, state.stopped) == (2, 6, "")


def test_after_an_exception_in_a_step_it_is_taken_again(numbers):
    batches, fail = [], [True]

    def process(engine, batch):
        if batch == 1 and fail.pop() if fail else False:
            raise RuntimeError("in the step")
        batches.append(batch)

    engine = Engine(process)
    with pytest.raises(RuntimeError):
        engine.run(numbers(3))
    assert engine.state.iteration == 1
    engine.run(numbers(3))
    assert batches == [0, 1, 2]


def test_a_handler_without_engine_gets_the_exception():
    engine = failing()
    caught = []
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: caught.append(error))
    with pytest.raises(RuntimeError) as error:
        engine.run("abc")
    assert caught == [error.value]


@pytest.mark.parametrize("answer", [True, False, None, 1, "yes"])
def test_only_true_swallows_an_exception(answer):
    engine = failing()
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: answer)
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: None)
    if answer is True:
        assert engine.run("abc") is engine.state
    else:
        with pytest.raises(RuntimeError, match="in the step"):
            engine.run("abc")


@pytest.mark.parametrize("event", ["STARTED", "EPOCH_STARTED", "ITERATION_COMPLETED", "COMPLETED"])
def test_handlers_and_loaders_may_raise_as_well(host, event):
    engine = host()

    @engine.on(getattr(Events, event))
    def fail(engine):
        raise RuntimeError(f"on {event}")

    caught = []
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: caught.append(str(error)))
    with pytest.raises(RuntimeError, match=f"on {event}"):
        engine.run("ab")
    assert caught == [f"on {event}"]


def test_a_loader_may_raise(host):
    def batches():
        yield 1
        raise OSError("the disk is gone")

    engine = host()
    caught = []
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: caught.append(type(error)))
    with pytest.raises(OSError, match="gone"):
        engine.run(batches())
    assert caught == [OSError]
    assert engine.state.iteration == 1


def test_an_exception_of_the_exceptions_handler_keeps_the_first_as_its_context():
    engine = failing()

    @engine.on(Events.EXCEPTION_RAISED)
    def fail(engine, error):
        raise ValueError("worse")

    with pytest.raises(ValueError, match="worse") as error:
        engine.run("abc")
    assert str(error.value.__context__) == "in the step"


def test_ctrl_c_is_an_exception_as_well():
    def process(engine, batch):
        raise KeyboardInterrupt

    engine = Engine(process)
    caught = []
    engine.attach_handler(Events.EXCEPTION_RAISED, lambda error: caught.append(type(error)))
    with pytest.raises(KeyboardInterrupt):
        engine.run("a")
    assert caught == [KeyboardInterrupt]


# -- several engines and hooks -------------------------------------------------------------------


def test_an_engine_runs_within_another(host, record):
    trainer, evaluator = host(), host()
    outer, inner = record(trainer), record(evaluator)
    results = []

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        state = evaluator.run("xyz")
        results.append((state.epoch, state.iteration, state.output))

    state = trainer.run("ab", max_epochs=2)
    assert results == [(1, 3, "z")] * 2
    assert (state.epoch, state.iteration, state.output) == (2, 4, "b")
    assert outer.count("ITERATION_COMPLETED") == 4
    assert inner.count("ITERATION_COMPLETED") == 6
    assert inner.count("COMPLETED") == 2


def test_terminating_one_engine_leaves_the_other(host):
    trainer, evaluator = host(), host()
    evaluator.attach_handler(Events.ITERATION_COMPLETED, lambda e: e.terminate())

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate():
        evaluator.reset()
        evaluator.run("xyz")

    assert trainer.run("ab", max_epochs=2).iteration == 4
    assert evaluator.state.iteration == 1


def test_an_exception_in_an_inner_engine_passes_through_the_outer(host):
    trainer, evaluator = host(), failing(at=1)
    seen = []
    trainer.attach_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run("x"))
    for name, engine in (("inner", evaluator), ("outer", trainer)):
        engine.attach_handler(
            Events.EXCEPTION_RAISED, lambda error, name: seen.append((name, str(error))), name
        )
    with pytest.raises(RuntimeError, match="in the step"):
        trainer.run("ab")
    assert seen == [("inner", "in the step"), ("outer", "in the step")]


class Hook:
    def __init__(self):
        self.attached = []

    def attach(self, engine):
        self.attached.append(engine)


def test_a_hook_is_kept_by_its_name(host):
    engine = host()
    one, two = Hook(), Hook()
    assert engine.attach(one) is one
    engine.attach(two, "second")
    assert engine.hooks == {"Hook": one, "second": two}
    assert one.attached == two.attached == [engine]
    with pytest.raises(ValueError, match="a hook named 'Hook' is attached already; pass name="):
        engine.attach(Hook())


def test_a_hook_whose_attachment_fails_is_not_kept(host):
    class Broken:
        def attach(self, engine):
            raise ValueError("no such metric")

    engine = host()
    with pytest.raises(ValueError, match="no such metric"):
        engine.attach(Broken())
    assert engine.hooks == {}


# -- stops that meet -----------------------------------------------------------------------------


def test_an_epoch_that_was_cut_stays_cut_where_the_run_is_left_before_it_is_completed(numbers):
    from jaxtrain.errors import Interrupted

    batches = []
    engine = Engine(lambda engine, batch: batches.append(batch))
    engine.attach_handler(Events.ITERATION_COMPLETED(once=3), Engine.terminate_epoch)
    leave = [True]

    @engine.on(Events.EPOCH_COMPLETED)
    def validate():
        if leave:
            leave.clear()
            raise Interrupted

    engine.run(numbers(10), max_epochs=1)
    assert (engine.state.stopped, engine.state.epoch_open) == ("interrupt", True)
    state = engine.run(numbers(10))
    assert (state.iteration, state.epoch_open, batches) == (3, False, [0, 1, 2])


@pytest.mark.parametrize("how", ["interrupt", "terminate"])
def test_to_end_the_epoch_and_to_leave_the_run_at_once(numbers, how):
    engine = Engine(lambda engine, batch: None)
    handle = engine.attach_handler(Events.ITERATION_COMPLETED(once=3), Engine.terminate_epoch)
    other = engine.attach_handler(Events.ITERATION_COMPLETED(once=3), getattr(Engine, how))
    engine.run(numbers(10), max_epochs=1)
    handle.remove()
    other.remove()
    assert engine.run(numbers(10)).iteration == 3


def test_a_long_portion_that_was_refused_heeds_the_limits_of_the_next_run():
    import jax.numpy as jnp

    engine = Engine(lambda s, b: (s + 1, {}), jnp.int32(0), form="fused")
    batches = [jnp.float32(0)] * 300
    engine.run(batches, max_iters=100, epoch_length=300)
    handle = engine.attach_handler(Events.ITERATION_STARTED(every_seconds=1e-9), Engine.interrupt)
    engine.run(batches, max_iters=250)
    handle.remove()
    done = engine.state.iteration
    assert int(engine.state.train_state) == done == 100
    seen = []
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.iteration))
    assert engine.run(batches, max_iters=103).iteration == 103
    assert seen == [101, 102, 103]


def test_other_data_whose_first_step_does_not_run_are_gone_on_with(numbers):
    from jaxtrain.engine.batches.door import as_loader

    engine = Engine(lambda engine, batch: batch)
    engine.run(numbers(3))
    with engine.attach_handler(Events.ITERATION_STARTED, Engine.interrupt):
        engine.run(numbers(5), max_epochs=2)
    assert engine.cursor() == as_loader(numbers(5)).start()
    assert engine.run(numbers(5)).iteration == 6


def test_an_iterator_that_raises_once_loses_nothing():
    class Flaky:
        def __init__(self):
            self.at = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.at += 1
            if self.at == 51:
                raise OSError("once")
            if self.at > 100:
                raise StopIteration
            return jnp.float32(self.at)

    import jax.numpy as jnp

    for form in ("single", "fused"):
        engine = Engine(lambda s, b: (s + b, {}), jnp.float32(0), form=form)
        source = Flaky()
        with pytest.raises(OSError, match="once"):
            engine.run(source)
        assert engine.run(source).iteration == 99
        assert float(engine.state.train_state) == sum(range(101)) - 51
